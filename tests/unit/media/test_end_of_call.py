"""A call's time ends when its end is decided, however long its tools take to finish; the page is told then, once."""

import asyncio
from pathlib import Path

import pytest

from oneinbox.core.events import CallEnded, EndReason, MicrophoneSilent, ToolCalled
from oneinbox.live.audio.tape import TapeDeck
from oneinbox.live.engine.ports import HangUp, TextDelta, ToolCall
from oneinbox.live.engine.tool_runs import END_GRACE_S
from tests.support.live_call import Connecting, play
from tests.support.scripted import FakeLlm
from tests.support.scripted_tools import FakeTool, FakeTools
from tests.support.virtual_time import now_s

ASKS = ToolCall(call_id="1", name="slow", arguments="{}")


@pytest.fixture
def deck(tmp_path: Path):
    deck = TapeDeck(tmp_path)
    yield deck
    deck.close()


def ended_events(one: Connecting) -> list[tuple[float, dict[str, str]]]:
    return [(at_s, data) for at_s, kind, data in one.leg.sent if kind == "call_ended"]


async def begin_tool(one: Connecting, tool: FakeTool) -> float:
    """Bring the call to where its tool has just begun; return when the call's clock started."""
    one.call.on_active()
    active_s = now_s()
    await asyncio.sleep(5)
    one.call.on_text("please look it up")
    while not tool.begun:
        await asyncio.sleep(0.02)
    return active_s


@pytest.mark.parametrize("takes_s", [1.0, 60.0])
def test_a_hang_up_while_a_tool_runs(deck: TapeDeck, takes_s: float):
    tool = FakeTool(takes_s=takes_s)
    seen: dict[str, float] = {}

    async def scenario(one: Connecting) -> None:
        active_s = await begin_tool(one, tool)
        one.call.on_left(said_goodbye=True)
        seen["over_s"] = now_s()
        seen["lasted_s"] = now_s() - active_s
        await asyncio.sleep(0.5)
        one.call.on_microphone(silent=True)
        assert "CallEnded" not in one.names(), "its tool is still at work"

    one = play(deck, scenario, llm=FakeLlm(lambda _: [ASKS]), tools=FakeTools({"slow": tool}))
    ended = one.only(CallEnded)
    assert (ended.reason, ended.duration_s) == (EndReason.USER_HANGUP, pytest.approx(seen["lasted_s"], abs=0.002))
    assert ended_events(one) == [(pytest.approx(seen["over_s"]), {"reason": "user_hangup"})]
    assert one.only(MicrophoneSilent).at_s == pytest.approx(seen["lasted_s"], abs=0.002), "the clock stands still"
    done = [event for event in one.events if isinstance(event, ToolCalled)][-1]
    assert done.result is not None
    assert done.is_error is (takes_s > END_GRACE_S)
    assert len(tool.ended) == (takes_s <= END_GRACE_S)
    assert one.names()[-1] == "CallEnded"


def test_an_agent_that_hangs_up_while_a_tool_runs_in_the_background(deck: TapeDeck):
    tool = FakeTool(takes_s=60.0, in_background=True)
    replies = iter([[ASKS], [TextDelta("Goodbye then."), HangUp()]])
    seen: list[float] = []

    async def scenario(one: Connecting) -> None:
        seen.append(await begin_tool(one, tool))

    one = play(deck, scenario, llm=FakeLlm(lambda _: next(replies)), tools=FakeTools({"slow": tool}))
    ended = one.only(CallEnded)
    (told,) = ended_events(one)
    assert (ended.reason, told[1]) == (EndReason.AGENT_HANGUP, {"reason": "agent_hangup"})
    heard_s = one.leg.playout.frames[-1][0] + 0.02
    assert told[0] == pytest.approx(heard_s, abs=0.05), "as soon as the goodbye has been heard"
    assert ended.duration_s == pytest.approx(heard_s - seen[0], abs=0.05)


def test_a_call_without_tools_at_work_ends_at_once(deck: TapeDeck):
    seen: dict[str, float] = {}

    async def scenario(one: Connecting) -> None:
        one.call.on_active()
        await asyncio.sleep(2)
        one.call.end(EndReason.API_STOP)
        one.call.end(EndReason.SERVER_SHUTDOWN)
        seen["over_s"] = now_s()

    one = play(deck, scenario)
    assert one.only(CallEnded).reason is EndReason.API_STOP
    assert one.only(CallEnded).duration_s == pytest.approx(2, abs=0.002)
    assert ended_events(one) == [(pytest.approx(seen["over_s"]), {"reason": "api_stop"})]


def test_a_call_that_nobody_joined_tells_its_end_and_lasted_no_time(deck: TapeDeck):
    async def scenario(one: Connecting) -> None:
        one.call.end(EndReason.API_STOP)

    one = play(deck, scenario)
    assert one.only(CallEnded).duration_s == 0
    assert [data for _, data in ended_events(one)] == [{"reason": "api_stop"}]
