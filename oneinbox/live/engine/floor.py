"""The floor: the half of the turn machine that answers, speaks, records and ends (see the laws in ``turns.py``)."""

from oneinbox.core.events import EndReason
from oneinbox.live.engine import turn_events as ev
from oneinbox.live.engine.endpointing import ends_call, normalised
from oneinbox.live.engine.sides import AgentSide, CallerSide, OnMove
from oneinbox.live.engine.turn_settings import TurnSettings
from oneinbox.live.engine.turn_table import Agent, Caller, Signal
from oneinbox.live.engine.utterance import DecidedTurn, OpenTurn


class Floor:
    """Both sides of a call, the turn that was decided last, and what the agent does about it."""

    def __init__(self, settings: TurnSettings, on_move: OnMove | None = None) -> None:
        self._settings = settings
        self._caller = CallerSide(settings.endpointing, on_move)
        self._agent = AgentSide(on_move)
        self._now_s = 0.0
        self._silent_since_s = 0.0
        self._silent_before_s = 0.0  # the silence that a reminder interrupted
        self._reminded: int = 0  # reminders since the caller's last turn
        self._turn: int = 0
        self._messages: int = 0  # of the caller on record
        self._decided: DecidedTurn | None = None
        self._late_final = False  # the decided turn's final transcript is still to come
        self._failures = 0
        self._said_interruptible = True  # what somebody outside had the agent say
        self._ending: EndReason | None = None  # the call ends for this once the farewell has been heard

    @property
    def caller(self) -> Caller:
        """The caller's state."""
        return self._caller.state

    @property
    def agent(self) -> Agent:
        """The agent's state."""
        return self._agent.state

    def _do(self, *commands: ev.AnyCommand) -> None:
        self._agent.out.extend(commands)

    def _answer(self) -> None:
        """Answer the decided turn, unless it ends the call."""
        turn = self._decided
        if turn is None or ends_call(turn.text, self._settings.end_call_phrases):
            self._end(EndReason.END_CALL_PHRASE)
            return
        if self._agent.reply_id is None:
            self._prepare("" if turn.recorded else turn.text, self._turn)
        self._become_due()
        self._agent.release(self._now_s)

    def _prepare(self, text: str, turn: int) -> None:
        reply_id = self._agent.begin_reply(normalised(text))
        self._do(ev.Prepare(reply_id, turn, text))

    def _say(self, line: ev.Line, time: int = 0, text: str = "") -> None:
        reply_id = self._agent.begin_reply("", line)
        self._agent.released = True
        self._become_due()
        self._do(ev.Say(reply_id, self._turn, line, time, text))

    @property
    def _deaf(self) -> bool:
        """Whether the agent says something that the caller's voice does not interrupt."""
        protected = self._agent.line is ev.Line.GREETING and not self._settings.greeting_interruptible
        protected = protected or (self._agent.line is ev.Line.SAID and not self._said_interruptible)
        return protected or self._ending is not None

    def _become_due(self) -> None:
        self._agent.move(Signal.DUE_OVER_SOUND if self._caller.sounding and not self._deaf else Signal.DUE)

    def _close_reply(self) -> None:
        self._settle()
        if self._agent.reply_id is not None:
            self._do(ev.Close(self._agent.reply_id))
        # a reminder's own time does not count, and does not take the caller's silence back
        self._silent_since_s = self._now_s - (self._silent_before_s if self._agent.line is ev.Line.REMINDER else 0.0)
        self._agent.forget_reply()
        self._agent.move(Signal.DONE)

    def _fail_call(self, reason: EndReason, *, farewell: bool = True) -> None:
        if self._ending or not farewell:
            self._end(self._ending or reason)
            return
        self._give_up_floor()
        self._ending = reason
        self._say(ev.Line.FAREWELL)

    def _settle(self) -> None:
        """The reply has begun to be heard, or will not be: its turn can no longer be taken back."""
        if self._agent.settled or self._agent.reply_id is None:
            return
        self._agent.settled = True
        turn = self._decided
        if turn is None or self._agent.line is not None:
            return
        self._record(turn)
        self._do(*(ev.Measure(part, self._turn, round(seconds * 1000, 1)) for part, seconds in turn.latencies()))
        self._do(ev.Commit(self._agent.reply_id))

    def _record(self, turn: DecidedTurn) -> None:
        """Record a turn of the caller, once; a turn that was not the decided one becomes it, with the next number."""
        if turn is not self._decided:
            self._turn += 1
            self._decided = turn
            self._late_final = False
        if not turn.recorded:
            self._reminded = 0
            self._put_on_record(turn, self._turn)

    def _put_on_record(self, turn: DecidedTurn, number: int, *, aside: bool = False) -> None:
        self._messages += 1
        turn.number = self._messages
        self._do(
            ev.ShowUser(number + aside, turn.text, final=True),
            ev.RecordUser(
                number,
                turn.text,
                turn.start_s,
                turn.end_s,
                turn.confidence,
                typed=turn.typed,
                aside=aside,
                message=turn.number,
            ),
        )

    def _give_up_floor(self, *, continued_by: OpenTurn | None = None) -> None:
        """Stop the agent: what was heard stays, what was not heard is gone.

        A turn whose reply was not heard goes back to the words that continue it; else it is recorded as it stands.
        """
        if self._agent.settled and self._agent.reply_id is not None:
            if self._agent.line is None:
                self._failures = 0
            self._do(ev.Cut(self._agent.reply_id, interrupted=True))
            self._agent.forget_reply()
        self._agent.drop_reply()
        if self._decided is not None and not self._decided.recorded:
            if continued_by is not None:
                continued_by.continue_from(self._decided)
                self._turn -= 1
            else:
                self._record(self._decided)
        self._decided = None
        self._late_final = False
        self._silent_since_s = self._now_s
        self._agent.move(Signal.WORDS)

    def _end(self, reason: EndReason) -> None:
        """End the call at once; what was said and heard so far is recorded."""
        if self._decided is not None:
            self._record(self._decided)
        if self._agent.reply_id is not None:
            self._do(ev.Cut(self._agent.reply_id, interrupted=False))
            self._agent.forget_reply()
        if self._caller.turn is not None and self._caller.turn.text:
            self._record(self._caller.turn.decide(self._caller.last_voice_s))
        self._caller.turn = None
        self._agent.move(Signal.END)
        self._do(ev.EndCall(reason))
