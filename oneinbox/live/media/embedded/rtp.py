"""RTP and RTCP as bytes (RFC 3550): only what one Opus stream each way needs.

Nothing here trusts a length that the wire names: a packet that does not add up is :class:`MalformedPacketError`.
"""

import struct
import time
from typing import NamedTuple

CLOCK_HZ = 48_000
"""Opus in RTP always counts 48 kHz, whatever is inside (RFC 7587, 4.1)."""

_VERSION = 2
_HEADER = struct.Struct("!BBHII")
HEADER_BYTES = _HEADER.size
_EXTENSION = struct.Struct("!HH")
_RTCP_HEADER = struct.Struct("!BBH")
_SENDER_INFO = struct.Struct("!IIIIII")
_REPORT = struct.Struct("!IIIIII")
_SR, _RR, _SDES, _BYE = 200, 201, 202, 203
_CNAME = 1
_NTP_EPOCH_S = 2_208_988_800  # from 1900 to 1970
_LOST_LIMIT = 0x7FFFFF
_ROUND_TRIP_LIMIT_S = 30


class MalformedPacketError(ValueError):
    """These bytes are not the packet they should be."""


class RtpPacket(NamedTuple):
    """One RTP packet: its header's fields and its payload, without padding or extensions."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def is_rtcp(packet: bytes) -> bool:
    """Whether a packet on a shared port is RTCP: its second byte is a packet type (RFC 5761, 4)."""
    return 192 <= packet[1] <= 223


def parse_rtp(data: bytes) -> RtpPacket:
    """Take a decrypted RTP packet apart (RFC 3550, 5.1)."""
    size = len(data)
    if size < _HEADER.size:
        raise MalformedPacketError(f"{size} bytes are too few for an RTP header")
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if first >> 6 != _VERSION:
        raise MalformedPacketError(f"RTP version {first >> 6}")
    start, end = _HEADER.size, size
    if first & 0x3F:  # padding, an extension or contributing sources: not in an ordinary packet
        start += 4 * (first & 0x0F)
        if first & 0x10:
            if start + _EXTENSION.size > end:
                raise MalformedPacketError("the header extension is cut off")
            start += _EXTENSION.size + 4 * _EXTENSION.unpack_from(data, start)[1]
        if first & 0x20:
            end -= data[-1]
            if data[-1] == 0:
                raise MalformedPacketError("padding of no length")
        if start > end:
            raise MalformedPacketError("the header is longer than the packet")
    return RtpPacket(second & 0x7F, second > 0x7F, sequence, timestamp, ssrc, data[start:end])


def build_rtp(payload: bytes, *, payload_type: int, marker: bool, sequence: int, timestamp: int, ssrc: int) -> bytes:
    """Put a plain RTP packet together."""
    return _HEADER.pack(0x80, payload_type | marker << 7, sequence, timestamp, ssrc) + payload


class ReceptionReport(NamedTuple):
    """What one side received of the other's stream (RFC 3550, 6.4.1)."""

    ssrc: int
    fraction_lost: int
    """Of 256, since the last report."""
    packets_lost: int
    highest_sequence: int
    jitter: int
    """In ticks of the RTP clock."""
    last_sender_report: int
    """The middle 32 bits of the NTP time of the last sender report; 0: none yet."""
    delay_since: int
    """From that sender report to this one, in 1/65536 s."""


class SenderReport(NamedTuple):
    """The other side's sender report, and when it says that it was made."""

    ssrc: int
    ntp_middle: int


def ntp_now() -> int:
    """Return the present moment as a 64-bit NTP timestamp."""
    seconds, fraction_ns = divmod(time.time_ns(), 1_000_000_000)
    return (seconds + _NTP_EPOCH_S) << 32 | (fraction_ns << 32) // 1_000_000_000


def round_trip_s(report: ReceptionReport) -> float | None:
    """Return how long it is to the one who reports and back (RFC 3550, 6.4.1); ``None`` where that cannot be told."""
    if report.last_sender_report == 0:
        return None
    units = ((ntp_now() >> 16) - report.last_sender_report - report.delay_since) & 0xFFFFFFFF
    # A clock that was set meanwhile, or a report that makes no sense, gives some other moment of the 18 hours.
    return units / 65_536 if units < _ROUND_TRIP_LIMIT_S * 65_536 else None


