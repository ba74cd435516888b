"""The two sides of a call inside the turn machine: what each does, and since when. Pure, like the machine itself."""

from collections.abc import Callable

from oneinbox.live.engine import turn_events as ev
from oneinbox.live.engine.endpointing import Endpointing
from oneinbox.live.engine.ports import VAD_WINDOW_S
from oneinbox.live.engine.turn_table import AGENT_TABLE, CALLER_TABLE, Agent, Caller, Signal
from oneinbox.live.engine.utterance import OpenTurn

OnMove = Callable[[Caller | Agent, Signal], None]

NEVER_S = float("inf")
EPSILON_S = 1e-6
"""Times are compared with this slack, because sums of floats miss their sum."""

_LEVELS = {Agent.DUCKED: ev.Level.DUCKED, Agent.YIELDED: ev.Level.SILENT, Agent.HOLDING: ev.Level.SILENT}
_SHOWN = {
    Agent.LISTENING: ev.AgentState.LISTENING,
    Agent.THINKING: ev.AgentState.THINKING,
    Agent.HOLDING: ev.AgentState.THINKING,
    Agent.SPEAKING: ev.AgentState.SPEAKING,
    Agent.DUCKED: ev.AgentState.SPEAKING,
}


class CallerSide:
    """The caller: from the VAD's probabilities to sound, speech and pauses."""

    def __init__(self, policy: Endpointing, on_move: OnMove | None) -> None:
        self.state = Caller.QUIET
        self.turn: OpenTurn | None = None
        """The turn that is open: there has been speech, or words, since the last was decided."""
        self.last_voice_s = -NEVER_S
        self.hushed = True
        """The last window of the VAD held no voice."""
        self.sound_s = 0.0
        """How long the present sound, or the last, has been voiced."""
        self._policy = policy
        self._on_move = on_move
        self._onset_s = 0.0
        self._before = (self.last_voice_s, self.sound_s)

    @property
    def sounding(self) -> bool:
        """Whether the caller makes a sound now."""
        return self.state is Caller.ONSET or self.state is Caller.SPEAKING

    def move(self, signal: Signal) -> bool:
        """Move along the table; return whether there was a row."""
        if (after := CALLER_TABLE.get((self.state, signal))) is None:
            return False
        if self._on_move:
            self._on_move(self.state, signal)
        self.state = after
        return True

    def hear(self, probability: float, at_s: float) -> tuple[Signal, ...]:
        """Take a window of the VAD; return what it turned out to be the beginning of."""
        self.hushed = probability < (self._policy.silence_at if self.sounding else self._policy.voice_at)
        if self.hushed:
            return ()
        heard: tuple[Signal, ...] = ()
        if not self.sounding:
            self._before = (self.last_voice_s, self.sound_s)
            self._onset_s = at_s - VAD_WINDOW_S
            self.sound_s = 0.0
            self.move(Signal.SOUND)
            heard = (Signal.SOUND,)
        self.last_voice_s = at_s
        self.sound_s += VAD_WINDOW_S
        if self.sound_s >= self._policy.start_s - EPSILON_S and self.move(Signal.SPEECH):
            self.turn = self.turn or OpenTurn(start_s=self._onset_s)
            heard += (Signal.SPEECH,)
        return heard

    def open_turn(self, at_s: float) -> OpenTurn:
        """Open a turn with words in which no speech was heard; a sound that has just begun becomes part of it."""
        self.move(Signal.WORDS)
        self.turn = OpenTurn(start_s=at_s)
        self.last_voice_s = at_s
        self._before = (at_s, self.sound_s)
        return self.turn

    def fade(self, at_s: float) -> Signal | None:
        """Notice silence: ``FADED`` where speech has paused, ``NO_WORDS`` where a sound was never speech."""
        if at_s + EPSILON_S < self.fades_at_s:
            return None
        if self.state is Caller.SPEAKING:
            self.move(Signal.FADED)
            return Signal.FADED
        self.last_voice_s, self.sound_s = self._before
        self.move(Signal.FADED if self.turn is None else Signal.FADED_IN_TURN)
        return Signal.NO_WORDS

    @property
    def fades_at_s(self) -> float:
        """When the present sound is over, if no more voice comes."""
        if not self.sounding:
            return NEVER_S
        if self.state is Caller.ONSET:
            return self.last_voice_s + self._policy.fade_s
        signalled = self.turn is not None and self.turn.signalled
        return self.last_voice_s + (
            min(self._policy.signalled_s, self._policy.pause_s) if signalled else self._policy.pause_s
        )


class AgentSide:
    """The agent: its state, and the reply that it prepares or speaks."""

    def __init__(self, on_move: OnMove | None) -> None:
        self.state = Agent.LISTENING
        self.out: list[ev.AnyCommand] = []
        """Commands of the event at hand."""
        self.reply_id: int | None = None
        self.reply_key = ""
        """The words the reply answers, normalised."""
        self.line: ev.Line | None = None
        """What the reply says, where it is not the language model's."""
        self.released = False
        self.settled = False
        """The reply has begun to be heard."""
        self.waiting_since_s: float | None = None
        """Since when the reply should be heard and has nothing to play."""
        self.queued = False
        """There is, or was, audio of the reply to play."""
        self.fillers = 0
        """How often the caller was asked to wait for the reply."""
        self.acts = False
        """The reply runs tools, or wants to."""
        self._replies = 0
        self._level = ev.Level.FULL
        self._shown = ev.AgentState.INITIALIZING
        self._on_move = on_move

    def move(self, signal: Signal) -> bool:
        """Move along the table, with the mouth's level and the shown state; return whether there was a row."""
        if (after := AGENT_TABLE.get((self.state, signal))) is None:
            return False
        if self._on_move:
            self._on_move(self.state, signal)
        self.state = after
        if (level := _LEVELS.get(after, ev.Level.FULL)) is not self._level:
            self._level = level
            self.out.append(ev.SetLevel(level))
        self.show_own()
        return True

    def show_own(self) -> None:
        """Show the state that the agent is in; one that has fallen silent over its tools thinks."""
        shown = _SHOWN.get(self.state, self._shown)
        if shown is ev.AgentState.SPEAKING and self.acts and self.waiting_since_s is not None:
            shown = ev.AgentState.THINKING
        self.show(shown)

    def show(self, state: ev.AgentState) -> None:
        """Show ``state`` to the page, if it is not shown already."""
        if state is not self._shown:
            self._shown = state
            self.out.append(ev.ShowState(state))

    def is_current(self, reply_id: int) -> bool:
        """Whether this is the reply that is being heard, or is to be heard next."""
        return self.released and reply_id == self.reply_id

    def begin_reply(self, key: str, line: ev.Line | None = None) -> int:
        """Take up a new reply; return its number."""
        self.forget_reply()
        self._replies += 1
        self.reply_id, self.reply_key, self.line = self._replies, key, line
        return self._replies

    def release(self, waiting_since_s: float) -> None:
        """Let the prepared reply be heard."""
        if self.reply_id is not None:
            self.released = True
            self.waiting_since_s = waiting_since_s
            self.out.append(ev.Release(self.reply_id))

    def drop_reply(self) -> None:
        """Abandon the reply unheard."""
        if self.reply_id is not None:
            self.out.append(ev.Drop(self.reply_id))
        self.forget_reply()

    def forget_reply(self) -> None:
        """There is no reply any more."""
        self.reply_id, self.reply_key, self.line = None, "", None
        self.released = self.settled = self.queued = False
        self.waiting_since_s = None
        self.fillers = 0
        self.acts = False
