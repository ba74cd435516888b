"""Scripted providers, a page and a mouth for whole conversations in virtual time (``tests/support/conversation.py``).

Audio carries its own meaning: a voiced frame of the caller is not zero, and every sample of the agent's speech is the number
of the sentence it belongs to, so that the playout knows exactly what was heard.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from oneinbox.core.errors import ProviderError, ProviderErrorKind, Stage
from oneinbox.live.engine.ports import (
    FRAME_MS,
    HEARD_FRAME_BYTES,
    SPOKEN_RATE_HZ,
    Caption,
    ChatMessage,
    ReplyPart,
    SttFinal,
    SttPartial,
    SttResult,
    TextDelta,
)
from tests.support.virtual_time import now_s

FRAME_S = FRAME_MS / 1000
FRAME_SAMPLES = SPOKEN_RATE_HZ * FRAME_MS // 1000
WINDOW_BYTES = 1024


class Talker(Protocol):
    """The caller, as far as the recogniser knows it."""

    def words_to_recognise(self) -> str: ...
    def words_said(self) -> int: ...
    def recognised(self) -> None: ...


# ---- the providers ----------------------------------------------------------------------------------------------


@dataclass
class Fault:
    """How a request fails: after ``after`` pieces, with ``kind``, or by hanging."""

    kind: ProviderErrorKind = ProviderErrorKind.SERVER
    after: int = 0
    hang: bool = False
    bug: bool = False

    async def strike(self, stage: Stage) -> None:
        if self.hang:
            await asyncio.sleep(3600)
        if self.bug:
            raise KeyError("a bug of the adapter")
        raise ProviderError("fake", stage, self.kind, "scripted", retryable=self.kind is not ProviderErrorKind.AUTH)


@dataclass
class FakeLlm:
    """Replies by function of what the caller said; ``faults`` are used up request by request (None: none)."""

    answer: Callable[[str], Sequence[ReplyPart] | str] = lambda said: f"You said {said}. Tell me more about that."
    first_s: float = 0.2
    token_s: float = 0.02
    faults: Sequence[Fault | None] = ()
    opening_parts: Sequence[ReplyPart] = ()
    requests: list[list[ChatMessage]] = field(default_factory=list[list[ChatMessage]])
    certain: list[list[ChatMessage]] = field(default_factory=list[list[ChatMessage]])
    cancelled: int = 0

    async def prepare(self) -> None:
        await asyncio.sleep(0.01)

    def opening(self) -> Sequence[ReplyPart]:
        return self.opening_parts

    def committed(self, history: Sequence[ChatMessage]) -> None:
        self.certain.append(list(history))

    async def reply(self, history: Sequence[ChatMessage]) -> AsyncIterator[ReplyPart]:
        assert_valid(history)
        self.requests.append(list(history))
        fault = self.faults[len(self.requests) - 1] if len(self.requests) <= len(self.faults) else None
        given = self.answer(history[-1].content)
        parts = _tokens(given) if isinstance(given, str) else list(given)
        try:
            await asyncio.sleep(self.first_s)
            for count, part in enumerate(parts):
                if fault is not None and count == fault.after:
                    await fault.strike(Stage.LLM)
                yield part
                await asyncio.sleep(self.token_s)
            if fault is not None:
                await fault.strike(Stage.LLM)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


def _tokens(text: str) -> list[ReplyPart]:
    words = text.split(" ")
    return [TextDelta(word if at == 0 else f" {word}") for at, word in enumerate(words)] if text else []


def assert_valid(history: Sequence[ChatMessage]) -> None:
    """A history that every model accepts: the system first, then roles in turn, nothing empty, the user or a tool last.

    Whoever asks for tools is answered at once, for each of them once.
    """
    roles = [message.role for message in history]
    assert roles[0] == "system", roles
    assert roles[-1] in ("user", "tool"), roles
    assert "system" not in roles[1:], roles
    asked = [call.call_id for message in history for call in message.tool_calls]
    assert len(set(asked)) == len(asked), asked
    owed: list[str] = []
    before = ""
    for message in history:
        assert message.content.strip() or message.tool_calls, history
        assert not message.tool_calls or message.role == "assistant", history
        if message.role == "tool":
            assert owed, history
            assert message.tool_call_id == owed.pop(0), history
        else:
            assert not owed, history
            assert message.role != before or before == "tool", roles
        owed += [call.call_id for call in message.tool_calls]
        before = message.role
    assert not owed, history


class FakeTts:
    """Speaks 60 ms a character; each sample is the number of the sentence (from 1)."""

    def __init__(self, first_s: float = 0.1, pace: float = 4.0, faults: Sequence[Fault | None] = ()) -> None:
        self.first_s = first_s
        self.pace = pace  # times faster than real time
        self.faults = faults
        self.sentences: list[str] = []
        self.lengths: list[int] = []

    async def prepare(self) -> None:
        await asyncio.sleep(0.01)

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        self.sentences.append(text)
        number = len(self.sentences).to_bytes(2, "little")
        samples = int(len(text) * 0.06 * SPOKEN_RATE_HZ)
        self.lengths.append(samples)
        fault = self.faults[len(self.sentences) - 1] if len(self.sentences) <= len(self.faults) else None
        await asyncio.sleep(self.first_s)
        given = count = 0
        while given < samples:
            if fault is not None and count == fault.after:
                await fault.strike(Stage.TTS)
            piece = min(2400, samples - given)
            yield number * piece
            given += piece
            count += 1
            await asyncio.sleep(piece / SPOKEN_RATE_HZ / self.pace)
        if fault is not None:
            await fault.strike(Stage.TTS)


MISHEARD = "ish"


def heard_right(word: str) -> str:
    """Return the word that was said, where ``word`` is what a partial made of it."""
    return word.removesuffix(MISHEARD)


class FakeStt:
    """Hears the words that the caller has said so far; ``final_s`` after the speech has ended it gives them as final."""

    def __init__(
        self,
        final_s: float = 0.15,
        partial_s: float | None = 0.3,
        faults: Mapping[int, Fault] | None = None,
        mute: Sequence[int] = (),
        *,
        mishears: bool = False,
    ) -> None:
        self.final_s = final_s
        self.partial_s = partial_s
        self.faults = dict(faults or {})  # by the number of the utterance
        self.mute = mute  # utterances to which no final comes
        self.mishears = mishears  # the last word of each partial is not what the final will have
        self.caller: Talker | None = None
        self.told: list[tuple[float, int]] = []  # how many of the caller's words were told by when
        self.confirmed: list[tuple[float, int]] = []  # the same, by a final
        self.utterances = 0
        self.opened = 0
        self._stream: FakeSttStream | None = None

    async def prepare(self) -> None:
        await asyncio.sleep(0.01)

    def open(self) -> "FakeSttStream":
        self.opened += 1
        self._stream = FakeSttStream(self)
        return self._stream

    def volunteer(self) -> None:
        """Give a final for words in which the VAD heard no voice."""
        if self._stream is not None:
            self._stream.give_final()

    def note_told(self) -> None:
        assert self.caller is not None
        self.told.append((now_s(), self.caller.words_said()))


class FakeSttStream:
    def __init__(self, stt: FakeStt) -> None:
        self._stt = stt
        self._results: asyncio.Queue[SttResult | Fault] = asyncio.Queue()
        self._job: asyncio.Task[None] | None = None
        self.frames = 0

    def push(self, pcm: bytes) -> None:
        assert len(pcm) == HEARD_FRAME_BYTES
        self.frames += 1

    def speech_started(self) -> None:
        self._set(self._partials())

    def speech_ended(self) -> None:
        self._stt.utterances += 1
        self._set(self._final(self._stt.utterances))

    def _set(self, work: Coroutine[Any, Any, None]) -> None:
        if self._job is not None:
            self._job.cancel()
        self._job = asyncio.get_running_loop().create_task(work)

    def _heard_words(self) -> str:
        assert self._stt.caller is not None
        return self._stt.caller.words_to_recognise()

    async def _partials(self) -> None:
        while self._stt.partial_s is not None:
            await asyncio.sleep(self._stt.partial_s)
            if words := self._heard_words():
                self._stt.note_told()
                self._results.put_nowait(SttPartial(text=words + MISHEARD if self._stt.mishears else words))

    async def _final(self, number: int) -> None:
        await asyncio.sleep(self._stt.final_s)
        if (fault := self._stt.faults.get(number)) is not None:
            self._results.put_nowait(fault)
        elif number not in self._stt.mute:
            self.give_final()

    def give_final(self) -> None:
        text = self._heard_words()
        assert self._stt.caller is not None
        self._stt.note_told()
        self._stt.confirmed.append(self._stt.told[-1])
        self._stt.caller.recognised()
        self._results.put_nowait(SttFinal(text=text, confidence=0.9 if text else None))

    async def results(self) -> AsyncIterator[SttResult]:
        while True:
            result = await self._results.get()
            if isinstance(result, Fault):
                await result.strike(Stage.STT)
            else:
                yield result

    async def aclose(self) -> None:
        if self._job is not None:
            self._job.cancel()


class FakeVad:
    """Hears a voice wherever the caller's audio is not zero."""

    def open(self, on_probability: Callable[[float], None]) -> "FakeVadStream":
        return FakeVadStream(on_probability)


