"""The ports of the engine: what it needs of the world, as Protocols that others fulfil.

Audio is mono signed 16-bit little-endian PCM in ``bytes`` everywhere. From the caller it is 16 kHz in frames of 20 ms
(640 bytes); to the caller it is 24 kHz in pieces of any length. All times are the running event loop's own
(``loop.time()``, seconds), so that a test can run a conversation on a virtual clock.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

HEARD_RATE_HZ = 16_000
"""Sample rate of the caller's audio."""
FRAME_MS = 20
HEARD_FRAME_BYTES = HEARD_RATE_HZ * FRAME_MS // 1000 * 2
SPOKEN_RATE_HZ = 24_000
"""Sample rate of the agent's audio."""
VAD_WINDOW_S = 0.032
"""One probability of speech is given for each window of this length."""


# ---- hearing ----------------------------------------------------------------------------------------------------


class VadStream(Protocol):
    """Voice activity of one call."""

    def push(self, pcm: bytes) -> None:
        """Take 16 kHz audio of any length; probabilities arrive through the callback given to ``open``."""
        ...

    def close(self) -> None:
        """Stop; no callback comes after this."""
        ...


class Vad(Protocol):
    """Voice activity detection for all calls of a process."""

    def open(self, on_probability: Callable[[float], None]) -> VadStream:
        """Start a stream. ``on_probability`` gets the probability of speech, 0-1, window by window, in order."""
        ...


class Echo(Protocol):
    """Tells the agent's own voice in the caller's microphone from the caller's."""

    def heard(self, pcm: bytes) -> None:
        """Take one 20 ms frame of the caller's audio."""
        ...

    def played(self, pcm: bytes, at_s: float) -> None:
        """Take one 20 ms frame that went to the caller at ``at_s`` (24 kHz, as it was sent)."""
        ...

    def is_echo(self, at_s: float) -> bool:
        """Whether what was heard last, up to ``at_s``, is what was played, and nobody speaks with it."""
        ...


class SttPartial(msgspec.Struct, frozen=True, kw_only=True):
    """What the recogniser makes of the utterance so far; may still change."""

    text: str


