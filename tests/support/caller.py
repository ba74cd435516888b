"""A caller made of LiveKit's own Python client: joins a call, speaks, listens, and keeps what it saw."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from livekit import rtc

from oneinbox.live.engine.phrasebook import ENGLISH
from tests.support.running import RunningServer

FILLERS = {*ENGLISH.fillers, *ENGLISH.patience}

RATE_HZ = 48_000
FRAME_SAMPLES = RATE_HZ // 50


class Caption:
    """A stretch of transcript as it stood when it was last updated."""

    def __init__(self, identity: str, text: str, final: bool) -> None:
        self.identity = identity
        self.text = text
        self.final = final
        self.updates = 1


class Caller:
    """One participant. All times are seconds of the monotonic clock."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.captions: dict[str, Caption] = {}
        self.states: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.suggestions: list[str] = []
        self.left_reason: str | None = None
        self.heard: list[tuple[float, np.ndarray]] = []
        self._source = rtc.AudioSource(RATE_HZ, 1, queue_size_ms=200)
        self._to_say: list[np.ndarray] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._stop = asyncio.Event()

    # ---- life -------------------------------------------------------------------------------------------------

    async def join(self, server_url: str, token: str) -> "Caller":
        """Connect, publish a microphone that is silent until :meth:`say`, and listen."""
        room = self.room
        room.on("track_subscribed", self._on_track)
        room.on("disconnected", lambda reason: setattr(self, "left_reason", str(reason)))
        room.on("participant_attributes_changed", self._on_attributes)
        room.on("data_received", self._on_data)
        room.register_text_stream_handler("lk.transcription", self._on_text)
        await room.connect(server_url, token)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await room.local_participant.publish_track(track, options)
        self._tasks.append(asyncio.create_task(self._speak()))
        for participant in room.remote_participants.values():
            self._on_attributes({}, participant)
        return self

    async def leave(self) -> None:
        """Hang up."""
        self._stop.set()
        await self.room.disconnect()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._source.aclose()

    # ---- mouth --------------------------------------------------------------------------------------------------

    def say(self, pcm: bytes, rate_hz: int = 16_000) -> float:
        """Say this audio now; returns its length in seconds."""
        samples = np.frombuffer(pcm, np.int16)
        if rate_hz != RATE_HZ:
            import soxr  # noqa: PLC0415

            samples = soxr.resample(samples, rate_hz, RATE_HZ).astype(np.int16)
        padded = np.pad(samples, (0, -len(samples) % FRAME_SAMPLES))
        self._to_say += list(padded.reshape(-1, FRAME_SAMPLES))
        return len(samples) / RATE_HZ

    async def speak_and_wait(self, pcm: bytes, rate_hz: int = 16_000) -> None:
        """Say this audio and return when it has been said."""
        self.say(pcm, rate_hz)
        while self._to_say:
            await asyncio.sleep(0.02)

    async def type(self, text: str) -> None:
        """Type something."""
        await self.room.local_participant.send_text(text, topic="lk.chat")

    async def _speak(self) -> None:
        silence = np.zeros(FRAME_SAMPLES, np.int16)
        while not self._stop.is_set():
            frame = self._to_say.pop(0) if self._to_say else silence
            await self._source.capture_frame(rtc.AudioFrame(frame.tobytes(), RATE_HZ, 1, FRAME_SAMPLES))

    # ---- ears and eyes ------------------------------------------------------------------------------------------

    def _on_track(self, track: rtc.Track, *_: Any) -> None:
        async def listen() -> None:
            stream = rtc.AudioStream(track, sample_rate=RATE_HZ, num_channels=1, frame_size_ms=20)
            async for event in stream:
                self.heard.append((time.monotonic(), np.frombuffer(event.frame.data, np.int16).copy()))

        self._tasks.append(asyncio.create_task(listen()))

    def _on_text(self, reader: rtc.TextStreamReader, identity: str) -> None:
        async def read() -> None:
            text = await reader.read_all()
            attributes = reader.info.attributes or {}
            segment = attributes.get("lk.segment_id", reader.info.stream_id)
            final = attributes.get("lk.transcription_final") == "true"
            known = self.captions.get(segment)
            if known is None:
                self.captions[segment] = Caption(identity, text, final)
            else:
                known.text, known.final = text, final
                known.updates += 1

        self._tasks.append(asyncio.create_task(read()))

    def _on_attributes(self, _changed: dict[str, str], participant: rtc.Participant) -> None:
        import json  # noqa: PLC0415

        attributes = participant.attributes
        if (state := attributes.get("lk.agent.state")) and (not self.states or self.states[-1] != state):
            self.states.append(state)
        if phrases := attributes.get("oi.suggestions"):
            self.suggestions = json.loads(phrases)

    def _on_data(self, packet: rtc.DataPacket) -> None:
        import json  # noqa: PLC0415

        if packet.topic == "oi.event":
            self.events.append(json.loads(packet.data))

    def said_by_agent(self) -> list[str]:
        """The agent's captions, in order."""
        mine = self.room.local_participant.identity
        return [caption.text for caption in self.captions.values() if caption.identity != mine]

    def answers(self) -> list[str]:
        """What the agent has said to its end, or until it was stopped, in order; a filler alone is no answer."""
        mine = self.room.local_participant.identity
        said = [one.text for one in self.captions.values() if one.identity != mine and one.final]
        return [text for text in said if text not in FILLERS]

    def said_by_user(self, *, final: bool = True) -> list[str]:
        """The caller's own captions, in order."""
        mine = self.room.local_participant.identity
        return [one.text for one in self.captions.values() if one.identity == mine and (one.final or not final)]

    def loudness(self, since_s: float, until_s: float | None = None) -> float:
        """Root mean square of what was heard in a stretch of time, 0-1."""
        parts = [pcm for at, pcm in self.heard if at >= since_s and (until_s is None or at < until_s)]
        if not parts:
            return 0.0
        return float(np.sqrt(np.mean((np.concatenate(parts) / 32768.0) ** 2)))

    async def wait(self, until: Callable[[], Any], limit_s: float = 15.0, what: str = "") -> Any:
        """Return what ``until`` gives as soon as it is true; fails after ``limit_s``."""
        deadline = time.monotonic() + limit_s
        while not (found := until()):
            seen = [(one.identity, one.text, one.final) for one in self.captions.values()]
            assert time.monotonic() < deadline, f"waited {limit_s} s for {what or until}; saw {seen} {self.states}"
            await asyncio.sleep(0.02)
        return found

    async def wait_for_agent(self, words: str, limit_s: float = 20.0) -> None:
        """Return when the agent has said ``words``."""
        await self.wait(
            lambda: any(words.lower() in text.lower() for text in self.said_by_agent()), limit_s, f"{words!r}"
        )

    async def wait_for_answers(self, count: int, limit_s: float = 40.0) -> None:
        """Return when the agent has given ``count`` answers in all (its greeting is one) and falls silent.

        A caption that has begun is not waited with: what it announces may not be heard yet, or be a filler.
        """
        await self.wait(lambda: len(self.answers()) >= count, limit_s, f"{count} answers of the agent")
        await self.wait_until_quiet()

    async def wait_until_quiet(self, quiet_s: float = 0.6, limit_s: float = 30.0) -> None:
        """Return when the agent has been silent for ``quiet_s`` and does not say that it is still speaking.

        On a busy machine a voice may be late with the rest of a sentence.
        """
        await self.wait(
            lambda: (
                self.heard
                and self.loudness(time.monotonic() - quiet_s) < 0.003
                and (not self.states or self.states[-1] != "speaking")
            ),
            limit_s,
            "the agent's silence",
        )


@asynccontextmanager
async def in_call(server: RunningServer) -> AsyncGenerator[tuple[Caller, str], None]:
    """Be in a call of the demo agent, its greeting begun; yields the caller and the call's id, and hangs up."""
    made = await asyncio.to_thread(server.make_call)
    caller = await Caller().join(made["server_url"], made["participant_token"])
    try:
        await caller.wait_for_agent("demo desk")
        yield caller, made["id"]
    finally:
        await caller.leave()
