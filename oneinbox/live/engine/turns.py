"""The turn machine: who speaks, and what follows. Events in, commands out; no clock, no asyncio, no I/O.

The laws:

1.  The same events give the same commands. Time is what the events say it is.
2.  Nothing is answered but words; a turn without words leaves no trace.
3.  A turn is *decided* when endpointing says so, and *settled* once its reply has begun to be heard, or to act. Until
    then the caller who goes on speaking takes it back, and the reply is dropped without a trace.
4.  What is recorded of the agent is what was heard; what the caller said is recorded once, and always.
5.  Over the caller's sound the agent ducks, over more of it it yields, for words it gives up the floor. It goes on
    where it stopped only when no words came.
6.  Every wait has an end: ``deadline_s`` is when the machine wants to be told the time. Every call ends with a reason.

Each side is in one state and moves only along its table in ``turn_table.py``::

    caller   QUIET -> ONSET -> SPEAKING <-> PAUSED -> QUIET            (a short sound: ONSET -> back)
    agent    LISTENING -> THINKING -> SPEAKING -> LISTENING            (nothing in the way)
                          THINKING <-> HOLDING                         (the caller makes a sound before it is heard)
                                       SPEAKING <-> DUCKED -> YIELDED  (barge-in, and back when no words come)
"""

from collections.abc import Callable
from typing import Any

from oneinbox.core.events import EndReason
from oneinbox.live.engine import turn_events as ev
from oneinbox.live.engine.endpointing import Pause, Verdict, ends_call
from oneinbox.live.engine.listening import Listening
from oneinbox.live.engine.sides import EPSILON_S, NEVER_S, OnMove
from oneinbox.live.engine.turn_settings import TurnSettings
from oneinbox.live.engine.turn_table import Agent, Caller, Signal
from oneinbox.live.engine.utterance import DecidedTurn, OpenTurn
from oneinbox.live.engine.waits import WAITING_FOR_WORDS

MOST_SPECULATIONS = 4
"""Replies prepared for one turn before it is decided; after that the decision is waited for."""
MOST_WORDLESS_JUDGEMENTS = 2
"""Pauses that the end-of-turn model judges in a turn of which no word is known: a noise may go on and on."""


