"""The greeting need not wait for the first sound of the microphone; the record of the call does."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from oneinbox.core.events import (
    AnyCallEvent,
    CallActive,
    CallEnded,
    EndReason,
    GreetingStarted,
    LineQuality,
    MessageAdded,
    ParticipantJoined,
)
from oneinbox.core.spec import TurnSpec
from oneinbox.live.audio.tape import Tape, TapeDeck
from oneinbox.live.call import ACTIVE_TIMEOUT_S, LiveCall
from oneinbox.live.media.leg import LegListener, MediaLeg
from oneinbox.live.providers.registry import CallProviders
from oneinbox.live.tools.toolbox import CallTools
from tests.support.conversation import SILENT, make_spec
from tests.support.scripted import FakeLlm, FakePage, FakePlayout, FakeStt, FakeTts, FakeVad
from tests.support.virtual_time import now_s, run_virtually

GREETING = "Hello, this is a greeting of ten words for you."


class FakeLeg(FakePage):
    """A leg, and the place where it comes from."""

    def __init__(self) -> None:
        super().__init__()
        self.playout = FakePlayout()

    def open_leg(self, *, room_name: str, identity: str, agent_name: str, listener: LegListener) -> MediaLeg:
        del room_name, identity, agent_name, listener
        return self

    def quality(self) -> LineQuality | None:
        return None

    async def perform_rpc(self, method: str, payload: str, timeout_s: float = 15.0) -> str:
        raise NotImplementedError

    def record(self, tape: Tape) -> None:
        raise NotImplementedError

    async def aclose(self) -> None: ...


class Connecting:
    """A call that a participant has joined."""

    def __init__(self, deck: TapeDeck, **turns: Any) -> None:
        self.events: list[AnyCallEvent] = []
        self.leg = FakeLeg()
        spec = msgspec.structs.replace(make_spec(first_message=GREETING, turns=TurnSpec(**turns)), join_timeout_s=30.0)
        self.call = LiveCall(
            spec,
            rooms=self.leg,
            providers=CallProviders(stt=FakeStt(), llm=FakeLlm(), tts=FakeTts()),
            tools=CallTools(spec, cast(Any, None), cast(Any, None), self.events.append),  # it has none
            vad=FakeVad(),
            worker_id="w1",
            emit=self.events.append,
            tapes=deck,
        )

    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def only(self, kind: type[Any]) -> Any:
        (found,) = [event for event in self.events if isinstance(event, kind)]
        return found


Scenario = Callable[[Connecting], Coroutine[Any, Any, None]]


def play(deck: TapeDeck, scenario: Scenario, **turns: Any) -> Connecting:
    async def run() -> Connecting:
        connecting = Connecting(deck, **turns)
        async with asyncio.TaskGroup() as group:
            group.create_task(connecting.call.run())
            await asyncio.sleep(1)
            connecting.call.on_joined()
            await scenario(connecting)
        return connecting

    return run_virtually(run)


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
