"""What the turn machine is told (events) and what it answers (commands). All frozen; all times in seconds, ``loop.time()``."""

from enum import Enum

import msgspec

from oneinbox.core.errors import Stage
from oneinbox.core.events import EndReason


class Line(Enum):
    """Something that the engine says of its own accord, without asking the language model."""

    GREETING = "greeting"
    APOLOGY = "apology"
    """The reply failed; the call goes on."""
    UNHEARD = "unheard"
    """The recogniser failed; the caller should say it again."""
    FAREWELL = "farewell"
    """A provider failed for good; the call ends after this."""
    REMINDER = "reminder"
    """Both sides have been silent for long."""
    SAID = "said"
    """Somebody outside the call had the agent say it."""


class AgentState(Enum):
    """The agent's state as the page sees it (``lk.agent.state``)."""

    INITIALIZING = "initializing"
    LISTENING = "listening"
    THINKING = "thinking"
    SPEAKING = "speaking"


class Level(Enum):
    """How loud the agent's mouth is."""

    FULL = "full"
    DUCKED = "ducked"
    SILENT = "silent"
    """Stopped at the present sample, keeping what is queued."""


# ---- events -----------------------------------------------------------------------------------------------------


class Event(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """Something that happened at ``at_s``."""

    at_s: float


class Started(Event, frozen=True, gc=False):
    """The call's clock starts."""

    greeting: bool
    """The agent speaks first."""


class Voice(Event, frozen=True, gc=False):
    """The VAD's probability of speech in the window that ended at ``at_s``."""

    probability: float


class Partial(Event, frozen=True, gc=False):
    """The recogniser's view of the utterance so far."""

    text: str


class Final(Event, frozen=True, gc=False):
    """A stretch of the utterance that will not change any more."""

    text: str
    confidence: float | None = None


class EndOfTurn(Event, frozen=True, gc=False):
    """The recogniser itself says that the caller's turn has ended; its final came before."""


class Completeness(Event, frozen=True, gc=False):
    """The end-of-turn model's answer to ``AskEndOfTurn``: the probability that the turn is complete."""

    pause: int
    probability: float


class Typed(Event, frozen=True, gc=False):
    """The caller typed or clicked this."""

    text: str


class Dialled(Event, frozen=True, gc=False):
    """The caller pressed a key; what it comes to follows as ``Typed``."""


class SayAsked(Event, frozen=True, gc=False):
    """The agent is to say ``text`` as soon as nobody speaks; with ``interrupt`` it breaks off its own reply for it."""

    text: str
    interruptible: bool = True
    interrupt: bool = False


class SttFailed(Event, frozen=True, gc=False):
    """The recogniser failed and listens afresh. ``fatal``: it will not work again."""

    fatal: bool
    short_lived: bool
    """It had only just been started."""


class Queued(Event, frozen=True, gc=False):
    """There is audio of a reply to play: it should be heard now, unless it is held back."""

    reply_id: int


class Sounded(Event, frozen=True, gc=False):
    """The first frame of a reply, or the first after it ran dry, was put on the wire."""

    reply_id: int


class Settled(Event, frozen=True, gc=False):
    """Enough of a reply has been played that the caller has heard it begin."""

    reply_id: int


class Playing(Event, frozen=True, gc=False):
    """Another second of a reply has been played."""

    reply_id: int


class Dry(Event, frozen=True, gc=False):
    """All that there is of a reply has been played, and more is to come."""

    reply_id: int


class ToolsAsked(Event, frozen=True, gc=False):
    """A reply, heard or not, wants to run tools: its turn has to be certain first."""

    reply_id: int


class Finished(Event, frozen=True, gc=False):
    """A reply has been played to its end, or turned out to hold nothing to say."""

    reply_id: int
    hang_up: bool = False


class Failed(Event, frozen=True, gc=False):
    """A reply cannot be had, or not its rest; what there was of it has been played."""

    reply_id: int
    stage: Stage
    fatal: bool


class Tick(Event, frozen=True, gc=False):
    """Time has passed: the machine's ``deadline_s`` was reached."""


class Away(Event, frozen=True, gc=False):
    """The caller can neither hear nor be heard: its page is being reloaded, or its network is gone."""


class Back(Event, frozen=True, gc=False):
    """The caller is there again."""


class Ended(Event, frozen=True, gc=False):
    """Someone else ends the call."""

    reason: EndReason


AnyEvent = (
    Started | Voice | Partial | Final | EndOfTurn | Completeness | Typed | Dialled | SayAsked | SttFailed | Queued | Sounded | Settled | Playing | Dry | ToolsAsked
    | Finished | Failed | Away | Back | Tick | Ended
)  # fmt: skip

# ---- commands ---------------------------------------------------------------------------------------------------


class Command(msgspec.Struct, frozen=True, gc=False, tag=True, array_like=True):
    """Something to be carried out at once."""


class TellStt(Command, frozen=True, gc=False):
    """Tell the recogniser that speech has started, or ended."""

    speech: bool


class AskEndOfTurn(Command, frozen=True, gc=False):
    """Have the end-of-turn model judge the caller's speech from ``start_s`` to ``end_s``.

    An answer is for the pause of this number.
    """

    pause: int
    start_s: float
    end_s: float


class RestartStt(Command, frozen=True, gc=False):
    """The recogniser never answered: start it afresh."""


class Prepare(Command, frozen=True, gc=False):
    """Ask the language model for a reply and hold it: unheard until released.

    ``text`` are the caller's words that are not recorded yet; empty where all of them are.
    """

    reply_id: int
    turn: int
    text: str


class Say(Command, frozen=True, gc=False):
    """Speak a line as a reply of its own, released at once. ``time`` counts a reminder's repetitions from 0.

    ``text``: the words, where they are not the engine's.
    """

    reply_id: int
    turn: int
    line: Line
    time: int = 0
    text: str = ""


class Release(Command, frozen=True, gc=False):
    """The turn is decided: let a prepared reply be heard."""

    reply_id: int


class Fill(Command, frozen=True, gc=False):
    """The rest of a reply is long in coming: ask the caller for a moment."""

    reply_id: int


class Unstick(Command, frozen=True, gc=False):
    """A reply should be heard, and nothing plays: see that the mouth is open, and report it."""

    reply_id: int


class Commit(Command, frozen=True, gc=False):
    """A reply's turn is certain."""

    reply_id: int


class Drop(Command, frozen=True, gc=False):
    """Abandon a reply of which nothing was heard, without a trace."""

    reply_id: int


class Cut(Command, frozen=True, gc=False):
    """Stop a reply at the present sample and record what was heard."""

    reply_id: int
    interrupted: bool


class Close(Command, frozen=True, gc=False):
    """A reply was played to its end: record it."""

    reply_id: int


class SetLevel(Command, frozen=True, gc=False):
    """Set the mouth's level."""

    level: Level


class ShowState(Command, frozen=True, gc=False):
    """Show the agent's state to the page."""

    state: AgentState


class ShowUser(Command, frozen=True, gc=False):
    """Show the caller's words of ``turn`` so far."""

    turn: int
    text: str
    final: bool


class RecordUser(Command, frozen=True, gc=False):
    """The caller's turn is over and certain. Times as in events.

    ``aside``: words that were not for the agent to answer ("mm-hm"); on the record, but no turn of the history.
    ``message`` counts the caller's messages from 1.
    """

    turn: int
    text: str
    start_s: float
    end_s: float
    confidence: float | None
    typed: bool
    aside: bool = False
    message: int = 0


class AmendUser(Command, frozen=True, gc=False):
    """The final transcript of a recorded turn came late: page, history and record are to hold it."""

    message: int
    text: str
    confidence: float | None


class Measure(Command, frozen=True, gc=False):
    """One part of a turn's latency."""

    part: str
    turn: int
    ms: float


class EndCall(Command, frozen=True, gc=False):
    """The call is over."""

    reason: EndReason


AnyCommand = (
    TellStt | AskEndOfTurn | RestartStt | Prepare | Say | Release | Fill | Unstick | Commit | Drop | Cut | Close | SetLevel | ShowState
    | ShowUser | RecordUser | AmendUser | Measure | EndCall
)  # fmt: skip
