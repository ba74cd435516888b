"""Whole conversations of the real engine in virtual time: a clock that jumps, a scripted caller, scripted providers.

``converse(scene)`` runs one call and returns what everyone saw of it. The caller is a coroutine that speaks, pauses,
coughs, types and hangs up. Audio carries its own meaning: a voiced frame of the caller is not zero, and every sample of the
agent's speech is the number of the sentence it belongs to, so that the playout knows exactly what was heard.
"""

import asyncio
import selectors
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from oneinbox.core.errors import ProviderError, ProviderErrorKind, Stage
from oneinbox.core.events import AnyCallEvent, EndReason, LatencyMeasured, MessageAdded, ProviderFailed, Role
from oneinbox.core.spec import CallSpec, LlmSpec, SttSpec, ToolSpec, TtsSpec, TurnSpec
from oneinbox.live.engine.faults import Patience
from oneinbox.live.engine.lines import FILLERS, LINES
from oneinbox.live.engine.loop import Conversation
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

Result = TypeVar("Result")
FRAME_S = FRAME_MS / 1000
FRAME_SAMPLES = SPOKEN_RATE_HZ * FRAME_MS // 1000
WINDOW_BYTES = 1024
LOUD = b"\x01" * HEARD_FRAME_BYTES
SILENT = b"\x00" * HEARD_FRAME_BYTES

# ---- virtual time -----------------------------------------------------------------------------------------------


