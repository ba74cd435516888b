"""From the agent's voice to RTP packets: one every 20 ms from the first to the last, speech or silence.

Silence costs next to nothing: after the encoder has been led out of the speech, the same three bytes are sent. The
time stamps run on through it, and the first packet of speech carries the marker that lets a client adjust (RFC 3551, 4.1).
"""

import secrets

from oneinbox.live.audio.clips import PreparedFrame
from oneinbox.live.audio.opus import SILENCE_20_MS, OpusEncoder
from oneinbox.live.audio.playout import FRAME_BYTES
from oneinbox.live.media.embedded import rtp

_LEAD_OUT_FRAMES = 2
"""Frames of real silence that are still encoded after speech, so that its end fades as the encoder means it to."""
_FRAME_TICKS = rtp.CLOCK_HZ // 50
_REPORT_EVERY_FRAMES = 150


class AudioSender:
    """The sending half of one RTP session."""

    def __init__(self, cname: str, *, complexity: int = 5) -> None:
        self.payload_type = 0
        self.ssrc = secrets.randbits(32)
        self.payload = SILENCE_20_MS
        """What the latest packet carried."""
        self._cname = cname
        self._encoder = OpusEncoder(complexity=complexity)
        self._sequence = secrets.randbits(15)  # far from wrapping at the start, as SRTP likes it (RFC 3711, 3.3.1)
        self._timestamp = secrets.randbits(32)
        self._silent_frames = _LEAD_OUT_FRAMES
        self._unheard: list[bytes] = []
        """The last frames that went out and did not pass through the encoder."""
        self._packets = 0
        self._octets = 0

    def skip(self, frames: int) -> None:
        """Let ``frames`` of 20 ms pass that will never be sent."""
        self._timestamp = self._timestamp + frames * _FRAME_TICKS & 0xFFFFFFFF

    def next_packet(self, frame: bytes | None) -> bytes:
        """Return the next 20 ms as an RTP packet: a frame of 24 kHz audio (960 bytes), or silence."""
        marker = False
        if frame is not None:
            marker = self._silent_frames >= _LEAD_OUT_FRAMES
            self._silent_frames = 0
            payload = self._prepared(frame) if isinstance(frame, PreparedFrame) else self._encoded(frame)
        elif self._silent_frames < _LEAD_OUT_FRAMES:
            self._silent_frames += 1
            payload = self._encoded(bytes(FRAME_BYTES))
        else:
            payload = SILENCE_20_MS
        packet = rtp.build_rtp(
            payload,
            payload_type=self.payload_type,
            marker=marker,
            sequence=self._sequence,
            timestamp=self._timestamp,
            ssrc=self.ssrc,
        )
        self._sequence = self._sequence + 1 & 0xFFFF
        self._timestamp = self._timestamp + _FRAME_TICKS & 0xFFFFFFFF
        self._packets += 1
        self._octets += len(payload)
        self.payload = payload
        return packet

    def _prepared(self, frame: PreparedFrame) -> bytes:
        self._unheard = [*self._unheard[-1:], frame]
        return frame.packet

    def _encoded(self, frame: bytes) -> bytes:
        """Encode a frame. What was sent just before it without the encoder leads it to where the decoder is."""
        for before in self._unheard:
            self._encoder.encode(before)
        self._unheard.clear()
        return self._encoder.encode(frame)

    @property
    def report_due(self) -> bool:
        """Whether a sender report belongs behind the packet just made: after the first, then every 3 s."""
        return self._packets % _REPORT_EVERY_FRAMES == 1

    def report(self, reception: rtp.ReceptionReport | None) -> bytes:
        """Return a sender report for this moment: what lets a client lay this stream beside others in time."""
        return rtp.build_sender_report(
            ssrc=self.ssrc,
            ntp=rtp.ntp_now(),
            timestamp=self._timestamp,
            packets=self._packets,
            octets=self._octets,
            cname=self._cname,
            report=reception,
        )

    def receiver_report(self, reception: rtp.ReceptionReport) -> bytes:
        """Return the report of one who sends nothing itself."""
        return rtp.build_receiver_report(ssrc=self.ssrc, cname=self._cname, report=reception)

    def goodbye(self) -> bytes:
        """Return the packet that ends the stream."""
        return rtp.build_bye(self.ssrc)

    def close(self) -> None:
        """Free the encoder."""
        self._encoder.close()
