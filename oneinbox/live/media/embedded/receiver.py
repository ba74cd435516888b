"""From RTP packets to the caller's voice: put in order, decoded, gaps filled, cut into 20 ms of 16 kHz.

In order, a packet is heard the moment it arrives: nothing waits in a jitter buffer, because nobody listens here but
machines. A packet that is early waits for the one before it, for 40 ms or three packets; then the missing one is given up
and concealed, from the copy that the next one may carry (Opus FEC) or from what came before (PLC). When nothing
arrives for 200 ms, silence is fed in real time, so that whoever counts the caller's silence goes on counting.
"""

import logging
from collections.abc import Callable

from oneinbox.core.load import Traffic
from oneinbox.live.audio.opus import OpusDecoder, OpusError, packet_samples
from oneinbox.live.audio.tape import Heard
from oneinbox.live.media.embedded.quality import Reception
from oneinbox.live.media.embedded.rtp import CLOCK_HZ, ReceptionReport, RtpPacket, SenderReport

_log = logging.getLogger(__name__)

RATE_HZ = 16_000
FRAME_BYTES = RATE_HZ // 50 * 2

_FRAME_SAMPLES = RATE_HZ // 50
_TICKS_PER_SAMPLE = CLOCK_HZ // RATE_HZ
_PLC_STEP = RATE_HZ // 400  # libopus conceals in steps of 2.5 ms
_PLC_MAX_SAMPLES = RATE_HZ // 10  # beyond 100 ms, invented sound is worse than silence
_GAP_MAX_TICKS = 5 * CLOCK_HZ  # a longer jump of the clock is a new start, not a loss
_HOLD_S = 0.04
_HOLD_PACKETS = 3
_RESTART_DISTANCE = 1000  # a sequence number this far off is a new start (RFC 3550, A.1)
_MISSING_KEPT = 512  # numbers of packets that may still come: ten seconds of them
_FILL_AFTER_S = 0.2
_STALL_S, _AFTER_STALL_S = 0.05, 0.1
"""Where our own process stood still, what came meanwhile still waits in the socket: it gets this long to be read."""