class DeadlockError(Exception):
    """Nothing is scheduled and nothing can happen any more: in real time this would hang for ever."""


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: where it would, the loop's clock jumps ahead by that time."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise DeadlockError("nothing is scheduled any more")
            self.loop.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer."""

    def __init__(self) -> None:
        selector = _JumpingSelector()
        selector.loop = self
        self.now_s = 1000.0
        super().__init__(selector)

    def time(self) -> float:
        return self.now_s


def run_virtually(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run ``work`` to its end on a clock that jumps."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work())


def now_s() -> float:
    return asyncio.get_running_loop().time()


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
    faults: list[Fault | None] = field(default_factory=list)
    opening_parts: Sequence[ReplyPart] = ()
    requests: list[list[ChatMessage]] = field(default_factory=list)
    certain: list[list[ChatMessage]] = field(default_factory=list)
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
        fault = self.faults.pop(0) if self.faults else None
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
    """A history that every model accepts: the system first, then roles in turn, nothing empty, the user last."""
    roles = [message.role for message in history]
    assert roles[0] == "system", roles
    assert roles[-1] == "user", roles
    assert all(one != other for one, other in zip(roles, roles[1:], strict=False)), roles
    assert all(message.content.strip() for message in history), history


class FakeTts:
    """Speaks 60 ms a character; each sample is the number of the sentence (from 1)."""

    def __init__(self, first_s: float = 0.1, pace: float = 4.0, faults: list[Fault | None] | None = None) -> None:
        self.first_s = first_s
        self.pace = pace  # times faster than real time
        self.faults = faults or []
        self.sentences: list[str] = []
        self.lengths: list[int] = []

    async def prepare(self) -> None:
        await asyncio.sleep(0.01)

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        self.sentences.append(text)
        number = len(self.sentences).to_bytes(2, "little")
        samples = int(len(text) * 0.06 * SPOKEN_RATE_HZ)
        self.lengths.append(samples)
        fault = self.faults.pop(0) if self.faults else None
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


class FakeStt:
    """Hears the words that the caller has said so far; ``final_s`` after the speech has ended it gives them as final."""

    def __init__(
        self,
        final_s: float = 0.15,
        partial_s: float | None = 0.3,
        faults: Mapping[int, Fault] | None = None,
        mute: Sequence[int] = (),
    ) -> None:
        self.final_s = final_s
        self.partial_s = partial_s
        self.faults = dict(faults or {})  # by the number of the utterance
        self.mute = mute  # utterances to which no final comes
        self.caller: Caller | None = None
        self.told: list[tuple[float, int]] = []  # how many of the caller's words were told by when
        self.utterances = 0
        self.opened = 0

    async def prepare(self) -> None:
        await asyncio.sleep(0.01)

    def open(self) -> "FakeSttStream":
        self.opened += 1
        return FakeSttStream(self)

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

    def _words(self) -> str:
        assert self._stt.caller is not None
        return self._stt.caller.words_to_recognise()

    async def _partials(self) -> None:
        while self._stt.partial_s is not None:
            await asyncio.sleep(self._stt.partial_s)
            if words := self._words():
                self._stt.note_told()
                self._results.put_nowait(SttPartial(text=words))

    async def _final(self, number: int) -> None:
        await asyncio.sleep(self._stt.final_s)
        if (fault := self._stt.faults.get(number)) is not None:
            self._results.put_nowait(fault)
        elif number not in self._stt.mute:
            text = self._words()
            assert self._stt.caller is not None
            self._stt.note_told()
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
    captions: list[tuple[float, Caption]] = field(default_factory=list)
    attributes: list[tuple[float, dict[str, str]]] = field(default_factory=list)

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


# ---- the caller -------------------------------------------------------------------------------------------------


class Caller:
    """Someone who calls. ``WORD_S`` a word; every 20 ms a frame goes to the engine."""

    WORD_S = 0.3

    def __init__(self, conversation: Conversation, playout: FakePlayout) -> None:
        self._conversation = conversation
        self._playout = playout
        self._voice_until_s = 0.0
        self._words: list[tuple[float, str]] = []  # when each word has been said
        self._recognised = 0
        self.voiced: list[tuple[float, float]] = []
        """Stretches of sound."""
        self.spoken: list[tuple[float, float, str]] = []
        """Utterances: start, end, text."""
        self.typed: list[tuple[float, str]] = []

    async def say(self, text: str) -> None:
        """Speak a sentence."""
        start_s = now_s()
        words = text.split()
        self._words += [(start_s + (at + 1) * self.WORD_S, word) for at, word in enumerate(words)]
        await self.make_sound(len(words) * self.WORD_S)
        self.spoken.append((start_s, now_s(), text))

    async def make_sound(self, seconds: float) -> None:
        """Cough, or let something fall: sound without words."""
        start_s = now_s()
        self._voice_until_s = start_s + seconds
        self.voiced.append((start_s, start_s + seconds))
        await asyncio.sleep(seconds)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def hear_out(self, quiet_s: float = 0.6, limit_s: float = 60.0) -> None:
        """Wait until the agent has spoken and then been quiet for a while."""
        await self.hear_begin(limit_s=limit_s)
        end_s = now_s() + limit_s
        while self._playout.frames and now_s() < end_s and now_s() - self._playout.frames[-1][0] < quiet_s:
            await asyncio.sleep(0.05)

    async def hear_begin(self, after_s: float = 0.0, limit_s: float = 60.0) -> None:
        """Wait until the agent begins to speak, and ``after_s`` longer."""
        heard, end_s = len(self._playout.frames), now_s() + limit_s
        while now_s() < end_s and len(self._playout.frames) == heard:
            await asyncio.sleep(0.02)
        await asyncio.sleep(after_s)

    def type(self, text: str) -> None:
        self.typed.append((now_s(), text))
        self._conversation.push_text(text)

    def hang_up(self) -> None:
        self._conversation.end(EndReason.USER_HANGUP)

    def words_to_recognise(self) -> str:
        return " ".join(word for at_s, word in self._words[self._recognised :] if at_s <= now_s() + 1e-6)

    def words_said(self) -> int:
        return sum(1 for at_s, _ in self._words if at_s <= now_s() + 1e-6)

    def recognised(self) -> None:
        self._recognised = self.words_said()

    async def keep_microphone_open(self) -> None:
        while True:
            self._conversation.push_audio(LOUD if now_s() < self._voice_until_s - 1e-6 else SILENT)
            await asyncio.sleep(FRAME_S)


Script = Callable[[Caller], Awaitable[None]]

# ---- a call -----------------------------------------------------------------------------------------------------


def make_spec(
    *, first_message: str | None = None, tools: tuple[ToolSpec, ...] = (), turns: TurnSpec | None = None
) -> CallSpec:
    return CallSpec(
        call_id="call_test",
        org_id="org_test",
        agent_id="agt_test",
        agent_name="Test",
        room_name="web-test",
        identity="caller",
        first_message=first_message,
        llm=LlmSpec(provider="fake-llm", system_prompt="Be kind."),
        stt=SttSpec(provider="fake-stt"),
        tts=TtsSpec(provider="fake-tts"),
        turns=turns or TurnSpec(),
        tools=tools,
    )


@dataclass
class Scene:
    """A call to be played: the caller's script, the providers, the settings."""

    script: Script
    first_message: str | None = None
    turns: TurnSpec = field(default_factory=lambda: TurnSpec(silence_timeout_s=20.0))
    llm: FakeLlm = field(default_factory=FakeLlm)
    stt: FakeStt = field(default_factory=FakeStt)
    tts: FakeTts = field(default_factory=FakeTts)
    tools: tuple[ToolSpec, ...] = ()
    patience: Patience = Patience()
    prepared: bool = True