class FakeVadStream:
    def __init__(self, on_probability: Callable[[float], None]) -> None:
        self._on_probability = on_probability
        self._pending = b""
        self._closed = False

    def push(self, pcm: bytes) -> None:
        self._pending += pcm
        while len(self._pending) >= WINDOW_BYTES and not self._closed:
            window, self._pending = self._pending[:WINDOW_BYTES], self._pending[WINDOW_BYTES:]
            self._on_probability(0.95 if window.count(b"\x01") * 2 >= WINDOW_BYTES else 0.02)

    def close(self) -> None:
        self._closed = True


# ---- the page and the mouth -------------------------------------------------------------------------------------


@dataclass
class FakePage:
    captions: list[tuple[float, Caption]] = field(default_factory=list[tuple[float, Caption]])
    attributes: list[tuple[float, dict[str, str]]] = field(default_factory=list[tuple[float, dict[str, str]]])

    def show_caption(self, caption: Caption) -> None:
        self.captions.append((now_s(), caption))

    def set_attributes(self, attributes: Mapping[str, str]) -> None:
        self.attributes.append((now_s(), dict(attributes)))

    def send_event(self, kind: str, data: Mapping[str, Any]) -> None: ...

    @property
    def states(self) -> list[str]:
        return [values["lk.agent.state"] for _, values in self.attributes if "lk.agent.state" in values]

    def last_captions(self) -> dict[str, Caption]:
        """The last caption of every segment."""
        return {caption.segment_id: caption for _, caption in self.captions}


