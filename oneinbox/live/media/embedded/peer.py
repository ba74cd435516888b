"""One PeerConnection's worth of transport: ICE-lite, DTLS, SRTP, RTP both ways and a data channel, for one join.

A client of the newer signalling has one, which answers; one of the older signalling has two (:mod:`pair`), of which the
one that carries the agent's voice offers. A client that joins again gets a new peer.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple

from aiortc import RTCDataChannel, RTCDataChannelParameters
from livekit.protocol import rtc

from oneinbox.core.load import Traffic
from oneinbox.core.tasks import TaskScope
from oneinbox.live.audio.opus import OpusError
from oneinbox.live.audio.tape import Heard
from oneinbox.live.media.embedded import rtp, sdp
from oneinbox.live.media.embedded.aiortc_private import Certificate, SecureTransport, SrtpError, SrtpSession
from oneinbox.live.media.embedded.data import Channel
from oneinbox.live.media.embedded.ice import IceSession
from oneinbox.live.media.embedded.names import RoomNames
from oneinbox.live.media.embedded.port import MediaPort
from oneinbox.live.media.embedded.quality import Reception
from oneinbox.live.media.embedded.receiver import AudioReceiver
from oneinbox.live.media.embedded.sender import AudioSender

_log = logging.getLogger(__name__)

_ALIVE_S = 8.0
"""A client's checks come every 2.5 s or oftener: after this long without anything, its path is broken."""
_STREAMING_S = 0.4
"""A microphone sends a packet every 20 ms, also while it is muted: after this long its stream has stopped."""
_FLUSH_STEPS, _FLUSH_STEP_S = 40, 0.01  # an SCTP receiver may delay its acknowledgement by 200 ms (RFC 9260, 6.2)
_RELIABLE_CHANNEL = "_reliable"
_OUR_CHANNELS = (
    RTCDataChannelParameters(label=_RELIABLE_CHANNEL),
    RTCDataChannelParameters(label="_lossy", ordered=False, maxRetransmits=0),
)
_REPORT_EVERY_TICKS = 150


class PeerEvents(NamedTuple):
    """Who is told what. None of these may block or raise."""

    on_up: Callable[[], None]
    """DTLS and SCTP stand."""
    on_audio: Callable[[bytes], None]
    """One 20 ms frame of 16 kHz audio."""
    on_data: Callable[[bytes], None]
    """One message of a data channel."""
    on_channel: Callable[[Channel | None], None]
    """The reliable data channel is open, or gone, or has room again."""
    on_moved: Callable[[], None] | None = None
    """The client's media comes from another address."""
    on_heard: Callable[[Heard], None] | None = None
    """The same sound as in ``on_audio``, with its place in the stream, and without the silence that was fed."""


class Answer(NamedTuple):
    """What an offer is answered with."""

    sdp: str
    mid_to_track_id: dict[str, str]
    client_sends: bool
    """Whether a microphone is offered."""


class Timing:
    """How long a connection took to come up. Moments are of the loop's clock."""

    def __init__(self, begun_at_s: float) -> None:
        self._begun_at_s = begun_at_s
        self._path_at_s: float | None = None
        self.ice_ms: float | None = None
        """From the join to the first path that was checked."""
        self.dtls_ms: float | None = None
        """From there to the keys of the sound."""

    def path_found(self, now_s: float) -> None:
        """The first path was checked."""
        if self._path_at_s is None:
            self._path_at_s = now_s
            self.ice_ms = round((now_s - self._begun_at_s) * 1000, 1)

    def secured(self, now_s: float) -> None:
        """The handshake is done."""
        if self._path_at_s is not None:
            self.dtls_ms = round((now_s - self._path_at_s) * 1000, 1)