@dataclass
class Outcome:
    """What everyone saw of a call."""

    reason: EndReason
    started_s: float
    ended_s: float
    events: list[AnyCallEvent]
    page: FakePage
    playout: FakePlayout
    caller: Caller
    scene: Scene
    tasks_left: int

    @property
    def messages(self) -> list[MessageAdded]:
        return [event for event in self.events if isinstance(event, MessageAdded)]

    @property
    def talk(self) -> list[tuple[str, str]]:
        """Who said what, as recorded."""
        return [(message.role.value, message.content) for message in self.messages]

    def said_by(self, role: Role) -> list[str]:
        return [message.content for message in self.messages if message.role is role]

    def latencies(self, part: str) -> dict[int, float]:
        return {e.turn: e.ms for e in self.events if isinstance(e, LatencyMeasured) and e.part == part}

    @property
    def faults(self) -> list[tuple[str, str]]:
        return [(e.stage, e.kind) for e in self.events if isinstance(e, ProviderFailed)]

    def words_played(self) -> list[str]:
        """The words of which the last sample was played, straight from the playout, sentence by sentence."""
        words: list[str] = []
        for number in self.playout.heard:
            text = self.scene.tts.sentences[number - 1]
            share = (self.playout.heard[number] + 2) / self.scene.tts.lengths[number - 1]
            end = 0
            for word in text.split():
                end = text.index(word, end) + len(word)
                if end <= len(text) * min(1.0, share) + 1e-9:
                    words.append(word)
        return words

    def frames_between(self, start_s: float, end_s: float) -> list[tuple[float, int, float]]:
        return [frame for frame in self.playout.frames if start_s <= frame[0] < end_s]


def converse(scene: Scene) -> Outcome:
    """Play a whole call in virtual time; fails where it would hang."""
    return run_virtually(lambda: _converse(scene))


async def _converse(scene: Scene) -> Outcome:
    events: list[AnyCallEvent] = []
    page, playout = FakePage(), FakePlayout()
    spec = make_spec(first_message=scene.first_message, tools=scene.tools, turns=scene.turns)
    conversation = Conversation(
        spec,
        stt=scene.stt,
        llm=scene.llm,
        tts=scene.tts,
        vad=FakeVad(),
        playout=playout,
        page=page,
        emit=events.append,
        patience=scene.patience,
    )
    caller = scene.stt.caller = Caller(conversation, playout)
    if scene.prepared:
        await conversation.prepare()
    started_s = now_s()
    async with asyncio.TaskGroup() as group:
        microphone = group.create_task(caller.keep_microphone_open())
        script = group.create_task(_play(scene.script, caller))
        async with asyncio.timeout(scene.turns.max_duration_s + 30):
            reason = await conversation.run()
        microphone.cancel()
        script.cancel()
    ended_s = now_s()
    heard = len(playout.frames)
    await asyncio.sleep(1)
    assert len(playout.frames) == heard or reason is EndReason.INTERNAL_ERROR, "something played after the end"
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    return Outcome(reason, started_s, ended_s, events, page, playout, caller, scene, len(left))


async def _play(script: Script, caller: Caller) -> None:
    await script(caller)


OWN_LINES = {*LINES.values(), *FILLERS}
