"""RTCP reports against figures worked out by hand from RFC 3550, and losses, late packets and FEC as the receiver counts them."""

import numpy as np
import pytest
from aiortc.rtp import RtcpSenderInfo, RtcpSrPacket

from oneinbox.live.audio.opus import OpusDecoder, OpusEncoder
from oneinbox.live.audio.tape import Heard
from oneinbox.live.media.embedded import rtp
from oneinbox.live.media.embedded.receiver import AudioReceiver
from oneinbox.live.media.embedded.rtp import RtpPacket
from tests.support.media_signal import babble, samples

NOISE = babble(4, 24_000, seed=12)


def encoded(count: int, *, loss_pct: int = 0, bitrate_bps: int = 32_000) -> list[bytes]:
    encoder = OpusEncoder(expected_loss_pct=loss_pct, bitrate_bps=bitrate_bps)
    return [encoder.encode(NOISE[960 * n : 960 * n + 960]) for n in range(count)]


PAYLOAD = encoded(1)[0]


class Ear:
    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.heard: list[Heard] = []
        self.receiver = AudioReceiver(111, self.frames.append, self.heard.append)

    def take(self, sequence: int, timestamp: int, at_s: float, payload: bytes = PAYLOAD) -> None:
        packet = RtpPacket(111, False, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, 1, payload)
        self.receiver.receive(packet, at_s)

    def report(self, at_s: float) -> rtp.ReceptionReport:
        found = self.receiver.report(at_s)
        assert found is not None
        return found


def test_jitter_is_that_of_appendix_a_8():
    ear = Ear()
    for n, at_ms in enumerate((0, 20, 50, 60)):
        ear.take(n, 960 * n, 1000 + at_ms / 1000)
    # |D| in ticks: 0, 480, 480. J: 0, 0 + 480/16 = 30, 30 + (480 - 30)/16 = 58.125
    assert ear.report(1001).jitter == 58


def test_a_constant_delay_is_no_jitter_whatever_the_clocks_show():
    ear = Ear()
    for n in range(50):
        ear.take(65_500 + n, 2**32 - 24_000 + 960 * n, 5000.123 + 0.02 * n)
    assert ear.report(5002).jitter == 0


def test_losses_are_counted_over_the_interval_and_in_all():
    ear = Ear()
    for n in range(10):
        if n not in (3, 7):
            ear.take(n, 960 * n, 0.02 * n)
    first = ear.report(1.0)
    assert (first.fraction_lost, first.packets_lost) == (2 * 256 // 10, 2)
    for n in range(10, 30):
        ear.take(n, 960 * n, 0.02 * n)
    second = ear.report(2.0)
    assert (second.fraction_lost, second.packets_lost) == (0, 2)


def test_packets_that_came_twice_make_the_loss_negative_and_never_the_fraction():
    ear = Ear()
    for n in range(10):
        for _ in range(2):
            ear.take(n, 960 * n, 0.02 * n)
    report = ear.report(1.0)
    assert (report.fraction_lost, report.packets_lost) == (0, -10)


def test_the_highest_sequence_counts_on_through_every_wrap():
    ear = Ear()
    ear.receiver = AudioReceiver(111, lambda _: None)
    for n in range(0, 140_000, 250):
        ear.take(65_000 + n, 960 * n, 0.02 * n)
    assert ear.report(9e3).highest_sequence == 65_000 + 139_750


def test_the_example_of_the_rfc_for_the_round_trip():
    """RFC 3550, 6.4.1, figure 2: LSR b705:2000, DLSR 5.25 s, and 6.125 s there and back."""
    info = RtcpSenderInfo(ntp_timestamp=0xB44DB705_20000000, rtp_timestamp=0, packet_count=1, octet_count=1)
    (sender,), _ = rtp.parse_rtcp(bytes(RtcpSrPacket(ssrc=1, sender_info=info, reports=[])))
    assert sender.ntp_middle == 0xB7052000
    ear = Ear()
    ear.take(0, 0, 0.0)
    assert (ear.report(1.0).last_sender_report, ear.report(1.0).delay_since) == (0, 0)
    ear.receiver.note(sender, 100.0)
    report = ear.report(105.25)
    assert (report.last_sender_report, report.delay_since) == (0xB7052000, 0x00054000)
    arrived = 0xB7108000
    assert (arrived - report.last_sender_report - report.delay_since) / 65_536 == 6.125


def test_a_lost_packet_is_restored_from_the_next_one_s_copy_and_invented_where_that_has_none():
    """What stands in the gap is much nearer to what was said with FEC than without."""
    with_copy, without = encoded(60, loss_pct=30, bitrate_bps=40_000), encoded(60)
    errors: list[float] = []
    for packets in (with_copy, without):
        decoder, ear = OpusDecoder(16_000), Ear()
        truth = [samples(decoder.decode(packet)) for packet in packets]
        for n, packet in enumerate(packets):
            if n % 10 != 5:
                ear.take(n, 960 * n, 0.02 * n, packet)
            ear.receiver.tick(0.02 * n + 0.001)
        ear.receiver.tick(9.0)
        gaps = [np.abs(samples(ear.frames[n]) - truth[n]).mean() for n in range(5, 55, 10)]
        errors.append(float(np.mean(gaps)))
        assert len(ear.frames) >= 59
    assert errors[0] < 0.7 * errors[1]


def test_a_late_packet_is_dropped_and_moves_nothing():
    packets, ear = encoded(30), Ear()
    for n in (*range(10), *range(11, 20), 10, *range(20, 30)):
        ear.take(n, 960 * n, 0.02 * n, packets[n])
    assert len(ear.frames) == 30
    assert [sound.timestamp for sound in ear.heard] == sorted(sound.timestamp for sound in ear.heard)


def test_what_is_told_of_the_stream_has_its_place_in_it_and_no_silence_that_was_fed():
    packets, ear = encoded(60), Ear()
    for n in range(60):
        if n not in (7, 8) and not 20 <= n < 45:
            ear.take(n, 4_294_000_000 + 960 * n, 0.02 * n, packets[n])
        ear.receiver.tick(0.02 * n + 0.001)
    stream = ear.heard[0].stream
    for sound in ear.heard:
        assert sound.stream is stream
        start = (sound.timestamp - 4_294_000_000) & 0xFFFFFFFF
        assert start % 120 == 0  # a step of concealment
    behind_loss = next(sound for sound in ear.heard if len(sound.pcm) == 3 * 640)
    assert (behind_loss.timestamp - 4_294_000_000) & 0xFFFFFFFF == 7 * 960
    told = sum(len(sound.pcm) for sound in ear.heard) // 640
    assert told < len(ear.frames)


@pytest.mark.parametrize("delays", [(0.0, 0.0), (0.0, 0.03)])
def test_nothing_is_told_twice(delays: tuple[float, float]):
    ear = Ear()
    for n in range(20):
        ear.take(n, 960 * n, 0.02 * n + delays[n % 2])
    assert [sound.timestamp for sound in ear.heard] == [960 * n for n in range(20)]
