"""A caller in real time: speaks clips, listens to the agent, and notes what happened when.

It reacts as a person does: asks when the agent is quiet, cuts in some time after the agent has begun, waits until it has
ended. Frames of 20 ms go to the engine at a steady pace; the scripted recogniser tells what was said.
"""

import asyncio
import time
from array import array
from dataclasses import dataclass, field
from typing import Protocol

from bench.turns.clips import Clip
from bench.turns.script import FRAME_S, HEARD_RATE_HZ, STT_FINAL_S, STT_INTERIM_S

FRAME_BYTES = int(FRAME_S * HEARD_RATE_HZ) * 2
_SILENCE = bytes(FRAME_BYTES)
QUIET_S = 0.6
GIVE_UP_S = 8.0

Clips = dict[str, list[tuple[Clip, bytes]]]


class Session(Protocol):
    """One call of an engine."""

    def push(self, pcm: bytes) -> None: ...
    def interim(self, text: str) -> None: ...
    def final(self, text: str) -> None: ...
    async def close(self) -> None: ...


@dataclass
class Said:
    """Something the caller said, or another sound it made."""

    step: str
    """What for: normal, barge-in, cough, mm-hm, noise, pause400, pause800."""
    clip: str
    stretches: list[tuple[float, float]]
    """Of speech, or the sound's own."""
    over_agent: bool
    """The agent was speaking when it began."""


@dataclass
class Heard:
    """What the caller heard and did. Times by ``time.perf_counter()``."""

    frames: "array[float]" = field(default_factory=lambda: array("d"))
    """Start, seconds and level against full of every frame of the agent's voice, one after the other."""
    said: list[Said] = field(default_factory=list[Said])

    def play(self, seconds: float, level: float) -> None:
        self.frames.extend((time.perf_counter(), seconds, level))

    @property
    def begun_s(self) -> float:
        """When the last frame began; 0 before the first."""
        return self.frames[-3] if self.frames else 0.0

    @property
    def last_s(self) -> float:
        """When the last frame ended."""
        return self.frames[-3] + self.frames[-2] if self.frames else 0.0


class Caller:
    """Plays one of the scripts below, over and over."""

    def __init__(self, number: int, session: Session, heard: Heard, clips: Clips) -> None:
        self._number = number
        self._session = session
        self._heard = heard
        self._clips = clips
        self._uses: dict[str, int] = {}
        self._audio = b""
        self._at = 0
        self._clip_done = asyncio.Event()

    # ---- the microphone

    async def microphone(self, until_s: float) -> None:
        """Send a frame every 20 ms, on a steady grid of this caller's own."""
        next_s = time.perf_counter()
        while next_s < until_s:
            frame = self._audio[self._at : self._at + FRAME_BYTES]
            self._at += FRAME_BYTES
            self._session.push(frame.ljust(FRAME_BYTES, b"\0") if frame else _SILENCE)
            if frame and self._at >= len(self._audio):
                self._audio = b""
                self._clip_done.set()
            next_s += FRAME_S
            delay_s = next_s - time.perf_counter()
            await asyncio.sleep(max(0.0, delay_s))

    async def _say(self, step: str, kind: str) -> None:
        """Speak a clip of ``kind``; each caller goes through them from another one on."""
        use = self._uses[kind] = self._uses.get(kind, self._number) + 1
        clip, pcm = self._clips[kind][use % len(self._clips[kind])]
        start_s = time.perf_counter()
        speaking = start_s - self._heard.last_s < 0.1
        stretches = [(start_s + a, start_s + b) for a, b, _ in clip.stretches] or [(start_s, start_s + clip.seconds)]
        self._heard.said.append(Said(step, clip.name, stretches, over_agent=speaking))
        loop = asyncio.get_running_loop()
        for from_s, to_s, text in clip.stretches:
            words = text.split()
            at_s = from_s + STT_INTERIM_S
            while at_s < to_s:
                known = words[: int(len(words) * (at_s - from_s) / (to_s - from_s))]
                if known:
                    loop.call_later(at_s + STT_FINAL_S, self._session.interim, " ".join(known))
                at_s += STT_INTERIM_S
            loop.call_later(to_s + STT_FINAL_S, self._session.final, text)
        self._audio, self._at = pcm, 0
        self._clip_done.clear()
        await self._clip_done.wait()

    # ---- ears

    async def _reply_begins(self, since_s: float) -> bool:
        """Wait for the agent's first sound after ``since_s``; return whether it came."""
        while time.perf_counter() - since_s < GIVE_UP_S:
            if self._heard.begun_s > since_s + 0.15:
                return True
            await asyncio.sleep(0.02)
        return False

    async def _hear_out(self) -> None:
        end_s = time.perf_counter() + 25
        while time.perf_counter() < end_s and time.perf_counter() - self._heard.last_s < QUIET_S:
            await asyncio.sleep(0.03)

    # ---- the script

    async def _ask(self, step: str, kind: str) -> bool:
        await self._say(step, kind)
        return await self._reply_begins(time.perf_counter())

    async def _normal(self) -> None:
        await self._ask("normal", "short")

    async def _barge_in(self) -> None:
        if await self._ask("normal", "long"):
            await asyncio.sleep(1.5)
            await self._ask("barge-in", "interruption")

    async def _disturb(self, kind: str) -> None:
        """Make a sound into the long answer, listen what comes of it, and cut in."""
        if await self._ask("normal", "long"):
            await asyncio.sleep(1.0)
            await self._say(kind, kind)
            await asyncio.sleep(2.6)
            await self._ask("barge-in", "interruption")

    async def _cough(self) -> None:
        await self._disturb("cough")

    async def _hum(self) -> None:
        await self._disturb("mm-hm")

    async def _noise(self) -> None:
        await self._disturb("noise")

    async def _pause_400(self) -> None:
        await self._ask("pause400", "pause400")

    async def _pause_800(self) -> None:
        await self._ask("pause800", "pause800")

    async def talk(self, script: str) -> None:
        """Play ``script`` (``talk`` or ``all``) until cancelled; callers begin at different places of it."""
        parts = {
            "talk": [self._normal, self._barge_in, self._normal],
            "all": [self._normal, self._cough, self._pause_400, self._hum, self._pause_800, self._noise],
        }[script]
        await asyncio.sleep(0.3 + 0.137 * (self._number % 20))
        place = self._number
        while True:
            await parts[place % len(parts)]()
            await self._hear_out()
            await asyncio.sleep(0.3)
            place += 1
