"""A caller that costs little: its Opus was encoded once for all, and what it hears is counted, not decoded.

ICE and DTLS are aiortc's, once; from then on packets go past it. So that many callers fit on the cores that the measured
process leaves. LiveKit's client sends more checks and reports and costs that process more: the benchmark runs both at one size.
"""

import asyncio
import base64
import itertools
from typing import Any, cast
from urllib.parse import quote

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp
from livekit.protocol import models, rtc
from websockets.asyncio.client import ClientConnection, connect

from oneinbox.core.tasks import TaskScope
from oneinbox.live.audio.opus import OpusEncoder
from oneinbox.live.media.embedded import rtp

_FRAME_S = 0.02
_FRAME_TICKS = rtp.CLOCK_HZ // 50
_RATE_HZ = 48_000
_NOT_SILENCE_BYTES = rtp.HEADER_BYTES + 8


def encode(pcm: bytes) -> list[bytes]:
    """Return 48 kHz sound as packets of 20 ms, as LiveKit's client would make them."""
    encoder = OpusEncoder(_RATE_HZ, complexity=9)
    size = _RATE_HZ // 50 * 2
    return [encoder.encode(pcm[at : at + size]) for at in range(0, len(pcm) - size + 1, size)]


class LightCaller:
    """One participant that speaks ``packets`` over and over."""

    def __init__(self, packets: list[bytes]) -> None:
        self._packets = itertools.cycle(packets)
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._tasks = TaskScope("light caller")
        self._socket: ClientConnection | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._sequence = self._timestamp = 1000
        self._ssrc = self._payload_type = 0
        self._heard = 0

    async def join(self, url: str, token: str) -> None:
        """Connect, and begin to speak."""
        self._pc.addTransceiver("audio", direction="recvonly")
        microphone = self._pc.addTransceiver("audio", direction="sendonly")
        await self._pc.setLocalDescription(await self._pc.createOffer())
        request = rtc.JoinRequest(
            publisher_offer=rtc.SessionDescription(type="offer", sdp=self._pc.localDescription.sdp)
        )
        request.add_track_requests.add(cid="microphone", type=models.AUDIO, source=models.MICROPHONE)
        wrapped = rtc.WrappedJoinRequest(join_request=request.SerializeToString()).SerializeToString()
        encoded = quote(base64.urlsafe_b64encode(wrapped))
        self._socket = await connect(
            f"{url}/rtc/v1?access_token={token}&join_request={encoded}",
            compression=None,
            ping_interval=None,
            proxy=None,
        )
        answer = await self._answer(self._socket)
        await self._pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await self._add_candidates(answer)
        self._tasks.spawn(self._signal(self._socket), "signal")
        while self._pc.connectionState != "connected":
            if self._pc.connectionState == "failed":
                raise ConnectionError("no connection")
            await asyncio.sleep(0.02)
        self._take_over(microphone)

    async def _answer(self, socket: ClientConnection) -> str:
        while True:
            response = rtc.SignalResponse.FromString(cast(bytes, await socket.recv()))
            if response.HasField("answer"):
                return response.answer.sdp

    async def _add_candidates(self, answer: str) -> None:
        for line in answer.splitlines():
            if line.startswith("a=candidate:") and " udp " in line:
                candidate = candidate_from_sdp(line.removeprefix("a=candidate:"))
                candidate.sdpMid = "0"
                await self._pc.addIceCandidate(candidate)
        await self._pc.addIceCandidate(None)

    async def _signal(self, socket: ClientConnection) -> None:
        async for _ in socket:
            pass

    def _take_over(self, microphone: Any) -> None:
        dtls: Any = microphone.sender.transport
        self._ssrc = microphone.sender._ssrc
        self._payload_type = next(one.payloadType for one in microphone._codecs if one.mimeType == "audio/opus")
        dtls._handle_rtp_data = self._count
        pair: Any = dtls.transport._connection._nominated[1]
        self._protect = dtls._tx_srtp.protect
        self._send, self._address = pair.protocol.transport.sendto, pair.remote_addr
        loop = asyncio.get_running_loop()
        self._due_s = loop.time()
        self._speak()

    async def _count(self, data: bytes, arrival_time_ms: int) -> None:
        del arrival_time_ms
        self._heard += len(data) > _NOT_SILENCE_BYTES

    def _speak(self) -> None:
        loop = asyncio.get_running_loop()
        while self._due_s <= loop.time():
            packet = rtp.build_rtp(
                next(self._packets),
                payload_type=self._payload_type,
                marker=False,
                sequence=self._sequence & 0xFFFF,
                timestamp=self._timestamp & 0xFFFFFFFF,
                ssrc=self._ssrc,
            )
            self._send(self._protect(packet), self._address)
            self._sequence += 1
            self._timestamp += _FRAME_TICKS
            self._due_s += _FRAME_S
        self._timer = loop.call_at(self._due_s, self._speak)

    def take_heard_s(self) -> float:
        """Return how much sound, silence not counted, came since this was last asked."""
        heard, self._heard = self._heard, 0
        return heard * _FRAME_S

    async def leave(self) -> None:
        """Hang up."""
        if self._timer is not None:
            self._timer.cancel()
        await self._tasks.aclose()
        if self._socket is not None:
            await self._socket.close()
        await self._pc.close()
