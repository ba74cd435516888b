"""What a leg's connection was like, over all its peers."""

import asyncio
from collections.abc import Callable

import pytest

from oneinbox.core.load import Traffic
from oneinbox.live.media.embedded import rtp
from oneinbox.live.media.embedded.line import Samples
from oneinbox.live.media.embedded.peer import Peer
from oneinbox.live.media.embedded.receiver import AudioReceiver
from oneinbox.live.media.embedded.rtp import ReceptionReport, RtpPacket
from tests.support.media_world import World
from tests.unit.media.test_receiver import packets


def receive(order: Callable[[list[RtpPacket]], list[RtpPacket]]) -> Traffic:
    traffic = Traffic()
    receiver = AudioReceiver(111, lambda _: None, traffic=traffic)
    now_s = 100.0
    for packet in order(packets()):
        now_s += 0.02
        receiver.receive(packet, now_s)
        receiver.tick(now_s)
    receiver.close()
    return traffic


def test_packets_are_counted_as_they_fared() -> None:
    whole = receive(lambda sent: sent)
    assert (whole.packets_received, whole.packets_missing, whole.loss) == (100, 0, 0)
    assert whole.octets_received == sum(len(packet.payload) for packet in packets())

    lost = receive(lambda sent: [*sent[:40], *sent[42:70], *sent[71:]])
    assert (lost.packets_received, lost.packets_lost, lost.packets_late) == (97, 3, 0)
    assert lost.loss == 0.03
    assert lost.concealed_s + lost.recovered_s == pytest.approx(0.06)
    assert lost.recovered_s == pytest.approx(0.04)  # the copy in the packet behind each gap

    late = receive(lambda sent: [*sent[:40], *sent[41:60], sent[40], *sent[60:]])
    assert (late.packets_received, late.packets_late, late.packets_lost) == (100, 1, 0)

    twice = receive(lambda sent: [*sent[:50], sent[49], *sent[50:], sent[10]])
    assert (twice.packets_received, twice.packets_duplicate, twice.packets_missing) == (100, 2, 0)

    swapped = receive(lambda sent: [*sent[:50], sent[51], sent[50], sent[50], *sent[52:]])
    assert (swapped.packets_received, swapped.packets_missing, swapped.packets_duplicate) == (100, 0, 1)


def test_a_round_trip_is_told_by_a_report_and_nonsense_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtp, "ntp_now", lambda: 5_000 << 32 | 1 << 31)  # 5,000.5 s

    def report(sent_s: float, held_s: float) -> ReceptionReport:
        return ReceptionReport(1, 0, 0, 0, 0, int(sent_s * 65_536), int(held_s * 65_536))

    assert rtp.round_trip_s(report(5_000.0, 0.25)) == pytest.approx(0.25)
    assert rtp.round_trip_s(report(5_000.0, 0.75)) is None  # from the future
    assert rtp.round_trip_s(report(4_000.0, 0.0)) is None
    assert rtp.round_trip_s(ReceptionReport(1, 0, 0, 0, 0, 0, 0)) is None  # no sender report came there yet


def test_samples_of_a_long_call_stay_few_and_true() -> None:
    samples = Samples()
    for number in range(100_000):
        samples.add(number / 1e6)
    assert len(samples._kept) < 1024
    assert samples.quantile_ms(0.5) == pytest.approx(50, abs=1)
    assert samples.quantile_ms(0.95) == pytest.approx(95, abs=1)
    assert Samples().quantile_ms(0.5) is None


async def test_the_figures_outlive_a_reload(world: World) -> None:
    assert world.leg.quality() is None
    world.join()
    first = world.leg._peer
    assert isinstance(first, Peer)
    first.traffic.packets_received, first.traffic.packets_sent = 90, 200
    first.traffic.packets_missing = 10
    first.reported = ReceptionReport(1, 0, 20, 0, 480, 0, 0)
    first.round_trips_s = [0.05]
    first.timing.path_found(asyncio.get_running_loop().time())
    before = world.leg.quality()
    assert before is not None
    assert before.rejoins == 0
    world.join(rejoin=True)
    second = world.leg._peer
    assert isinstance(second, Peer)
    assert second is not first
    second.traffic.packets_received, second.traffic.packets_sent = 900, 200
    quality = world.leg.quality()
    assert quality is not None
    assert (quality.packets_received, quality.packets_sent, quality.loss) == (990, 400, 0.01)
    assert (quality.rejoins, quality.resumes) == (1, 0)
    assert quality.agent_loss == 0.1  # what the first connection reported, of what it was sent
    assert quality.agent_jitter_ms == 10
    assert quality.round_trip_ms_p50 == 50
    assert quality.ice_ms is not None
    assert quality.dtls_ms is None


async def test_the_endpoint_counts_legs_that_are_gone(world: World) -> None:
    world.join()
    assert world.leg._peer is not None
    world.leg._peer.traffic.packets_received = 7
    world.leg._peer.round_trips_s = [0.015]
    assert world.media.measure().traffic.packets_received == 7
    await world.leg.aclose()
    after = world.media.measure()
    assert after.traffic.packets_received == 7
    assert sum(after.round_trips.counts) == 1
