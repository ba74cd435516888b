"""The greeting need not wait for the first sound of the microphone; the record of the call does."""

import asyncio
from pathlib import Path

import pytest

from oneinbox.core.events import CallActive, CallEnded, EndReason, GreetingStarted, MessageAdded, ParticipantJoined
from oneinbox.live.audio.tape import TapeDeck
from oneinbox.live.call import ACTIVE_TIMEOUT_S
from tests.support.conversation import SILENT
from tests.support.live_call import GREETING, Connecting, play
from tests.support.virtual_time import now_s


@pytest.fixture
def deck(tmp_path: Path):
    deck = TapeDeck(tmp_path)
    yield deck
    deck.close()


def test_the_greeting_sounds_before_the_microphone_and_the_record_counts_from_the_line(deck: TapeDeck):
    async def scenario(one: Connecting) -> None:
        await asyncio.sleep(0.1)
        one.call.on_connected()
        connected_s = now_s()
        await asyncio.sleep(0.2)
        assert one.leg.playout.frames[0][0] - connected_s < 0.05
        assert not one.call.active
        assert one.names() == ["CallPrepared", "ParticipantJoined"], "nothing is told of a call that has not begun"
        one.call.on_active()
        assert one.names()[2:] == ["CallActive", "GreetingStarted"]
        for _ in range(100):
            one.call.on_audio(SILENT)
            await asyncio.sleep(0.02)
        one.call.end(EndReason.USER_HANGUP)

    ended = play(deck, scenario)
    assert ended.only(CallActive).answer_ms == pytest.approx(100, abs=1)
    assert ended.only(CallActive).since_ms == pytest.approx(200, abs=1)
    assert ended.only(GreetingStarted).delay_ms < 50
    assert ended.only(CallEnded).duration_s == pytest.approx(2.2, abs=0.05)
    assert ended.only(MessageAdded).start_s < 0.05


def test_a_microphone_of_which_nothing_comes_is_a_call_that_failed(deck: TapeDeck):
    """However soon a silent caller would be asked, or hung up on: this one cannot be heard."""

    async def scenario(one: Connecting) -> None:
        one.call.on_connected()
        await asyncio.sleep(ACTIVE_TIMEOUT_S - 0.5)
        assert not [event for event in one.events if isinstance(event, CallEnded)]
        await asyncio.sleep(1)
        assert [event for event in one.events if isinstance(event, CallEnded)]

    ended = play(deck, scenario, silence_timeout_s=4.0, reminder_count=1)
    assert ended.only(CallEnded).reason is EndReason.MEDIA_FAILED
    assert ended.only(CallEnded).duration_s == 0
    assert "CallActive" not in ended.names()
    assert ended.only(MessageAdded).content == GREETING, "no reminder: the silence is not the caller's"
    assert ended.names()[-1] == "CallEnded"


def test_the_silence_of_one_who_is_heard_counts_from_then_on(deck: TapeDeck):
    async def scenario(one: Connecting) -> None:
        one.call.on_connected()
        await asyncio.sleep(10)
        one.call.on_active()
        await asyncio.sleep(3.5)
        assert "CallEnded" not in one.names()
        await asyncio.sleep(1)

    ended = play(deck, scenario, silence_timeout_s=4.0, reminder_count=0)
    assert ended.only(CallEnded).reason is EndReason.SILENCE_TIMEOUT
    assert ended.only(CallEnded).duration_s == pytest.approx(14, abs=0.1)


def test_a_leg_that_tells_of_both_at_once_starts_the_call_at_once(deck: TapeDeck):
    async def scenario(one: Connecting) -> None:
        await asyncio.sleep(0.3)
        one.call.on_active()
        await asyncio.sleep(1)
        one.call.on_left(said_goodbye=True)

    ended = play(deck, scenario)
    assert ended.only(ParticipantJoined)
    assert ended.only(CallActive).answer_ms == pytest.approx(300, abs=1)
    assert ended.only(CallActive).since_ms == 0
    assert ended.only(CallEnded).reason is EndReason.USER_HANGUP