class TurnMachine(Listening):
    """One call's turns. ``receive`` takes an event and returns what is to be done, in order.

    ``on_move`` is told of every row of the tables that is used.
    """

    def __init__(self, settings: TurnSettings, on_move: OnMove | None = None) -> None:
        super().__init__(settings, on_move)
        self.deadline_s: float = NEVER_S
        """When the machine wants a ``Tick``, unless another event comes first."""
        self._handlers: dict[type[ev.Event], Callable[[Any], None]] = {
            ev.Started: self._on_started,
            ev.Voice: self._on_voice,
            ev.Partial: self._on_partial,
            ev.Final: self._on_final,
            ev.EndOfTurn: self._on_end_of_turn,
            ev.Completeness: self._on_completeness,
            ev.Typed: self._on_typed,
            ev.Dialled: self._on_dialled,
            ev.SayAsked: self._on_say_asked,
            ev.SttFailed: self._on_stt_failed,
            ev.Queued: self._on_queued,
            ev.Sounded: self._on_sounded,
            ev.Settled: self._on_settled,
            ev.Playing: self._on_playing,
            ev.Dry: self._on_dry,
            ev.ToolsAsked: self._on_tools_asked,
            ev.Finished: self._on_finished,
            ev.Failed: self._on_failed,
            ev.Away: self._on_away,
            ev.Back: self._on_back,
            ev.Ended: self._on_ended,
        }

    def receive(self, event: ev.AnyEvent) -> list[ev.AnyCommand]:
        """Take one event, later than or as late as the one before; return the commands that follow from it."""
        out = self._agent.out = []
        if self.agent is Agent.OVER:
            return out
        self._now_s = max(self._now_s, event.at_s)
        if (handler := self._handlers.get(type(event))) is not None:
            handler(event)
        self._advance()
        self.deadline_s = self._next_deadline_s()
        return out

    # ---- the caller ---------------------------------------------------------------------------------------------

    def _on_started(self, event: ev.Started) -> None:
        self._started_s = self._silent_since_s = event.at_s
        if event.greeting:
            self._say(ev.Line.GREETING)
        else:
            self._agent.show(ev.AgentState.LISTENING)

    def _on_voice(self, event: ev.Voice) -> None:
        if self._ending:
            return
        for signal in self._caller.hear(event.probability, event.at_s):
            if signal is Signal.SPEECH:
                self._stt_owes = self._late_final = False
                self._do(ev.TellStt(speech=True))
                if self._caller.turn is not None:
                    self._caller.turn.told = False
            elif self._deaf:
                continue
            elif self.agent is Agent.SPEAKING and not self._agent.settled:
                self._agent.move(Signal.SOUND_EARLY)
            else:
                self._agent.move(Signal.SOUND)
        turn = self._caller.turn
        if turn is not None and self.caller is Caller.SPEAKING and self._caller.last_voice_s == event.at_s:
            turn.go_on()
        if (
            not self._deaf
            and self._caller.sounding
            and self._caller.sound_s >= self._settings.barge_in.confirm_s - EPSILON_S
        ):
            self._agent.move(Signal.VOICE)

    def _on_typed(self, event: ev.Typed) -> None:
        text = event.text.strip()
        if not text:
            return
        if not self._ending:
            self._give_up_floor()
        if self._caller.turn is not None:
            self._flush_words(self._caller.turn)
        self._record(DecidedTurn(text=text, start_s=self._now_s, end_s=self._now_s, typed=True))
        if not self._ending:
            self._answer()

    def _consider_turn(self, turn: OpenTurn) -> None:
        """Decide in a pause whether the turn has ended or, if not, whether to prepare a reply."""
        quiet_s = self._now_s - self._caller.last_voice_s + EPSILON_S
        verdict = self._settings.endpointing.judge(quiet_s, self._pause_of(turn))
        if verdict is Verdict.ENDED and self.agent is Agent.LISTENING:
            self._decide(turn)
        elif verdict is Verdict.ENDED and self._now_s + EPSILON_S >= self._aside_at_s(turn):
            self._put_aside(turn)
        elif verdict is Verdict.EMPTY:
            self._close_turn()
            self._agent.move(Signal.NO_WORDS)
        elif verdict is Verdict.STALLED:
            self._do(ev.RestartStt())
            self._stt_lost(fatal=False, counts=True)
        else:
            self._speculate(turn)

    def _speculate(self, turn: OpenTurn) -> None:
        """Prepare a reply, if the words so far are stable enough."""
        if self._now_s + EPSILON_S >= self._speculate_at_s(turn):
            turn.speculations += 1
            self._prepare(turn.text, self._turn + 1)

    def _aside_at_s(self, turn: OpenTurn) -> float:
        """Return when an acknowledgement is no answer any more, because the agent has gone on speaking."""
        if not turn.aside or self.agent is Agent.LISTENING:
            return NEVER_S
        return self._caller.last_voice_s + self._settings.barge_in.answer_s

    def _speculate_at_s(self, turn: OpenTurn) -> float:
        """Return when the words so far are stable enough to prepare a reply to; never, where none is wanted."""
        if (
            not turn.text
            or (turn.partial and self.caller is Caller.SPEAKING)
            or self.agent is not Agent.LISTENING
            or self._agent.reply_id is not None
            or turn.speculations >= MOST_SPECULATIONS
            or ends_call(turn.text, self._settings.end_call_phrases)
        ):
            return NEVER_S
        if self.caller is Caller.SPEAKING:  # a recogniser that ends utterances itself is ahead of the VAD
            return turn.changed_s if self._caller.hushed else NEVER_S
        return turn.changed_s + (self._settings.endpointing.stable_s if self._stt_owes else 0.0)

    def _decide(self, turn: OpenTurn) -> None:
        self._late_final = self._stt_owes
        self._close_turn()
        self._decided = self._remember(turn.decide(self._caller.last_voice_s))
        self._decided.eou_delay_s = self._now_s - self._caller.last_voice_s
        self._turn += 1
        self._answer()

    # ---- the agent ----------------------------------------------------------------------------------------------

    def _on_finished(self, event: ev.Finished) -> None:
        if not self._agent.is_current(event.reply_id):
            return
        if self._agent.line is None:
            self._failures = 0
        self._close_reply()
        if self._ending or event.hang_up:
            self._end(self._ending or EndReason.AGENT_HANGUP)

    def _on_failed(self, event: ev.Failed) -> None:
        if event.reply_id != self._agent.reply_id:
            return
        if not self._agent.released:  # asked for again, once, when the turn is decided
            self._agent.drop_reply()
            if self._caller.turn:
                self._caller.turn.speculations = MOST_SPECULATIONS
            return
        self._lose_reply(event.stage, fatal=event.fatal)

    # ---- time ---------------------------------------------------------------------------------------------------

    def _on_away(self, _: ev.Away) -> None:
        self._away = True

    def _on_back(self, _: ev.Back) -> None:
        self._away = False
        self._silent_since_s = self._now_s
        if self._agent.waiting_since_s is not None:
            self._agent.waiting_since_s = self._now_s

    def _on_ended(self, event: ev.Ended) -> None:
        self._end(event.reason)

    def _advance(self) -> None:
        """Do whatever has become due."""
        now_s = self._now_s + EPSILON_S
        if self.agent is Agent.OVER:
            return
        if now_s >= self._started_s + self._settings.max_duration_s:
            self._end(EndReason.MAX_DURATION)
            return
        if (faded := self._caller.fade(self._now_s)) is not None:
            self._agent.move(Signal.FADED)
            if faded is Signal.FADED:
                self._stt_owes = self._caller.turn is None or not self._caller.turn.signalled
                self._pauses += 1
                self._do(ev.TellStt(speech=False))
            elif self._caller.turn is None:
                self._agent.move(Signal.NO_WORDS)
        if self.caller is Caller.PAUSED and self._caller.turn is not None and not self._ending:
            self._consider_turn(self._caller.turn)
            if now_s >= self._ask_at_s():
                self._ask_end_of_turn()
        elif self.caller is Caller.SPEAKING and self._caller.turn is not None and not self._ending:
            self._speculate(self._caller.turn)
        if now_s >= self._go_on_at_s():
            self._agent.move(Signal.NO_WORDS)
        self._advance_waits()

    def _ask_at_s(self) -> float:
        """Return when to ask the end-of-turn model about this pause; never, where its word would not count (any more)."""
        turn = self._caller.turn
        if turn is None or turn.signalled or self._asked == self._pauses or not self._settings.end_of_turn_model:
            return NEVER_S
        if turn.text:
            counts = self.agent is Agent.LISTENING
        else:  # words may still come, from a recogniser that gives none before its final
            surely_speech = self._caller.sound_s >= self._settings.barge_in.speech_s
            counts = (self.agent is Agent.LISTENING or surely_speech) and turn.judged < MOST_WORDLESS_JUDGEMENTS
            counts = counts and not self._stt_partials
        return self._caller.last_voice_s + self._settings.endpointing.asked_s if counts else NEVER_S

    def _ask_end_of_turn(self) -> None:
        if (turn := self._caller.turn) is not None:
            self._asked = self._pauses
            turn.judged += 1
            end_s = self._caller.last_voice_s + self._settings.endpointing.pause_s
            self._do(ev.AskEndOfTurn(self._pauses, turn.start_s, end_s))

    def _pause_of(self, turn: OpenTurn) -> Pause:
        return Pause(bool(turn.text), not self._stt_owes, turn.signalled, turn.told, turn.complete)

    def _go_on_at_s(self) -> float:
        """Return when an agent that waits for words goes on without them."""
        if self.agent not in WAITING_FOR_WORDS or self._caller.sounding:
            return NEVER_S
        if self._caller.turn is not None and self._caller.turn.aside:
            return self._caller.last_voice_s
        return self._caller.last_voice_s + self._settings.barge_in.wait_s(
            sound_s=self._caller.sound_s, final_delay_s=self._stt_delay_s, partials=self._stt_partials
        )

    def _next_deadline_s(self) -> float:
        if self.agent is Agent.OVER:
            return NEVER_S
        deadline_s = min(self._waits_until_s(), self._caller.fades_at_s, self._go_on_at_s())
        turn = self._caller.turn
        if self.caller not in (Caller.PAUSED, Caller.SPEAKING) or turn is None or self._ending:
            return deadline_s
        if self.caller is Caller.SPEAKING:
            return min(deadline_s, self._speculate_at_s(turn))
        deadline_s = min(deadline_s, self._ask_at_s())
        if not turn.text or self.agent is Agent.LISTENING or turn.aside:
            judged_s = self._settings.endpointing.judged_after_s(self._pause_of(turn))
            judged_at_s = self._caller.last_voice_s + judged_s
            deadline_s = min(deadline_s, max(judged_at_s, self._aside_at_s(turn)) if turn.aside else judged_at_s)
        return min(deadline_s, self._speculate_at_s(turn))
