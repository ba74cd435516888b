"""Two real servers on one Postgres: one is killed, the other tells the truth about its calls and stops what it has."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.caller import Caller, in_call
from tests.support.postgres import postgres_server
from tests.support.running import RunningServer


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, RunningServer]]:
    postgres = postgres_server()
    name = asyncio.run(postgres.create())
    environ = {"DATABASE_URL": postgres.url(name)}
    first, second = (
        RunningServer(tmp_path_factory.mktemp(name) / "data", environ=environ) for name in ("first", "second")
    )
    first.run("migrate")
    with ExitStack() as stack:
        stack.callback(lambda: asyncio.run(postgres.drop(name)))
        yield stack.enter_context(first), stack.enter_context(second)


async def test_a_call_is_stopped_through_the_other_server(pair: tuple[RunningServer, RunningServer]) -> None:
    first, second = pair
    made = await asyncio.to_thread(first.make_call)
    caller = await Caller().join(made["server_url"], made["participant_token"])
    await caller.wait_for_agent("demo desk")
    await asyncio.to_thread(second.json, "POST", f"/v1/calls/{made['id']}/stop")
    await caller.wait(lambda: caller.left_reason, what="being told that the call is over")
    assert {"type": "call_ended", "reason": "api_stop"} in caller.events
    record = await asyncio.to_thread(second.wait_for_call, made["id"])
    assert (record["status"], record["end_reason"]) == ("completed", "api_stop")
    await caller.leave()


async def test_a_call_is_told_through_the_other_server(pair: tuple[RunningServer, RunningServer]) -> None:
    first, second = pair
    async with in_call(first) as (caller, call_id):
        for way, text in (
            ("context", "The invoice is paid."),
            ("say", "Your driver has just arrived."),
            ("say", "The car is blue."),
        ):
            await asyncio.to_thread(second.json, "POST", f"/v1/calls/{call_id}/{way}", json={"text": text})
        await caller.wait_for_agent("The car is blue")
        await caller.wait_until_quiet()
        message = {"text": "what are your opening hours"}
        await asyncio.to_thread(second.json, "POST", f"/v1/calls/{call_id}/message", json=message)
        await caller.wait(lambda: message["text"] in caller.said_by_user(), what="the message among the captions")
        await caller.wait_for_agent("open")
        await caller.wait_until_quiet()
    record = await asyncio.to_thread(second.wait_for_call, call_id)
    said = [(one["role"], one["content"]) for one in record["messages"]]
    order = [said.index(one) for one in (("agent", "Your driver has just arrived."), ("agent", "The car is blue."))]
    assert order == sorted(order)
    assert said.index(("user", message["text"])) > order[-1]
    gone = await asyncio.to_thread(second.request, "POST", f"/v1/calls/{call_id}/say", json={"text": "x"})
    assert (gone.status_code, gone.json()["error"]["code"]) == (409, "call_not_live")


async def test_a_killed_servers_calls_are_lost_and_the_others_go_on(pair: tuple[RunningServer, RunningServer]) -> None:
    first, second = pair
    lost, waiting, kept = [await asyncio.to_thread(server.make_call) for server in (first, first, second)]
    gone = await Caller().join(lost["server_url"], lost["participant_token"])
    stays = await Caller().join(kept["server_url"], kept["participant_token"])
    await gone.wait_for_agent("demo desk")
    await stays.wait_for_agent("demo desk")
    first.kill_everything()
    for made in (lost, waiting):
        record = await asyncio.to_thread(second.wait_for_call, made["id"], limit_s=60)
        assert (record["status"], record["end_reason"]) == ("failed", "server_lost")
    await stays.type("what are your opening hours")
    await stays.wait_for_answers(2)
    live = await asyncio.to_thread(second.json, "GET", f"/v1/calls/{kept['id']}")
    assert live["status"] == "in_progress"
    await asyncio.to_thread(first.start)  # it comes back, and takes calls again
    assert (await asyncio.to_thread(first.make_call))["status"] == "queued"
    await asyncio.gather(gone.leave(), stays.leave())
