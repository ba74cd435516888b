"""Listening: what the turn machine makes of the caller's words (see the laws in ``turns.py``). Pure, like the machine."""

from oneinbox.core.events import EndReason
from oneinbox.live.engine import turn_events as ev
from oneinbox.live.engine.barge_in import Remark
from oneinbox.live.engine.endpointing import normalised
from oneinbox.live.engine.retold import split_retold
from oneinbox.live.engine.sides import EPSILON_S, OnMove
from oneinbox.live.engine.turn_settings import TurnSettings
from oneinbox.live.engine.turn_table import Agent, Caller, Signal
from oneinbox.live.engine.utterance import DecidedTurn, OpenTurn
from oneinbox.live.engine.waits import MOST_FAILURES, Waits


class Listening(Waits):
    """The recogniser: what it told, what it still owes, how it failed; and the words of the open turn."""

    def __init__(self, settings: TurnSettings, on_move: OnMove | None = None) -> None:
        super().__init__(settings, on_move)
        self._stt_owes = False  # the open turn's final transcript is still to come
        self._stt_delay_s = 0.5
        self._stt_partials = False  # the recogniser gives words while the caller speaks
        self._told: list[DecidedTurn] = []  # turns with words of a partial, which the next final tells again
        self._stt_failures = 0
        self._pauses: int = 0  # how often the caller's speech has paused
        self._asked: int = 0  # the last pause that the end-of-turn model was asked about

    # ---- what the recogniser tells ------------------------------------------------------------------------------

    def _on_partial(self, event: ev.Partial) -> None:
        turn = self._caller.turn
        if turn is not None and turn.revise(self._retold(event.text)[1], self._now_s):
            self._stt_partials = True
            self._words_changed(turn)

    def _on_final(self, event: ev.Final) -> None:
        self._stt_failures = 0
        if self._late_final and self._decided is not None and self._decided not in self._told:
            self._told.append(self._decided)
        again, text = self._retold(event.text)
        if self._late_final and again:  # nothing has been said since
            again[-1], text = f"{again[-1]} {text}".strip(), ""
        told, self._told = self._told, []
        for turn, words in zip(told, again, strict=True):
            self._amend(turn, words, event.confidence, goes_on=bool(normalised(text)))
        if self._late_final:
            self._late_final = False
            return
        if self._stt_owes:
            self._stt_owes = False
            delay_s = self._now_s - self._caller.last_voice_s
            self._stt_delay_s += 0.3 * (delay_s - self._stt_delay_s)
            if self._caller.turn:
                self._caller.turn.final_delay_s = delay_s
        if self._caller.turn is None and not normalised(text):
            return
        turn = self._caller.turn or self._caller.open_turn(self._now_s)
        if turn.add_final(text, event.confidence, self._now_s):
            self._words_changed(turn)

    def _retold(self, text: str) -> tuple[list[str], str]:
        """Split a transcript into what it says of each turn that the recogniser has not confirmed, and what is new."""
        return split_retold(text, [turn.partial for turn in self._told])

    def _on_end_of_turn(self, _: ev.EndOfTurn) -> None:
        if self._caller.turn is not None and self._now_s > self._caller.last_voice_s + EPSILON_S:
            self._caller.turn.signalled = True
            self._stt_owes = False

    def _on_completeness(self, event: ev.Completeness) -> None:
        if self._caller.turn is not None and event.pause == self._pauses and self.caller is not Caller.SPEAKING:
            self._caller.turn.complete = event.probability

    def _on_stt_failed(self, event: ev.SttFailed) -> None:
        self._stt_lost(fatal=event.fatal, counts=event.short_lived or self._caller.turn is not None)

    def _words_changed(self, turn: OpenTurn) -> None:
        if self._ending:
            return
        turn.aside = False
        if self.agent is not Agent.LISTENING and not self._deaf:
            remark = self._settings.barge_in.judge(turn.text)
            if not self._agent.settled or remark is Remark.STOP:  # until it is settled the caller just goes on
                self._give_up_floor(continued_by=turn)
                self._told = [told for told in self._told if told.recorded]
            turn.aside = self._agent.settled and remark is Remark.ACKNOWLEDGEMENT
        if not self._agent.released and normalised(turn.text) != self._agent.reply_key:
            self._agent.drop_reply()
        self._do(ev.ShowUser(self._turn + 1, turn.text, final=False))

    def _amend(self, turn: DecidedTurn, text: str, confidence: float | None, *, goes_on: bool) -> None:
        """Take in the final transcript of a turn that was decided without it."""
        if not turn.confirm(text, confidence):
            return
        if turn.recorded:
            self._do(ev.AmendUser(turn.number, turn.text, turn.confidence))
        elif not goes_on:  # else it is taken back
            self._agent.drop_reply()
            self._prepare(turn.text, self._turn)
            self._agent.release(self._now_s)

    def _remember(self, turn: DecidedTurn) -> DecidedTurn:
        """Note that the words of ``turn`` that are not final will be told again."""
        if turn.partial:
            self._told.append(turn)
        return turn

    def _stt_lost(self, *, fatal: bool, counts: bool) -> None:
        """Go on after the recogniser failed: with the words at hand, or with an apology, or not at all."""
        self._stt_owes = self._late_final = False
        self._told.clear()
        if self._caller.turn is not None:
            self._caller.turn.confirm()
        self._stt_failures += counts
        if fatal or self._stt_failures >= MOST_FAILURES:
            self._fail_call(EndReason.STT_FAILED)
        elif self.caller is Caller.SPEAKING:
            self._do(ev.TellStt(speech=True))
        elif self._caller.turn is not None and not self._caller.turn.text:
            self._close_turn()
            if self._caller.sounding:
                return  # what the caller begins now is listened to; the agent goes on when it turns out to be nothing
            if not self._agent.move(Signal.NO_WORDS) and self.agent is Agent.LISTENING:
                self._say(ev.Line.UNHEARD)

    def _close_turn(self) -> None:
        self._caller.turn = None
        self._stt_owes = False
        self._silent_since_s, self._silent_before_s = self._now_s, 0.0
        self._caller.move(Signal.TURN_OVER)

    def _flush_words(self, turn: OpenTurn) -> None:
        """Record the words of the open turn, unanswered, as a turn of its own; go on listening."""
        if turn.text:
            self._record(self._remember(turn.decide(self._caller.last_voice_s)))
        self._close_turn()
        if self.caller is Caller.SPEAKING:
            self._caller.turn = OpenTurn(start_s=self._now_s)

    def _put_aside(self, turn: OpenTurn) -> None:
        """Record an acknowledgement where it stands, and forget it."""
        aside = self._remember(turn.decide(self._caller.last_voice_s))
        self._close_turn()
        self._put_on_record(aside, self._turn, aside=True)