class Peer:
    """The transport of one join. One that does not speak leaves the agent's voice to another."""

    def __init__(
        self,
        *,
        port: MediaPort,
        addresses: tuple[str, ...],
        certificate: Certificate,
        names: RoomNames,
        complexity: int,
        events: PeerEvents,
        speaks: bool = True,
    ) -> None:
        self._port = port
        self._addresses = addresses
        self._names = names
        self._events = events
        self._tasks = TaskScope(f"peer {names.user_sid}")
        self._ice = IceSession(self._on_packet, self._on_path, events.on_moved)
        self._secure = SecureTransport(
            certificate, send=self._ice.send, on_closed=self._on_closed, on_channel=self._on_channel
        )
        self._sender = AudioSender(names.agent_sid, complexity=complexity)
        self._receiver: AudioReceiver | None = None
        self._srtp: tuple[SrtpSession, SrtpSession] | None = None
        self._speaks = speaks
        self._remote: sdp.Offer | None = None
        self._our_offers = 0
        self._ticks = 0
        self._setup = "active"
        self._voice_mid: str | None = None
        self._connecting = False
        self.up = False
        self.down = False
        self.traffic = Traffic()
        self.timing = Timing(asyncio.get_running_loop().time())
        self.round_trips_s: list[float] = []
        """Measured since they were last taken away."""
        self.reported: rtp.ReceptionReport | None = None
        """What the client last said of how it hears the agent."""
        port.add(self._ice)

    # ---- offers

    def answer(self, text: str) -> Answer:
        """Answer an offer, the first or a later one; raises :class:`sdp.BadOfferError`."""
        offer = sdp.parse_offer(text)
        if self._remote is None:
            self._setup = "passive" if offer.setup == "active" else "active"
        elif offer.ufrag != self._remote.ufrag:
            self._port.restart(self._ice)
        self._remote = offer
        self._ice.remote_ufrag = offer.ufrag
        self._voice_mid = sdp.agent_section(offer, self._voice_mid) if self._speaks else None
        microphone = sdp.microphone_section(offer)
        for section in offer.sections:
            if section.mid == self._voice_mid and section.opus is not None:
                self._sender.payload_type = section.opus
        if microphone is not None and microphone.opus is not None:
            if self._receiver is None:
                self._receiver = AudioReceiver(
                    microphone.opus, self._events.on_audio, self._events.on_heard, traffic=self.traffic
                )
            self._receiver.payload_type = microphone.opus
        return Answer(
            self._write_answer(offer, None if microphone is None else microphone.mid),
            {} if self._voice_mid is None else {self._voice_mid: self._names.agent_track_sid},
            microphone is not None,
        )

    def offer(self) -> str:
        """Return an offer of our own. Each but the first restarts ICE (RFC 8445, 2.4)."""
        if self._our_offers:
            self._port.restart(self._ice)
        self._our_offers += 1
        self._voice_mid = sdp.VOICE_MID
        return sdp.write_offer(self._local_side("actpass"), self._voice(), self._our_offers)

    def answered(self, text: str) -> None:
        """Take the answer to our latest offer; raises :class:`sdp.BadOfferError`."""
        answer = sdp.parse_answer(text)
        opus = answer.sections[0].opus
        if opus is None:
            raise sdp.BadOfferError("an answer without Opus")
        if self._remote is None:
            self._setup = "passive" if answer.setup == "active" else "active"
        self._remote = answer
        self._ice.remote_ufrag = answer.ufrag
        self._sender.payload_type = opus
        if self._ice.selected is not None:
            self._on_path()

    def _write_answer(self, offer: sdp.Offer, microphone_mid: str | None) -> str:
        return sdp.write_answer(offer, self._local_side(self._setup), self._voice(), microphone_mid)

    def _local_side(self, setup: str) -> sdp.LocalSide:
        candidates = sdp.host_candidates(
            self._addresses, self._port.number, udp=self._port.udp_enabled, tcp=self._port.tcp_enabled
        )
        return sdp.LocalSide(self._ice.ufrag, self._ice.password, self._secure.fingerprints, setup, candidates)

    def _voice(self) -> sdp.AgentVoice:
        return sdp.AgentVoice(
            self._voice_mid or "",
            self._sender.ssrc,
            self._names.agent_stream_id,
            self._names.agent_track_sid,
            self._names.agent_sid,
        )

    # ---- coming up and going down

    def _on_path(self) -> None:
        self.timing.path_found(asyncio.get_running_loop().time())
        if not self._connecting and self._remote is not None:  # checks may overtake the answer to our offer
            self._connecting = True
            self._tasks.spawn(self._connect(self._remote), "connect")

    async def _connect(self, remote: sdp.Offer) -> None:
        data = next((section for section in remote.sections if section.kind == "application"), None)
        stands = await self._secure.connect(
            remote.fingerprints,
            begins=self._setup == "active",
            sctp_port=None if data is None or data.rejected else data.sctp_port,
            channels=_OUR_CHANNELS if self._our_offers else (),
        )
        if stands:
            self._srtp = self._secure.srtp()
            self.timing.secured(asyncio.get_running_loop().time())
            self.up = True
            self._events.on_up()
        else:
            _log.warning("the DTLS handshake with %s failed", self._names.user_identity)
            self._on_closed()

    def _on_closed(self) -> None:
        if not self.down:
            self.up, self.down = False, True
            self._tasks.spawn(self._secure.end_data(), "end data")
            self._events.on_channel(None)

    def is_alive(self, now_s: float) -> bool:
        """Whether media can flow: the connection stands, and something was heard lately."""
        heard_at_s = self._ice.heard_at_s
        return self.up and heard_at_s is not None and now_s - heard_at_s < _ALIVE_S

    def is_sending(self, now_s: float) -> bool:
        """Whether the client's stream of packets goes on at this moment, which is more than being alive."""
        heard_at_s = self._ice.heard_at_s
        return self.up and heard_at_s is not None and now_s - heard_at_s < _STREAMING_S

    @property
    def reception(self) -> Reception | None:
        """What came of the caller's voice so far."""
        return None if self._receiver is None else self._receiver.reception

    @property
    def jitter_s(self) -> float | None:
        """The jitter of the caller's voice now."""
        return None if self._receiver is None else self._receiver.jitter_s

    @property
    def transport(self) -> str | None:
        """What packets go by: ``udp`` or ``tcp``; ``None`` where there is no path."""
        return None if self._ice.selected is None else self._ice.selected.transport

    @property
    def path_changes(self) -> int:
        """How often the client went over to another path."""
        return self._ice.changes

    async def flush_data(self) -> None:
        """Wait until the client has what was sent to it, for as long as an acknowledgement may be delayed."""
        for _ in range(_FLUSH_STEPS):
            if not self.up or not self._secure.has_unacknowledged_data:
                break
            await asyncio.sleep(_FLUSH_STEP_S)

    async def aclose(self) -> None:
        """Say goodbye and free everything."""
        self.up, was_up = False, self.up
        self.down = True
        if was_up:
            self._send_rtcp(self._sender.goodbye())
        await self._tasks.aclose()
        await self._secure.aclose()
        self._port.remove(self._ice)
        self._sender.close()
        if self._receiver is not None:
            self._receiver.close()
            self._receiver = None

    # ---- packets in

    def _on_packet(self, data: bytes, now_s: float) -> None:
        first = data[0]
        if 128 <= first <= 191 and len(data) > 12:
            if self._srtp is not None:
                self._on_srtp(data, now_s, self._srtp[0])
        elif 20 <= first <= 63:
            self._secure.receive(data)

    def _on_srtp(self, data: bytes, now_s: float, session: SrtpSession) -> None:
        receiver = self._receiver
        try:
            if rtp.is_rtcp(data):
                senders, reports = rtp.parse_rtcp(session.unprotect_rtcp(data))
                self._take_reports(reports)
                if receiver is not None:
                    for sender in senders:
                        receiver.note(sender, now_s)
            else:
                packet = rtp.parse_rtp(session.unprotect(data))
                if receiver is not None:
                    before = receiver.ssrc
                    receiver.receive(packet, now_s)
                    if receiver.ssrc != before:
                        self._port.expect(packet.ssrc, self._ice)
        except (SrtpError, rtp.MalformedPacketError) as error:
            _log.debug("a packet is dropped: %s", error)
            return
        self._ice.confirm(now_s)

    def _take_reports(self, reports: list[rtp.ReceptionReport]) -> None:
        for report in reports:
            if report.ssrc == self._sender.ssrc:
                self.reported = report
                if (round_trip_s := rtp.round_trip_s(report)) is not None:
                    self.round_trips_s = [*self.round_trips_s[-9:], round_trip_s]

    def start_filling(self, now_s: float) -> None:
        """Deliver silence from now on where the client sends nothing."""
        if self._receiver is not None:
            self._receiver.start_filling(now_s)

    # ---- packets out

    def tick(self, now_s: float, skipped: int, frame: bytes | None) -> bytes | None:
        """Every 20 ms: send the agent's next frame (or silence), and let the receiving side keep time.

        Return the Opus packet that was sent, where one was.
        """
        if self._srtp is None or not self.up:
            return None
        sent: bytes | None = None
        if self._voice_mid is None:
            self._report_reception(now_s)
        else:
            self._sender.skip(skipped)
            try:
                packet = self._sender.next_packet(frame)
            except OpusError:
                _log.exception("a frame of %d bytes cannot be encoded", 0 if frame is None else len(frame))
                return None
            self._ice.send(self._srtp[1].protect(packet))
            self.traffic.packets_sent += 1
            self.traffic.octets_sent += len(packet) - rtp.HEADER_BYTES
            sent = self._sender.payload
            if self._sender.report_due:
                reception = None if self._receiver is None else self._receiver.report(now_s)
                self._send_rtcp(self._sender.report(reception))
        self.keep_time(now_s)
        return sent

    def keep_time(self, now_s: float) -> None:
        """Do of a tick what belongs to the receiving side alone."""
        if self._receiver is not None:
            self._receiver.tick(now_s)

    def _report_reception(self, now_s: float) -> None:
        self._ticks += 1
        if self._ticks % _REPORT_EVERY_TICKS == 0 and self._receiver is not None:
            reception = self._receiver.report(now_s)
            if reception is not None:
                self._send_rtcp(self._sender.receiver_report(reception))

    def _send_rtcp(self, packet: bytes) -> None:
        if self._srtp is not None:
            self._ice.send(self._srtp[1].protect_rtcp(packet))

    # ---- data channels

    def _on_channel(self, channel: RTCDataChannel) -> None:
        channel.on("message", self._on_message)
        if channel.label == _RELIABLE_CHANNEL:
            channel.bufferedAmountLowThreshold = 64 * 1024
            channel.on("bufferedamountlow", lambda: self._events.on_channel(channel))
            self._events.on_channel(channel)

    def _on_message(self, message: bytes | str) -> None:
        if isinstance(message, bytes) and len(message) <= sdp.MAX_DATA_MESSAGE_BYTES:
            self._events.on_data(message)


def parse_first_offer(description: rtc.SessionDescription) -> None:
    """Raise :class:`sdp.BadOfferError` where a description is not an offer that could be answered."""
    if description.type != "offer":
        raise sdp.BadOfferError(f"a description of type {description.type!r}")
    sdp.parse_offer(description.sdp)
