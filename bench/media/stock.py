"""The same endpoint with aiortc as it is shipped in place of our transport: tracks, AudioFrames, its jitter buffer.

Signalling, sockets and clients are the very same; only what carries the audio differs.
"""

import asyncio
import fractions
import time
from typing import Any, cast

import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame
from livekit.protocol import rtc

from bench.media.loopback import stay_on_loopback
from oneinbox.core.link import MediaSettings
from oneinbox.core.load import Traffic
from oneinbox.core.tasks import TaskScope
from oneinbox.live.media.embedded import EmbeddedMedia, signalling
from oneinbox.live.media.embedded.leg import EmbeddedLeg
from oneinbox.live.media.embedded.names import RoomNames
from oneinbox.live.media.embedded.peer import PeerEvents, Timing
from oneinbox.live.media.embedded.session import SignalSession

_RATE_HZ = 48_000
_FRAME_SAMPLES = _RATE_HZ // 50

stay_on_loopback()


class _Voice(MediaStreamTrack):
    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._sent = 0
        self._start_s = 0.0
        t = np.arange(_RATE_HZ) / _RATE_HZ
        self._pcm = (8000 * np.sin(2 * np.pi * 1000 * t)).astype(np.int16)

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        self._start_s = self._start_s or time.monotonic()
        delay_s = self._start_s + self._sent / _RATE_HZ - time.monotonic()
        if delay_s > 0:
            await asyncio.sleep(delay_s)
        at = self._sent % _RATE_HZ
        frame = AudioFrame.from_ndarray(self._pcm[at : at + _FRAME_SAMPLES].reshape(1, -1), "s16", "mono")
        frame.sample_rate = _RATE_HZ
        frame.pts = self._sent
        frame.time_base = fractions.Fraction(1, _RATE_HZ)
        self._sent += _FRAME_SAMPLES
        return frame


class StockPeer:
    """What a leg asks of a peer, on an ``RTCPeerConnection``."""

    def __init__(self, names: RoomNames, events: PeerEvents) -> None:
        self._names = names
        self._events = events
        self._tasks = TaskScope("stock peer")
        self._voice = _Voice()
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        sender: Any = self._pc.addTrack(self._voice)
        sender._stream_id = names.agent_stream_id
        sender._track_id = names.agent_track_sid
        self._pc.on("track", self._on_track)
        self._pc.on("connectionstatechange", self._on_state)
        self.up = self.down = False
        self.timing = Timing(asyncio.get_running_loop().time())
        self.traffic = Traffic()
        self.round_trips_s: list[float] = []
        self.reception = self.reported = self.jitter_s = self.transport = None
        self.path_changes = 0

    async def answer(self, session: SignalSession, offer: rtc.SessionDescription) -> None:
        await self._pc.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        for transceiver in self._pc.getTransceivers():
            if transceiver.kind == "video":
                transceiver.direction = "inactive"
        await self._pc.setLocalDescription(await self._pc.createAnswer())
        mids = {
            str(one.mid): self._names.agent_track_sid
            for one in self._pc.getTransceivers()
            if one.sender.track is self._voice
        }
        session.send(signalling.answer(self._pc.localDescription.sdp, offer.id, mids))

    def start_answering(self, session: SignalSession, offer: rtc.SessionDescription) -> None:
        self._tasks.spawn(self.answer(session, offer), "answer")

    def _on_state(self) -> None:
        if self._pc.connectionState == "connected" and not self.up:
            self.up = True
            self._events.on_up()

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio":
            self._tasks.spawn(self._listen(track), "listen")

    async def _listen(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = cast(AudioFrame, await cast(Any, track).recv())  # what a track of sound gives
                # 48 kHz stereo as it comes: the 16 kHz mono that speech recognition wants would cost extra
                self._events.on_audio(bytes(frame.samples // 3 * 2))
        except MediaStreamError:
            pass

    def is_alive(self, now_s: float) -> bool:
        del now_s
        return self.up

    def is_sending(self, now_s: float) -> bool:
        del now_s
        return self.up

    def start_filling(self, now_s: float) -> None:
        pass

    def tick(self, now_s: float, skipped: int, frame: bytes | None) -> None:
        pass

    async def flush_data(self) -> None:
        pass

    async def aclose(self) -> None:
        self.up = False
        await self._tasks.aclose()
        await self._pc.close()


class _StockLeg(EmbeddedLeg):
    def offered(self, session: SignalSession, offer: rtc.SessionDescription) -> None:
        peer: Any = self._peer
        peer.start_answering(session, offer)

    def tick(self, now_s: float, skipped: int) -> None:
        pass  # aiortc keeps its own time


class StockMedia(EmbeddedMedia):
    """The endpoint with aiortc's own transport."""

    leg_class = _StockLeg

    def __init__(self, settings: MediaSettings) -> None:
        super().__init__(settings, mint_rejoin_token="{}-{}".format)

    def _make_peer(self, names: RoomNames, events: PeerEvents, *, speaks: bool = True) -> Any:
        del speaks  # the load of this benchmark speaks the newer signalling only
        return StockPeer(names, events)
