"""A microphone that delivers only zeros: told to the page within seconds, taken back when it is heard, and on the record."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.support.caller import Caller
from tests.support.media_signal import babble
from tests.support.running import RunningServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("silent") / "data") as running:
        yield running


async def test_a_dead_microphone_is_told_and_taken_back_and_stays_on_the_record_where_it_stays_dead(
    server: RunningServer,
) -> None:
    async def call() -> tuple[str, Caller]:
        made = await asyncio.to_thread(server.make_call)
        return made["id"], await Caller().join(made["server_url"], made["participant_token"])

    silent, heard = {"type": "microphone", "silent": True}, {"type": "microphone", "silent": False}
    dead_id, dead = await call()
    living_id, living = await call()
    for caller in (dead, living):
        await caller.wait(lambda caller=caller: silent in caller.events, what="being told of the silence")
    record = await asyncio.to_thread(server.json, "GET", f"/v1/calls/{living_id}")
    assert 2.5 <= record["microphone_silent_at_s"] < 15
    living.say(babble(2, 16_000))
    await living.wait(lambda: heard in living.events, what="being told that it is heard")
    for caller in (dead, living):
        await caller.leave()
    dead_record = await asyncio.to_thread(server.wait_for_call, dead_id)
    living_record = await asyncio.to_thread(server.wait_for_call, living_id)
    assert 2.5 <= dead_record["microphone_silent_at_s"] < 15
    assert living_record["microphone_silent_at_s"] is None
    assert [event for event in dead.events if event["type"] == "microphone"] == [silent]
    assert [event for event in living.events if event["type"] == "microphone"] == [silent, heard]
