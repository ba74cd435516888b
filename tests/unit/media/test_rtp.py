import pytest
from aiortc.rtp import (
    RtcpPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    RtpPacket,
)
from hypothesis import given
from hypothesis import strategies as st

from oneinbox.live.media.embedded import rtp


def test_what_is_built_is_what_aiortc_reads():
    packet = rtp.build_rtp(b"payload", payload_type=111, marker=True, sequence=65_535, timestamp=2**32 - 1, ssrc=7)
    read = RtpPacket.parse(packet)
    assert (read.payload_type, read.marker, read.sequence_number) == (111, 1, 65_535)
    assert (read.timestamp, read.ssrc, read.payload) == (2**32 - 1, 7, b"payload")


def test_what_aiortc_builds_is_read():
    packet = RtpPacket(payload_type=111, marker=1, sequence_number=12, timestamp=34, ssrc=56, payload=b"x")
    packet.csrc = [1, 2]
    assert rtp.parse_rtp(packet.serialize()) == rtp.RtpPacket(111, True, 12, 34, 56, b"x")


def test_padding_and_extensions_are_taken_off():
    extended = bytes.fromhex("906f0001000000020000000300000004be") + b""
    with pytest.raises(rtp.MalformedPacketError):
        rtp.parse_rtp(extended)
    extended = bytes.fromhex("906f000100000002 00000003 bede0001 10aa0000") + b"voice"
    assert rtp.parse_rtp(extended).payload == b"voice"
    padded = bytes.fromhex("a06f0001 00000002 00000003") + b"voice" + b"\0\0\3"
    assert rtp.parse_rtp(padded).payload == b"voice"


@pytest.mark.parametrize(
    "packet",
    [
        "806f0001",  # no header
        "406f0001 00000002 00000003",  # version 1
        "8f6f0001 00000002 00000003",  # 15 sources that are not there
        "906f0001 00000002 00000003 bede0010",  # an extension that is not there
        "906f0001 00000002 00000003",  # not even its header
        "a06f0001 00000002 00000003 ff",  # more padding than packet
        "a06f0001 00000002 00000003 00",  # padding of nothing
    ],
)
def test_a_packet_that_does_not_add_up_is_refused(packet: str):
    with pytest.raises(rtp.MalformedPacketError):
        rtp.parse_rtp(bytes.fromhex(packet))


@given(st.binary(max_size=80))
def test_no_bytes_can_do_more_than_be_refused(data: bytes):
    for parse in (rtp.parse_rtp, rtp.parse_rtcp):
        try:
            parse(data)
        except rtp.MalformedPacketError:
            pass


def test_rtcp_is_told_from_rtp_on_one_port():
    assert rtp.is_rtcp(bytes([0x80, 200]))
    assert rtp.is_rtcp(bytes([0x81, 206]))
    assert not rtp.is_rtcp(bytes([0x80, 111]))
    assert not rtp.is_rtcp(bytes([0x80, 111 | 0x80]))


def test_a_sender_report_is_what_aiortc_reads():
    report = rtp.ReceptionReport(9, 64, -3, 70_000, 480, 0x12345678, 65_536)
    packet = rtp.build_sender_report(
        ssrc=5, ntp=(10 << 32) + 20, timestamp=30, packets=40, octets=50, cname="PA_1", report=report
    )
    sender, names = RtcpPacket.parse(packet)
    assert isinstance(sender, RtcpSrPacket)
    assert sender.sender_info == RtcpSenderInfo(
        ntp_timestamp=(10 << 32) + 20, rtp_timestamp=30, packet_count=40, octet_count=50
    )
    assert sender.reports == [RtcpReceiverInfo(9, 64, -3, 70_000, 480, 0x12345678, 65_536)]
    assert isinstance(names, RtcpSdesPacket)
    assert names.chunks[0].items == [(1, b"PA_1")]


def test_reports_of_others_are_read():
    block = RtcpReceiverInfo(5, 12, -1, 100, 3, 0xABCD, 7)
    info = RtcpSenderInfo(ntp_timestamp=0x1122334455667788, rtp_timestamp=1, packet_count=2, octet_count=3)
    compound = bytes(RtcpSrPacket(ssrc=8, sender_info=info, reports=[block])) + bytes(
        RtcpRrPacket(ssrc=8, reports=[block])
    )
    senders, reports = rtp.parse_rtcp(compound)
    assert senders == [rtp.SenderReport(8, 0x33445566)]
    assert reports == [rtp.ReceptionReport(5, 12, -1, 100, 3, 0xABCD, 7)] * 2


def test_the_ntp_clock_runs_since_1900():
    assert rtp.ntp_now() >> 32 > 3_900_000_000


def test_a_goodbye_is_a_compound_packet():
    kinds = [type(packet).__name__ for packet in RtcpPacket.parse(rtp.build_bye(3))]
    assert kinds == ["RtcpRrPacket", "RtcpByePacket"]


def test_one_who_only_receives_reports_too():
    told = rtp.ReceptionReport(7, 25, -3, 70_000, 480, 9, 10)
    packet = rtp.build_receiver_report(ssrc=5, cname="PA_a", report=told)
    assert rtp.parse_rtcp(packet) == ([], [told])
    receiver, source = RtcpPacket.parse(packet)
    assert receiver.ssrc == 5
    assert (receiver.reports[0].ssrc, receiver.reports[0].packets_lost) == (7, -3)
    assert source.chunks[0].items == [(1, b"PA_a")]