class AudioReceiver:
    """The receiving half of one RTP session. ``deliver`` gets frames of 640 bytes, in order.

    ``heard`` gets what was decoded or concealed, and not the silence that is fed, with its place in the stream.
    """

    def __init__(
        self,
        payload_type: int,
        deliver: Callable[[bytes], None],
        heard: Callable[[Heard], None] | None = None,
        *,
        traffic: Traffic | None = None,
    ) -> None:
        self.payload_type = payload_type
        self._deliver = deliver
        self._heard = heard
        self._stream = object()
        self._traffic = Traffic() if traffic is None else traffic
        self._missing: dict[int, None] = {}
        """Sequence numbers that were given up."""
        self._decoder = OpusDecoder(RATE_HZ)
        self._partial = b""
        self._ssrc: int | None = None
        self._next_sequence = 0
        self._next_timestamp = 0
        self._held: dict[int, tuple[RtpPacket, float]] = {}
        self._heard_at_s: float | None = None
        self._ticked_at_s: float | None = None
        self._filled_samples = 0
        """Silence fed since the last packet: what is later found missing has been made up for by this much."""
        self._statistics = _Statistics()

    @property
    def ssrc(self) -> int | None:
        """Whose stream is heard; ``None`` before the first packet."""
        return self._ssrc

    def start_filling(self, now_s: float) -> None:
        """Feed silence from now on where nothing arrives, though nothing ever did."""
        if self._heard_at_s is None:
            self._heard_at_s = now_s

    def receive(self, packet: RtpPacket, now_s: float) -> None:
        """Take one packet as it comes off the wire. Anything but the caller's Opus is dropped."""
        if packet.payload_type != self.payload_type or not packet.payload:
            return
        distance = (packet.sequence - self._next_sequence + 0x8000 & 0xFFFF) - 0x8000
        if packet.ssrc != self._ssrc or abs(distance) > _RESTART_DISTANCE:
            self._start(packet)
            distance = 0
        self._statistics.count(packet, now_s)
        if distance < 0 or packet.sequence in self._held:
            self._count_needless(packet)
            return
        self._traffic.packets_received += 1
        self._traffic.octets_received += len(packet.payload)
        if distance == 0:
            self._play(packet, now_s)
            if self._held:
                self._release(now_s)
        else:
            self._held[packet.sequence] = (packet, now_s)
            if len(self._held) >= _HOLD_PACKETS:
                self._give_up_waiting(now_s)

    def _count_needless(self, packet: RtpPacket) -> None:
        """A duplicate, or too late: what stood for it is heard already."""
        if packet.sequence in self._missing:
            del self._missing[packet.sequence]
            self._traffic.packets_late += 1
            self._traffic.packets_received += 1
            self._traffic.octets_received += len(packet.payload)
        else:
            self._traffic.packets_duplicate += 1

    def tick(self, now_s: float) -> None:
        """Every 20 ms: give up on what is overdue, and feed silence where nothing comes."""
        if self._held and now_s - min(at_s for _, at_s in self._held.values()) >= _HOLD_S:
            self._give_up_waiting(now_s)
        stalled = self._ticked_at_s is not None and now_s - self._ticked_at_s > _STALL_S
        self._ticked_at_s = now_s
        if self._heard_at_s is None:
            return
        if stalled:
            self._heard_at_s = max(self._heard_at_s, now_s - _FILL_AFTER_S + _AFTER_STALL_S)
        if now_s - self._heard_at_s > _FILL_AFTER_S:
            self._filled_samples += _FRAME_SAMPLES
            self._emit(bytes(FRAME_BYTES))

    def report(self, now_s: float) -> ReceptionReport | None:
        """Return what to tell the sender of its stream; ``None`` before the first packet."""
        return None if self._ssrc is None else self._statistics.report(self._ssrc, now_s)

    @property
    def jitter_s(self) -> float | None:
        """The stream's jitter now (RFC 3550, 6.4.1); ``None`` before the first packet."""
        return None if self._ssrc is None else self._statistics.reception.jitter / CLOCK_HZ

    @property
    def reception(self) -> Reception | None:
        """What came of the stream so far; ``None`` before the first packet."""
        return None if self._ssrc is None else self._statistics.reception

    def note(self, sender: SenderReport, now_s: float) -> None:
        """Take the other side's sender report, which the next report answers."""
        if sender.ssrc == self._ssrc:
            self._statistics.note(sender, now_s)

    def close(self) -> None:
        """Free the decoder."""
        self._decoder.close()

    # ---- order

    def _start(self, packet: RtpPacket) -> None:
        self._ssrc = packet.ssrc
        self._next_sequence, self._next_timestamp = packet.sequence, packet.timestamp
        self._held.clear()
        self._missing.clear()
        self._stream = object()
        self._statistics = _Statistics()

    def _release(self, now_s: float) -> None:
        while (waiting := self._held.pop(self._next_sequence, None)) is not None:
            self._play(waiting[0], now_s)

    def _give_up_waiting(self, now_s: float) -> None:
        nearest = min(self._held, key=lambda sequence: sequence - self._next_sequence & 0xFFFF)
        gap = nearest - self._next_sequence & 0xFFFF
        self._traffic.packets_missing += gap
        for back in range(min(gap, _MISSING_KEPT), 0, -1):
            self._missing[nearest - back & 0xFFFF] = None
        while len(self._missing) > _MISSING_KEPT:
            del self._missing[next(iter(self._missing))]
        self._play(self._held.pop(nearest)[0], now_s)
        self._release(now_s)

    # ---- sound

    def _play(self, packet: RtpPacket, now_s: float) -> None:
        self._next_sequence = packet.sequence + 1 & 0xFFFF
        gap = packet.timestamp - self._next_timestamp & 0xFFFFFFFF
        try:
            samples = packet_samples(packet.payload, RATE_HZ)
            made_up = b""
            if 0 < gap <= _GAP_MAX_TICKS:
                missing = gap // _TICKS_PER_SAMPLE - self._filled_samples
                made_up = self._made_up(missing, packet.payload, samples)
                self._emit(made_up)
            pcm = self._decoder.decode(packet.payload)
        except OpusError as error:
            _log.debug("a packet that is not Opus: %s", error)
            return
        self._filled_samples = 0
        self._heard_at_s = now_s
        self._next_timestamp = packet.timestamp + samples * _TICKS_PER_SAMPLE & 0xFFFFFFFF
        self._emit(pcm)
        if self._heard is not None:
            start = packet.timestamp - len(made_up) // 2 * _TICKS_PER_SAMPLE & 0xFFFFFFFF
            self._heard(Heard(made_up + pcm, start, self._stream, now_s))

    def _made_up(self, missing: int, next_payload: bytes, next_samples: int) -> bytes:
        """Return sound for samples that did not come: from the next packet's copy, invented, or silent."""
        missing -= missing % _PLC_STEP
        if missing <= 0:
            return b""
        recovered = next_samples if missing >= next_samples else 0
        invented = min(missing - recovered, _PLC_MAX_SAMPLES)
        self._traffic.recovered_s += recovered / RATE_HZ
        self._traffic.concealed_s += (missing - recovered) / RATE_HZ
        made_up = self._decoder.conceal(invented) if invented else b""
        made_up += bytes(2 * (missing - recovered - invented))
        return made_up + self._decoder.recover(next_payload, recovered) if recovered else made_up

    def _emit(self, pcm: bytes) -> None:
        if not self._partial and len(pcm) == FRAME_BYTES:  # the ordinary case: one packet of 20 ms
            self._deliver(pcm)
            return
        pcm = self._partial + pcm
        whole = len(pcm) - len(pcm) % FRAME_BYTES
        for start in range(0, whole, FRAME_BYTES):
            self._deliver(pcm[start : start + FRAME_BYTES])
        self._partial = pcm[whole:]


