"""The call's record follows what happened, whatever dies. LiveKit's own Python client is the caller."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from livekit import rtc

from tests.support.caller import Caller, in_call
from tests.support.running import RunningServer
from tests.support.speech import flite, need_flite


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Two workers, so that one can die while the other goes on."""
    with RunningServer(
        tmp_path_factory.mktemp("truth") / "data", workers=2, environ={"ONEINBOX_JOIN_TIMEOUT_S": "3"}
    ) as running:
        yield running


async def ended(server: RunningServer, call_id: str, limit_s: float = 10.0) -> dict[str, Any]:
    return await asyncio.to_thread(server.wait_for_call, call_id, limit_s=limit_s)


async def test_status_follows_the_call_and_hanging_up_completes_it(server: RunningServer) -> None:
    made = await asyncio.to_thread(server.make_call, metadata={"source": "test"})
    assert made["status"] in ("queued", "initiated")
    caller = await Caller().join(made["server_url"], made["participant_token"])
    await caller.wait_for_agent("demo desk")
    live = await asyncio.to_thread(server.json, "GET", f"/v1/calls/{made['id']}")
    assert live["status"] == "in_progress"
    assert live["started_at"]
    await caller.leave()
    record = await ended(server, made["id"])
    assert (record["status"], record["end_reason"]) == ("completed", "user_hangup")
    assert record["metadata"]["source"] == "test"
    assert record["duration_seconds"] > 0.3
    connect = record["latency"]["connect"]
    for part in ("setup_ms", "dispatch_to_answer_ms", "answer_to_active_ms", "active_to_greeting_ms"):
        assert connect[part] >= 0, part
    assert record["latency"]["providers"] == {"stt": "demo", "llm": "demo", "tts": "demo"}
    quality = record["quality"]
    assert quality["transport"] == "udp"
    assert quality["packets_received"] > 0
    assert quality["packets_sent"] > 0
    assert quality["loss"] < 1
    assert (quality["resumes"], quality["rejoins"]) == (0, 0)
    assert quality["ice_ms"] >= 0
    assert quality["dtls_ms"] > 0
    assert quality["tick_late_ms_p95"] > 0


async def test_a_turn_is_recorded_with_its_times_and_latencies(server: RunningServer) -> None:
    need_flite()
    async with in_call(server) as (caller, call_id):
        await caller.wait_until_quiet()
        await caller.speak_and_wait(flite("what are your opening hours"))
        await caller.wait_for_answers(2)
        await asyncio.to_thread(server.json, "POST", f"/v1/calls/{call_id}/stop")
        await caller.wait(lambda: caller.left_reason, what="being told that the call is over")
        assert {"type": "call_ended", "reason": "api_stop"} in caller.events
    record = await ended(server, call_id)
    assert (record["status"], record["end_reason"]) == ("completed", "api_stop")
    greeting, question, reply = record["messages"][:3]
    assert [one["role"] for one in (greeting, question, reply)] == ["agent", "user", "agent"]
    assert "opening hours" in question["content"]
    assert greeting["start_s"] <= greeting["end_s"] <= question["start_s"] < question["end_s"] <= reply["start_s"]
    assert not greeting["interrupted"]
    parts = {event["type"] for event in record["latency"]["events"]}
    assert {"eou_delay", "llm_ttft", "tts_ttfb"} <= parts
    assert record["latency"]["perceived"]["turns"] >= 1
    assert record["latency"]["llm_ttft"]["samples"] >= 1


async def test_a_token_nobody_uses_fails_the_call(server: RunningServer) -> None:
    made = await asyncio.to_thread(server.make_call)
    record = await ended(server, made["id"])
    assert (record["status"], record["end_reason"], record["duration_seconds"]) == ("failed", "user_never_joined", 0)


async def test_a_token_joins_once(server: RunningServer) -> None:
    made = await asyncio.to_thread(server.make_call)
    first = await Caller().join(made["server_url"], made["participant_token"])
    with pytest.raises(rtc.ConnectError):
        await rtc.Room().connect(made["server_url"], made["participant_token"])
    await first.wait_for_agent("demo desk")
    await first.leave()
    with pytest.raises(rtc.ConnectError):
        await rtc.Room().connect(made["server_url"], made["participant_token"])