def build_sender_report(
    *, ssrc: int, ntp: int, timestamp: int, packets: int, octets: int, cname: str, report: ReceptionReport | None
) -> bytes:
    """Return a compound packet: a sender report and the name of its source (RFC 3550, 6.4.1 and 6.5.1)."""
    body = _SENDER_INFO.pack(ssrc, ntp >> 32, ntp & 0xFFFFFFFF, timestamp, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF)
    if report is not None:
        body += _pack_report(report)
    return _rtcp(_SR, int(report is not None), body) + _pack_name(ssrc, cname)


def _pack_report(report: ReceptionReport) -> bytes:
    lost = max(-_LOST_LIMIT - 1, min(_LOST_LIMIT, report.packets_lost)) & 0xFFFFFF
    return _REPORT.pack(
        report.ssrc,
        report.fraction_lost << 24 | lost,
        report.highest_sequence,
        report.jitter,
        report.last_sender_report,
        report.delay_since,
    )


def _pack_name(ssrc: int, cname: str) -> bytes:
    name = cname.encode()[:255]
    chunk = struct.pack("!IBB", ssrc, _CNAME, len(name)) + name
    chunk += bytes(4 - len(chunk) % 4)  # ends with at least one zero, on a 32-bit boundary
    return _rtcp(_SDES, 1, chunk)


def build_receiver_report(*, ssrc: int, cname: str, report: ReceptionReport) -> bytes:
    """Return a compound packet of one who only receives: a receiver report and the name of its source."""
    body = struct.pack("!I", ssrc) + _pack_report(report)
    return _rtcp(_RR, 1, body) + _pack_name(ssrc, cname)


def build_bye(ssrc: int) -> bytes:
    """Return an empty receiver report and the goodbye of one source (RFC 3550, 6.6)."""
    source = struct.pack("!I", ssrc)
    return _rtcp(_RR, 0, source) + _rtcp(_BYE, 1, source)


def _rtcp(kind: int, count: int, body: bytes) -> bytes:
    return _RTCP_HEADER.pack(_VERSION << 6 | count, kind, len(body) // 4) + body


def parse_rtcp(data: bytes) -> tuple[list[SenderReport], list[ReceptionReport]]:
    """Return the sender reports and reception reports of a decrypted compound packet; skip what else it holds."""
    senders: list[SenderReport] = []
    reports: list[ReceptionReport] = []
    at = 0
    while at < len(data):
        if at + _RTCP_HEADER.size > len(data):
            raise MalformedPacketError("an RTCP header is cut off")
        first, kind, words = _RTCP_HEADER.unpack_from(data, at)
        body, end = at + _RTCP_HEADER.size, at + _RTCP_HEADER.size + 4 * words
        if first >> 6 != _VERSION or end > len(data):
            raise MalformedPacketError("RTCP of a wrong version or length")
        if kind in (_SR, _RR):
            start = body + (_SENDER_INFO.size if kind == _SR else 4)
            count = first & 0x1F
            if start + count * _REPORT.size > end:
                raise MalformedPacketError("RTCP reports are cut off")
            if kind == _SR:
                ssrc, ntp_high, ntp_low, *_ = _SENDER_INFO.unpack_from(data, body)
                senders.append(SenderReport(ssrc, (ntp_high << 16 | ntp_low >> 16) & 0xFFFFFFFF))
            reports += [_parse_report(data, start + index * _REPORT.size) for index in range(count)]
        at = end
    return senders, reports


def _parse_report(data: bytes, at: int) -> ReceptionReport:
    ssrc, losses, highest, jitter, last, delay = _REPORT.unpack_from(data, at)
    lost = losses & 0xFFFFFF
    return ReceptionReport(ssrc, losses >> 24, lost - (1 << 24) if lost >> 23 else lost, highest, jitter, last, delay)