class SttFinal(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of the utterance that will not change any more. ``text`` is empty when nothing was understood."""

    text: str
    confidence: float | None = None


class SttEndOfTurn(msgspec.Struct, frozen=True, kw_only=True):
    """The recogniser itself says that the caller's turn has ended. Its final came before, and no other need follow."""


SttResult = SttPartial | SttFinal | SttEndOfTurn


class SttStream(Protocol):
    """The recogniser's ear on one call.

    It gets every frame of the call, silence too. The engine also says where its VAD hears speech begin and end, so
    that a recogniser that works on whole utterances knows what to send. After ``speech_ended`` exactly one
    ``SttFinal`` follows (unless speech begins again first), so that the engine can wait for it.
    """

    def push(self, pcm: bytes) -> None:
        """Take one 20 ms frame."""
        ...

    def speech_started(self) -> None:
        """The VAD hears speech. It began up to 400 ms earlier: keep as much audio in hand."""
        ...

    def speech_ended(self) -> None:
        """The VAD has heard silence for long enough to finish the utterance."""
        ...

    def results(self) -> AsyncIterator[SttResult]:
        """Yield results until closed; raises ``ProviderError``. Iterated once."""
        ...

    async def aclose(self) -> None:
        """Free what the stream holds."""
        ...


class Stt(Protocol):
    """Speech to text for one call."""

    async def prepare(self) -> None:
        """Warm up (connections, models) so that the first utterance is quick. Failing is reported later."""
        ...

    def open(self) -> SttStream:
        """Start listening."""
        ...


class EndOfTurnStream(Protocol):
    """The end-of-turn model's ear on one call."""

    def push(self, pcm: bytes) -> None:
        """Take one 20 ms frame of the caller's audio."""
        ...

    def hear_speech(self, *, speech: bool) -> None:
        """Note that the VAD hears speech begin, up to 400 ms late, or end: between turns nothing need be kept."""
        ...

    def judge(self, pause: int, turn_s: float, ago_s: float) -> None:
        """Judge ``turn_s`` seconds that end in a pause, ``ago_s`` ago; the callback gets ``pause`` with the answer.

        No answer comes where one would be too late to be of use. Never blocks.
        """
        ...

    def close(self) -> None:
        """Stop; no callback comes after this."""
        ...


class EndOfTurn(Protocol):
    """A model that hears whether a turn is complete, for all calls of a process."""

    def open(self, on_complete: Callable[[int, float], None]) -> EndOfTurnStream:
        """Start listening to a call. ``on_complete`` gets the pause's number and the probability, 0-1."""
        ...


# ---- thinking ---------------------------------------------------------------------------------------------------


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """The model asks for a tool. ``arguments`` is JSON text, whole."""

    call_id: str
    name: str
    arguments: str


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the history that the language model is given.

    An ``assistant`` message with ``tool_calls`` (its content may be empty) is followed by exactly one ``tool`` message for
    each of them, in order, before anything else.
    """

    role: str
    """``system``, ``user``, ``assistant`` or ``tool``."""
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    """Which call a ``tool`` message answers."""


class TextDelta(msgspec.Struct, frozen=True):
    """A piece of the reply's text."""

    text: str


class HangUp(msgspec.Struct, frozen=True):
    """The agent wants the call to end once what it has said so far has been heard."""


class Suggestions(msgspec.Struct, frozen=True):
    """What the caller could say next, for the page to show. ``phrases`` replaces what was shown before."""

    phrases: tuple[str, ...]


ReplyPart = TextDelta | ToolCall | HangUp | Suggestions


class Llm(Protocol):
    """The language model of one call."""

    async def prepare(self) -> None:
        """Warm up. Failing is reported later, by the first reply."""
        ...

    def opening(self) -> Sequence[ReplyPart]:
        """What is true before the first turn (a scripted agent's first suggestions). Usually nothing."""
        ...

    def reply(self, history: Sequence[ChatMessage]) -> AsyncIterator[ReplyPart]:
        """Stream the reply to ``history``, whose last message is the user's or a tool's; raises ``ProviderError``.

        Closing the iterator abandons the reply. The engine may ask on text that later changes and abandon the
        answer, so asking must have no side effect: see ``committed``.
        """
        ...

    def committed(self, history: Sequence[ChatMessage]) -> None:
        """The reply to this history is the one being spoken: its turn is certain."""
        ...


# ---- acting -----------------------------------------------------------------------------------------------------


class ToolOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool gave back, in words for the language model. No secret stands in it."""

    content: str
    is_error: bool = False


class Tool(Protocol):
    """Something that the language model may do in one call."""

    @property
    def in_background(self) -> bool:
        """Whether the conversation goes on without its result."""
        ...

    @property
    def speaks(self) -> bool:
        """Whether the agent says something while it runs."""
        ...

    @property
    def ends_call(self) -> bool:
        """Whether the call is to end once what was said with it has been heard."""
        ...

    async def run(self, arguments: Mapping[str, Any], *, key: str) -> ToolOutcome:
        """Do it. ``key`` names this one wish of the model: whatever is tried again for it carries the same key.

        Limits its own time. What goes wrong is an outcome, too: it does not raise.
        """
        ...


class Tools(Protocol):
    """The tools of one call."""

    async def prepare(self) -> None:
        """Find out what there is (tool servers). Failing is reported, and costs no more than the tools concerned."""
        ...

    def find(self, name: str) -> Tool | None:
        """Return the tool that the model calls by this name."""
        ...


# ---- speaking ---------------------------------------------------------------------------------------------------


class WordSpoken(msgspec.Struct, frozen=True, gc=False):
    """A vendor's word timing: ``word``, the next of the text, has been said ``end_s`` after the audio's beginning."""

    word: str
    end_s: float


class Tts(Protocol):
    """Text to speech for one call."""

    async def prepare(self) -> None:
        """Warm up. Failing is reported later."""
        ...

    def speak(self, text: str) -> AsyncIterator[bytes | WordSpoken]:
        """Stream 24 kHz PCM of ``text`` as it is made; raises ``ProviderError``. Closing the iterator stops it.

        Word timings may come among it, in order, before or after the audio they are of; where some do, the words
        that were heard are told by them, else estimated.
        """
        ...


class Playout(Protocol):
    """The agent's mouth: a queue of 24 kHz audio that plays out in real time, 20 ms a tick.

    Only real audio counts as played: the silence sent while the queue is empty or paused does not.
    """

    def write(self, pcm: bytes) -> None:
        """Queue audio behind what is queued already."""
        ...

    def clear(self) -> None:
        """Drop all that is queued. At most the frame being sent is still heard."""
        ...

    def pause(self) -> None:
        """Stop playing, keep the queue."""
        ...

    def resume(self) -> None:
        """Go on where ``pause`` stopped."""
        ...

    def set_gain(self, gain: float) -> None:
        """Scale what is played from the next frame on: 1 is as written, 0.2 is ducked."""
        ...

    @property
    def played_samples(self) -> int:
        """Samples of written audio put on the wire since the call began."""
        ...

    @property
    def queued_samples(self) -> int:
        """Samples written and neither played nor cleared."""
        ...

    @property
    def last_frame(self) -> bytes:
        """The last frame that was played, as it was sent: 20 ms of 24 kHz."""
        ...

    def on_frame(self, callback: Callable[[], None] | None) -> None:
        """Call ``callback`` after each 20 ms frame that played written audio; ``None`` takes it back.

        The queue has run dry when ``queued_samples`` is 0 in it.
        """
        ...


class Caption(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of transcript for the participant to see. The same ``segment_id`` replaces what stood before."""

    segment_id: str
    from_agent: bool
    text: str
    final: bool


class Page(Protocol):
    """What the participant sees of the call besides its sound."""

    def show_caption(self, caption: Caption) -> None:
        """Show or replace a stretch of transcript (LiveKit's ``lk.transcription`` text stream)."""
        ...

    def set_attributes(self, attributes: Mapping[str, str]) -> None:
        """Merge into the agent's participant attributes (``lk.agent.state``, ``oi.suggestions``)."""
        ...

    def send_event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Send a reliable data message of topic ``oi.event`` holding ``{"type": kind, **data}`` as JSON."""
        ...
