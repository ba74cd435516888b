import asyncio
import itertools

import pytest
from aiortc.rtp import RtcpPacket, RtpPacket

from oneinbox.live.audio.opus import SILENCE_20_MS, OpusDecoder
from oneinbox.live.media.embedded.sender import AudioSender
from oneinbox.live.media.embedded.ticker import Ticker
from tests.support.media_signal import VirtualLoop, rms, samples, tone

FRAME = tone(500, 0.02, 24_000)


def new_sender() -> AudioSender:
    sender = AudioSender("PA_1")
    sender.payload_type = 111
    return sender


def test_every_20_ms_has_a_packet_and_the_clock_runs_on_through_silence():
    sender = new_sender()
    sent = [
        RtpPacket.parse(sender.next_packet(frame))
        for frame in [None, None, FRAME, FRAME, None, None, None, None, FRAME]
    ]
    assert {packet.ssrc for packet in sent} == {sender.ssrc}
    assert {packet.payload_type for packet in sent} == {111}
    for before, after in itertools.pairwise(sent):
        assert (after.sequence_number - before.sequence_number) & 0xFFFF == 1
        assert (after.timestamp - before.timestamp) & 0xFFFFFFFF == 960
    assert [packet.marker for packet in sent] == [0, 0, 1, 0, 0, 0, 0, 0, 1]
    assert [packet.payload == SILENCE_20_MS for packet in sent] == [
        True,
        True,
        False,
        False,
        False,
        False,
        True,
        True,
        False,
    ]


def test_what_is_sent_is_what_was_written():
    sender, decoder = new_sender(), OpusDecoder()
    heard = b"".join(decoder.decode(RtpPacket.parse(sender.next_packet(FRAME)).payload) for _ in range(25))
    assert rms(samples(heard)[3200:]) == pytest.approx(8000 / 2**0.5, rel=0.1)


def test_skipped_time_moves_the_clock_and_not_the_count():
    sender = new_sender()
    before = RtpPacket.parse(sender.next_packet(None))
    sender.skip(3)
    after = RtpPacket.parse(sender.next_packet(None))
    assert (after.timestamp - before.timestamp) & 0xFFFFFFFF == 960 * 4
    assert (after.sequence_number - before.sequence_number) & 0xFFFF == 1


def test_a_report_is_due_at_once_and_then_every_3_s():
    sender, due = new_sender(), []
    for number in range(400):
        sender.next_packet(None)
        if sender.report_due:
            due.append(number)
    assert due == [0, 150, 300]
    report = RtcpPacket.parse(sender.report(None))[0]
    assert report.sender_info.packet_count == 400
    assert report.sender_info.octet_count == 400 * len(SILENCE_20_MS)
    assert report.ssrc == sender.ssrc


class Member:
    def __init__(self, fails: bool = False):
        self.ticks: list[tuple[float, int]] = []
        self.failed = 0
        self.fails = fails

    def tick(self, now_s: float, skipped: int) -> None:
        self.ticks.append((now_s, skipped))
        if self.fails:
            raise RuntimeError("boom")

    def tick_failed(self) -> None:
        self.failed += 1


def run_virtually(scenario) -> None:
    loop = VirtualLoop()
    try:
        loop.run_until_complete(scenario(loop))
    finally:
        loop.close()


def test_ticks_come_every_20_ms_for_an_hour_without_drift():
    async def scenario(loop):
        ticker, member = Ticker(), Member()
        start_s = loop.time()
        ticker.add(member)
        await asyncio.sleep(3600.01)
        ticker.remove(member)
        assert len(member.ticks) == 180_000
        assert member.ticks[-1][0] - start_s == pytest.approx(3600, abs=0.001)
        assert ticker.take_late_ms() < 0.01

    run_virtually(scenario)


def test_a_short_stall_is_made_up_for():
    async def scenario(loop):
        ticker, member = Ticker(), Member()
        ticker.add(member)
        await asyncio.sleep(0.1)
        loop.now_s += 0.07
        await asyncio.sleep(0.831)
        assert len(member.ticks) == 50
        assert {skipped for _, skipped in member.ticks} == {0}
        assert 50 < ticker.take_late_ms() < 71
        assert ticker.take_late_ms() == 0
        ticker.remove(member)

    run_virtually(scenario)


def test_a_long_stall_is_not_made_up_for_but_counted():
    async def scenario(loop):
        ticker, member = Ticker(), Member()
        ticker.add(member)
        await asyncio.sleep(0.101)
        loop.now_s += 1
        await asyncio.sleep(0.9)
        assert sum(1 + skipped for _, skipped in member.ticks) == 100
        assert 40 < sum(skipped for _, skipped in member.ticks) < 50
        ticker.remove(member)

    run_virtually(scenario)


def test_one_that_fails_is_told_and_dropped_and_the_others_go_on():
    async def scenario(loop):
        ticker, good, bad = Ticker(), Member(), Member(fails=True)
        ticker.add(bad)
        ticker.add(good)
        await asyncio.sleep(0.205)
        assert len(bad.ticks) == bad.failed == 1
        assert len(good.ticks) == 10
        assert len(ticker) == 1
        ticker.remove(good)

    run_virtually(scenario)


def test_a_tick_besides_the_others_moves_none_of_them():
    async def scenario(loop):
        ticker, member, bad = Ticker(), Member(), Member(fails=True)
        start_s = loop.time()
        ticker.add(member)
        await asyncio.sleep(0.03)
        ticker.tick_at_once(member)
        await asyncio.sleep(0.031)
        assert [round(at_s - start_s, 3) for at_s, _ in member.ticks] == [0.02, 0.03, 0.04, 0.06]
        ticker.tick_at_once(bad)  # is not there, or not any more
        assert bad.ticks == []
        ticker.add(bad)
        ticker.tick_at_once(bad)
        assert (len(bad.ticks), bad.failed, len(ticker)) == (1, 1, 1)
        ticker.remove(member)

    run_virtually(scenario)


def test_the_clock_stands_still_while_nobody_needs_it():
    async def scenario(loop):
        ticker, member = Ticker(), Member()
        ticker.add(member)
        ticker.remove(member)
        assert not [handle for handle in loop._scheduled if not handle.cancelled()]
        await asyncio.sleep(5)
        assert member.ticks == []
        ticker.add(member)
        await asyncio.sleep(0.021)
        assert len(member.ticks) == 1
        ticker.remove(member)

    run_virtually(scenario)
