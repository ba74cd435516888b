"""LiveKit's own Python client as a participant that plays a recording and keeps what it hears and sees."""

import asyncio
from typing import Any

import numpy as np
from livekit import rtc

from tests.support.media_signal import Samples

HEARD_HZ = 48_000
_SPOKEN_HZ = 16_000
_FRAME_SAMPLES = _SPOKEN_HZ // 100


class MediaClient:
    """One participant. ``captions`` are (identity, segment, text, final) in the order they came."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.captions: list[tuple[str, str, str, bool]] = []
        self.caption_tracks: set[str | None] = set()
        self.events: list[bytes] = []
        self.attributes: dict[str, str] = {}
        self.subscribed = 0
        self.resumed = 0
        """How often it came back, whether by resuming or by joining again."""
        self.disconnected: int | None = None
        self._heard: list[Samples] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._source: rtc.AudioSource | None = None

    async def join(
        self,
        url: str,
        token: str,
        *,
        publish: bool = True,
        dual: bool = False,
        rtc_config: rtc.RtcConfiguration | None = None,
    ) -> "MediaClient":
        """``dual``: by the older signalling, with two PeerConnections."""
        room = self.room
        room.on("track_subscribed", self._on_track)
        room.on("data_received", lambda packet: self.events.append(packet.data))
        room.on("participant_attributes_changed", lambda changed, who: self.attributes.update(changed))
        room.on("reconnected", self._on_resumed)
        room.on("disconnected", self._on_disconnected)
        room.register_text_stream_handler("lk.transcription", self._on_text)
        await room.connect(url, token, rtc.RoomOptions(single_peer_connection=not dual, rtc_config=rtc_config))
        if publish:
            await self.publish()
        return self

    async def publish(self) -> None:
        self._source = rtc.AudioSource(_SPOKEN_HZ, 1, queue_size_ms=100)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False, red=False)
        await self.room.local_participant.publish_track(track, options)

    async def say(self, pcm: bytes) -> None:
        """Play 16 kHz audio into the microphone, in real time."""
        assert self._source is not None
        size = _FRAME_SAMPLES * 2
        for at in range(0, len(pcm) - size + 1, size):
            await self._source.capture_frame(rtc.AudioFrame(pcm[at : at + size], _SPOKEN_HZ, 1, _FRAME_SAMPLES))

    def heard(self) -> Samples:
        """Return the 48 kHz audio received so far, and forget it."""
        taken, self._heard = self._heard, []
        return np.concatenate([np.zeros(0), *taken])

    async def leave(self) -> None:
        await self.room.disconnect()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._source is not None:
            await self._source.aclose()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_track(self, track: rtc.Track, publication: Any, participant: Any) -> None:
        self.subscribed += 1
        self._spawn(self._listen(track))

    async def _listen(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=HEARD_HZ, num_channels=1)
        try:
            async for event in stream:
                self._heard.append(np.frombuffer(event.frame.data, dtype=np.int16).astype(np.float64))
        finally:
            await stream.aclose()

    def _on_text(self, reader: rtc.TextStreamReader, identity: str) -> None:
        self._spawn(self._read(reader, identity))

    async def _read(self, reader: rtc.TextStreamReader, identity: str) -> None:
        attributes = reader.info.attributes or {}
        final = attributes["lk.transcription_final"] == "true"
        segment = attributes["lk.segment_id"]
        self.caption_tracks.add(attributes.get("lk.transcribed_track_id"))
        place = len(self.captions)  # the readers are tasks of their own: the order is that of the streams' beginnings
        self.captions.append((identity, segment, "", final))
        self.captions[place] = (identity, segment, await reader.read_all(), final)

    def _on_resumed(self) -> None:
        self.resumed += 1

    def _on_disconnected(self, reason: int) -> None:
        self.disconnected = reason
