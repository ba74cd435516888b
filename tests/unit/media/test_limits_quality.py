"""How much a client may say, what it may ask the agent, and what it is told of its connection."""

import logging

import pytest
from livekit.protocol import models

from oneinbox.live.media.embedded.limits import Allowance, DataAllowance
from oneinbox.live.media.embedded.quality import QualityWatch, Reception, quality_of
from oneinbox.live.media.embedded.rtp import ReceptionReport
from tests.support.media_world import World


def test_an_allowance_fills_again_but_not_beyond_its_size():
    allowance = Allowance(per_s=2, at_once=3)
    assert [allowance.take(1, 1.0) for _ in range(4)] == [True, True, True, False]
    assert [allowance.take(1, 1.5) for _ in range(2)] == [True, False]
    assert [allowance.take(1, 100.0) for _ in range(4)] == [True, True, True, False]


def test_messages_are_limited_by_number_and_by_size():
    small, big = DataAllowance(), DataAllowance()
    assert sum(small.take(1, 1.0) for _ in range(1000)) == 300
    assert sum(big.take(60_000, 1.0) for _ in range(1000)) == 8
    assert big.exceeded
    assert big.take(60_000, 3.0)
    assert not big.exceeded


async def test_a_flood_of_data_is_dropped_and_logged_once(world: World, caplog):
    world.join()
    packet = models.DataPacket(user=models.UserPacket(payload=b"hi", topic="lk.chat")).SerializeToString()
    with caplog.at_level(logging.WARNING):
        for _ in range(2000):
            world.leg._page.receive(packet)
    assert 300 <= len(world.listener.texts) < 400
    assert 1 <= caplog.text.count("too much data") < 50


async def test_dialled_keys_reach_a_listener_that_wants_them(world: World):
    world.join()
    dialled: list[str] = []
    digits = [models.SipDTMF(code=5, digit="5"), models.SipDTMF(code=11, digit="#"), models.SipDTMF(digit="55")]
    for digit in digits:
        world.leg._page.receive(models.DataPacket(sip_dtmf=digit).SerializeToString())  # this listener does not
    world.listener.on_digit = dialled.append  # type: ignore[attr-defined]  # now it does
    for digit in digits:
        world.leg._page.receive(models.DataPacket(sip_dtmf=digit).SerializeToString())
    assert dialled == ["5", "#"]
    assert world.listener.texts == []


@pytest.mark.parametrize(
    ("loss", "jitter_s", "quality"),
    [
        (0, 0.01, models.EXCELLENT),
        (0.05, 0.01, models.GOOD),
        (0, 0.05, models.GOOD),
        (0.2, 0, models.POOR),
        (0, 0.2, models.POOR),
    ],
)
def test_quality_is_that_of_the_worse_of_loss_and_jitter(loss: float, jitter_s: float, quality: int):
    assert quality_of(loss, jitter_s) == quality


def test_only_a_change_of_quality_is_told():
    watch = QualityWatch()
    lossy = ReceptionReport(1, 51, 0, 0, 480, 0, 0)
    good, poor, lost = models.EXCELLENT, models.POOR, models.LOST
    assert watch.update(alive=True, heard=Reception(100, 100, 0), reported=None) == (good, good)
    assert watch.update(alive=True, heard=Reception(200, 200, 0), reported=None) is None
    assert watch.update(alive=True, heard=Reception(300, 270, 0), reported=lossy) == (poor, poor)
    assert watch.update(alive=True, heard=Reception(50, 50, 0), reported=None) == (good, good)  # a new stream
    assert watch.update(alive=False, heard=Reception(50, 50, 0), reported=None) == (lost, lost)
