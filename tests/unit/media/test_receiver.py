import random

import pytest

from oneinbox.live.audio.opus import OpusEncoder
from oneinbox.live.media.embedded.receiver import FRAME_BYTES, AudioReceiver
from oneinbox.live.media.embedded.rtp import RtpPacket, SenderReport
from tests.support.media_signal import babble, likeness, samples, tone

SECONDS = 2
SOURCE = babble(SECONDS, 48_000)
SPOKEN = samples(SOURCE)[::2].astype("<i2").tobytes()


def packets(
    frame_ms: int = 20, *, pcm: bytes = SPOKEN, sequence: int = 65_500, timestamp: int = 2**32 - 5000, ssrc: int = 1
) -> list[RtpPacket]:
    encoder, size = OpusEncoder(expected_loss_pct=20), 24 * frame_ms * 2
    return [
        RtpPacket(
            111,
            False,
            sequence + n & 0xFFFF,
            timestamp + n * 48 * frame_ms & 0xFFFFFFFF,
            ssrc,
            encoder.encode(pcm[at : at + size]),
        )
        for n, at in enumerate(range(0, len(pcm) - size + 1, size))
    ]


class Ear:
    def __init__(self):
        self.frames: list[bytes] = []
        self.receiver = AudioReceiver(111, self.frames.append)
        self.now_s = 100.0

    def play(self, sent: list[RtpPacket | None], step_s: float = 0.02) -> bytes:
        """Receive one packet (or none) a tick."""
        for packet in sent:
            self.now_s += step_s
            if packet is not None:
                self.receiver.receive(packet, self.now_s)
            self.receiver.tick(self.now_s)
        return self.heard

    @property
    def heard(self) -> bytes:
        return b"".join(self.frames)


def in_order() -> bytes:
    return Ear().play(packets())


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60])
def test_packets_of_any_length_come_out_as_frames_of_20_ms(frame_ms: int):
    ear = Ear()
    heard = ear.play(packets(frame_ms), frame_ms / 1000)
    assert {len(frame) for frame in ear.frames} == {FRAME_BYTES}
    assert len(heard) == pytest.approx(SECONDS * 32_000, abs=60 * 32)
    assert likeness(heard, samples(SOURCE)[::3][:16_000]) > 0.92


def test_in_order_a_packet_is_heard_at_once():
    ear = Ear()
    for count, packet in enumerate(packets(), 1):
        ear.receiver.receive(packet, ear.now_s)
        assert len(ear.frames) == count


def test_neighbours_that_swapped_places_make_no_difference():
    sent = packets()
    for at in range(5, len(sent) - 1, 7):
        sent[at], sent[at + 1] = sent[at + 1], sent[at]
    assert Ear().play(sent) == in_order()


def test_duplicates_make_no_difference():
    sent = [packet for packet in packets() for _ in range(2)]
    assert Ear().play(sent, 0.01) == in_order()


@pytest.mark.parametrize("loss", [0.05, 0.1, 0.2])
def test_time_is_kept_and_speech_stays_speech_where_packets_are_lost(loss: float):
    rng = random.Random(4)
    sent = [packet if n < 3 or rng.random() > loss else None for n, packet in enumerate(packets())]
    sent[-1] = packets()[-1]
    heard = Ear().play([*sent, None, None, None])  # the last may wait a little for one that is lost
    assert len(heard) == len(in_order())
    assert likeness(heard, samples(in_order())[:16_000]) > (0.9 if loss < 0.2 else 0.8)


def test_one_lost_packet_delays_those_behind_it_by_40_ms_at_most():
    sent = packets()
    ear = Ear()
    ear.play([*sent[:10], None])
    assert len(ear.frames) == 10
    ear.play([sent[11]])
    assert len(ear.frames) == 10  # it may still come
    ear.play([sent[12], sent[13]])
    assert len(ear.frames) == 14


def test_a_packet_that_is_too_late_is_not_heard_again():
    sent = packets()
    ear = Ear()
    ear.play([*sent[:10], *sent[11:20], sent[10]])
    assert len(ear.frames) == 20


def test_silence_is_fed_in_real_time_where_nothing_comes_and_the_gap_is_not_filled_twice():
    sent = packets()
    ear = Ear()
    ear.play([*sent[:20], *[None] * 50])
    assert len(ear.frames) == pytest.approx(20 + 50 - 10, abs=1)
    assert not any(samples(ear.frames[-1]))
    ear.play(sent[70:])
    assert len(ear.frames) == len(sent)


def test_what_was_only_delayed_is_heard_after_the_silence():
    sent = packets()
    ear = Ear()
    ear.play([*sent[:20], *[None] * 30])
    for packet in sent[20:51]:
        ear.receiver.receive(packet, ear.now_s)
    assert likeness(ear.heard, samples(in_order())[22 * 320 : 50 * 320]) > 0.95


def test_a_stall_of_our_own_is_not_taken_for_silence_of_the_caller():
    sent = packets()
    ear = Ear()
    ear.play(sent[:20])
    ear.now_s += 0.5
    for _ in range(6):  # the clock makes up for what it missed before the socket is read
        ear.receiver.tick(ear.now_s)
    for packet in sent[20:45]:
        ear.receiver.receive(packet, ear.now_s)
    ear.play(sent[45:])
    assert ear.heard == in_order()


def test_before_the_first_packet_silence_is_fed_only_when_asked_for():
    ear = Ear()
    assert ear.play([None] * 50) == b""
    ear.receiver.start_filling(ear.now_s)
    ear.play([None] * 50)
    assert len(ear.frames) == pytest.approx(40, abs=1)


def test_a_new_source_starts_anew_without_a_gap():
    ear = Ear()
    ear.play(packets()[:20])
    ear.play(packets(sequence=9, timestamp=77, ssrc=2)[:20])
    assert len(ear.frames) == 40


def test_a_clock_that_jumps_is_not_filled_for_hours():
    sent = packets()
    ear = Ear()
    ear.play(sent[:10])
    jumped = [packet._replace(timestamp=packet.timestamp + 3600 * 48_000 & 0xFFFFFFFF) for packet in sent[10:20]]
    ear.play(jumped)
    assert len(ear.frames) == 20


def test_what_is_not_opus_is_dropped_and_what_follows_is_heard():
    sent = packets()
    sent[5] = sent[5]._replace(payload=b"\xff\xff\xff")
    sent[6] = sent[6]._replace(payload_type=0)
    sent[7] = sent[7]._replace(payload=b"")
    ear = Ear()
    ear.play(sent)
    assert len(ear.frames) == len(sent)


def test_a_report_counts_losses_jitter_and_the_delay_since_the_sender_s_own():
    ear = Ear()
    sent = packets(pcm=tone(300, 2, 24_000), sequence=65_530)
    assert ear.receiver.report(ear.now_s) is None
    ear.play([packet if n not in (10, 11) else None for n, packet in enumerate(sent[:20])])
    ear.receiver.note(SenderReport(1, 0xCAFE), ear.now_s)
    ear.receiver.note(SenderReport(99, 0xBAD), ear.now_s)
    report = ear.receiver.report(ear.now_s + 0.5)
    assert report.ssrc == 1
    assert report.packets_lost == 2
    assert report.fraction_lost == (2 << 8) // 20
    assert report.highest_sequence == 65_530 + 19
    assert report.jitter < 10
    assert report.last_sender_report == 0xCAFE
    assert report.delay_since == 32_768
    ear.play(sent[20:40])
    assert ear.receiver.report(ear.now_s).fraction_lost == 0