class _Statistics:
    """What a reception report tells (RFC 3550, 6.4.1 and A.3, A.8)."""

    def __init__(self) -> None:
        self._received = 0
        self._first = 0
        self._highest = 0
        """Extended: counts on where the 16 bits of the wire wrap."""
        self._jitter = 0.0
        self._last_transit: float | None = None
        self._expected_before = 0
        self._received_before = 0
        self._sender_report = 0
        self._sender_report_at_s = 0.0

    def count(self, packet: RtpPacket, now_s: float) -> None:
        if self._received == 0:
            self._first = self._highest = packet.sequence
        self._received += 1
        ahead = (packet.sequence - self._highest + 0x8000 & 0xFFFF) - 0x8000
        if ahead >= 0:
            self._highest += ahead
            transit = now_s * CLOCK_HZ - packet.timestamp
            if self._last_transit is not None:
                # both clocks wrap or restart now and then: such a jump is no jitter
                change = abs(transit - self._last_transit)
                if change < CLOCK_HZ:
                    self._jitter += (change - self._jitter) / 16
            self._last_transit = transit

    @property
    def reception(self) -> Reception:
        return Reception(self._highest - self._first + 1, self._received, int(self._jitter))

    def note(self, sender: SenderReport, now_s: float) -> None:
        self._sender_report, self._sender_report_at_s = sender.ntp_middle, now_s

    def report(self, ssrc: int, now_s: float) -> ReceptionReport:
        expected = self._highest - self._first + 1
        expected_since = expected - self._expected_before
        lost_since = expected_since - (self._received - self._received_before)
        self._expected_before, self._received_before = expected, self._received
        fraction = min(255, (lost_since << 8) // expected_since) if expected_since > 0 and lost_since > 0 else 0
        delay = int((now_s - self._sender_report_at_s) * 65_536) & 0xFFFFFFFF if self._sender_report else 0
        return ReceptionReport(
            ssrc,
            fraction,
            expected - self._received,
            self._highest & 0xFFFFFFFF,
            int(self._jitter),
            self._sender_report,
            delay,
        )