class FakePlayout:
    """Plays 20 ms a tick in virtual time and notes, frame by frame, which sentence sounded and how loud."""

    def __init__(self) -> None:
        self._queue = bytearray()
        self._played = 0
        self._last_frame = b""
        self._paused = False
        self._gain = 1.0
        self._callback: Callable[[], None] | None = None
        self._ticking = False
        self._next_s = 0.0
        self.frames: list[tuple[float, int, float]] = []
        """(time, sentence, gain) of every frame heard."""
        self.heard: Counter[int] = Counter()
        """Samples heard of each sentence."""

    def write(self, pcm: bytes) -> None:
        self._queue += pcm
        self._wake()

    def clear(self) -> None:
        self._queue.clear()

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._wake()

    def set_gain(self, gain: float) -> None:
        self._gain = gain

    @property
    def played_samples(self) -> int:
        return self._played

    @property
    def queued_samples(self) -> int:
        return len(self._queue) // 2

    @property
    def last_frame(self) -> bytes:
        return self._last_frame

    def on_frame(self, callback: Callable[[], None] | None) -> None:
        self._callback = callback

    def _wake(self) -> None:
        if self._queue and not self._paused and not self._ticking:
            self._ticking = True
            self._next_s = max(self._next_s + FRAME_S, now_s())
            asyncio.get_running_loop().call_at(self._next_s, self._tick)

    def _tick(self) -> None:
        self._ticking = False
        if self._queue and not self._paused:
            frame = bytes(self._queue[: FRAME_SAMPLES * 2])
            del self._queue[: FRAME_SAMPLES * 2]
            self._played += len(frame) // 2
            self._last_frame = frame
            self.frames.append((now_s(), int.from_bytes(frame[:2], "little"), self._gain))
            if frame[:2] == frame[-2:]:
                self.heard[int.from_bytes(frame[:2], "little")] += len(frame) // 2
            else:
                self.heard.update(memoryview(frame).cast("H"))
            if self._callback is not None:
                self._callback()
        self._wake()

    @property
    def sounding(self) -> bool:
        return bool(self._queue) and not self._paused
