"""A caller with a loudspeaker: what the agent says comes back through the microphone, in virtual time, as real sound."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import numpy as np

from oneinbox.core.events import AnyCallEvent, MessageAdded
from oneinbox.core.spec import TurnSpec
from oneinbox.live.audio.echo import EchoGuard
from oneinbox.live.audio.playout import FRAME_BYTES, PlayoutQueue
from oneinbox.live.engine.loop import Conversation
from oneinbox.live.engine.ports import Vad
from tests.support.conversation import make_spec
from tests.support.scripted import FakeLlm, FakePage, FakeStt
from tests.support.speech import flite
from tests.support.virtual_time import now_s

FRAME_S = 0.02


class FliteTts:
    """Speaks with a flite voice, all of it at once."""

    def __init__(self, voice: str = "slt") -> None:
        self._voice = voice

    async def prepare(self) -> None: ...

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        await asyncio.sleep(0.1)
        yield flite(text, self._voice, 24_000)


class Words:
    """What the recogniser hears: nothing until ``said`` is set."""

    said = ""

    def words_to_recognise(self) -> str:
        return self.said

    def words_said(self) -> int:
        return len(self.said.split())

    def recognised(self) -> None: ...


@dataclass
class Room:
    """One call: the agent's voice returns ``delay_s`` later at ``level_db``; ``voice`` (16 kHz) speaks at ``speaks_at_s``."""

    vad: Callable[[], Vad]
    text: str
    delay_s: float = 0.1
    level_db: float | None = -12.0
    noise_db: float = -60.0
    voice: bytes = b""
    speaks_at_s: float = 3.0
    words: str = "can I ask something"
    seconds: float = 12.0
    guarded: bool = True
    heard: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    """When each frame was heard, since the call began, and how loud (0-1)."""
    events: list[AnyCallEvent] = field(default_factory=list[AnyCallEvent])

    @property
    def messages(self) -> list[MessageAdded]:
        return [event for event in self.events if isinstance(event, MessageAdded)]

    async def call(self) -> None:
        stt, words, playout = FakeStt(partial_s=0.2), Words(), PlayoutQueue()
        stt.caller = words
        conversation = Conversation(
            make_spec(first_message=self.text, turns=TurnSpec(silence_timeout_s=0, max_duration_s=self.seconds)),
            stt=stt,
            llm=FakeLlm(),
            tts=FliteTts(),
            vad=self.vad(),
            playout=playout,
            page=FakePage(),
            emit=self.events.append,
            echo=EchoGuard() if self.guarded else None,
        )
        await conversation.prepare()
        async with asyncio.TaskGroup() as group:
            air = group.create_task(self._carry_sound(conversation, playout, words))
            await conversation.run()
            air.cancel()

    async def _carry_sound(self, conversation: Conversation, playout: PlayoutQueue, words: Words) -> None:
        gain = 0.0 if self.level_db is None else 10 ** (self.level_db / 20)
        out: list[np.ndarray] = [np.zeros(320)] * (round(self.delay_s / FRAME_S) + 1)
        dice, started_s, number = np.random.default_rng(7), now_s(), 0
        noise = 32_767 * 10 ** (self.noise_db / 20)
        while True:
            at_s = now_s() - started_s
            frame = playout.pull()
            played = np.frombuffer(frame or bytes(FRAME_BYTES), np.int16).astype(float)
            if frame is not None:
                self.heard.append((at_s, float(np.abs(played).max()) / 32_767))
            out.append(np.interp(np.arange(320) * 1.5, np.arange(480), played))
            playout.frame_sent()
            into = out.pop(0) * gain + dice.standard_normal(320) * noise
            begun = number - round(self.speaks_at_s / FRAME_S)
            if self.voice and begun >= 0:
                spoken = np.frombuffer(self.voice[begun * 640 :][:640].ljust(640, b"\0"), np.int16)
                into = into + spoken
                if begun == 20:
                    words.said = self.words
            conversation.push_audio(np.clip(into, -32_768, 32_767).astype("<i2").tobytes())
            number += 1
            await asyncio.sleep(max(0.0, started_s + number * FRAME_S - now_s()))