async def test_a_killed_worker_loses_its_calls_only(server: RunningServer) -> None:
    async with in_call(server) as (_, lost_id), in_call(server) as (survivor, kept_id):
        before = set(server.worker_pids())
        lost_pid = worker_of(server, lost_id, before)
        os.kill(lost_pid, signal.SIGKILL)
        killed_at = time.monotonic()
        record = await ended(server, lost_id, limit_s=5)
        assert (record["status"], record["end_reason"]) == ("failed", "worker_lost")
        assert time.monotonic() - killed_at < 5
        assert server.request("GET", "/v1/health").status_code == 200
        live = await asyncio.to_thread(server.json, "GET", f"/v1/calls/{kept_id}")
        assert live["status"] == "in_progress"
        await survivor.type("what are your opening hours")
        await survivor.wait_for_answers(2)
        deadline = time.monotonic() + 10
        while len(set(server.worker_pids())) < 2:
            assert time.monotonic() < deadline, "the worker was not started again"
            await asyncio.sleep(0.1)
        assert lost_pid not in server.worker_pids()
    record = await ended(server, kept_id)
    assert record["status"] == "completed"


def worker_of(server: RunningServer, call_id: str, pids: set[int]) -> int:
    """The process that holds the call."""
    record = server.json("GET", f"/v1/calls/{call_id}")
    worker_id = record["latency"]["worker"]["worker_id"]
    for pid in pids:
        if worker_id.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            return pid
    raise AssertionError(f"{worker_id} is not among {pids}")


async def test_a_frozen_worker_is_replaced(server: RunningServer) -> None:
    async with in_call(server) as (_, call_id):
        os.kill(worker_of(server, call_id, set(server.worker_pids())), signal.SIGSTOP)
        record = await ended(server, call_id, limit_s=8)
        assert (record["status"], record["end_reason"]) == ("failed", "worker_lost")


async def test_killing_everything_loses_no_finished_turn(tmp_path: Path) -> None:
    server = RunningServer(tmp_path / "data")
    server.start()
    try:
        made = await asyncio.to_thread(server.make_call)
        untouched = await asyncio.to_thread(server.make_call)
        caller = await Caller().join(made["server_url"], made["participant_token"])
        await caller.wait_for_agent("demo desk")
        await caller.wait_until_quiet()
        await caller.type("what are your opening hours")
        await caller.wait_for_answers(2)
        before = await asyncio.to_thread(server.json, "GET", f"/v1/calls/{made['id']}")
        server.kill_everything()
        await caller.leave()
        server.start()
        record = await asyncio.to_thread(server.json, "GET", f"/v1/calls/{made['id']}")
        assert (record["status"], record["end_reason"]) == ("failed", "server_lost")
        contents = [message["content"] for message in record["messages"]]
        assert len(contents) >= 3
        assert contents[: len(before["messages"])] == [message["content"] for message in before["messages"]]
        other = await asyncio.to_thread(server.json, "GET", f"/v1/calls/{untouched['id']}")
        assert (other["status"], other["end_reason"]) == ("failed", "server_lost")
    finally:
        server.stop()


async def test_stopping_the_server_ends_its_calls_with_a_reason(tmp_path: Path) -> None:
    server = RunningServer(tmp_path / "data")
    server.start()
    async with in_call(server) as (caller, call_id):
        await asyncio.to_thread(server.stop)
        await caller.wait(lambda: caller.left_reason, what="being told")
    server.start()
    try:
        record = await asyncio.to_thread(server.json, "GET", f"/v1/calls/{call_id}")
        assert record["end_reason"] == "server_shutdown"
    finally:
        server.stop()
    assert "Traceback" not in "".join(server.output)


async def test_no_secret_is_printed(server: RunningServer) -> None:
    made = await asyncio.to_thread(server.make_call)
    caller = await Caller().join(made["server_url"], made["participant_token"])
    await caller.wait_for_agent("demo desk")
    await caller.leave()
    printed = "".join(server.output)
    assert server.key not in printed
    assert made["participant_token"] not in printed
    assert made["participant_token"].split(".")[2] not in printed
