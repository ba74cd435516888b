"""Stopping with live calls, replacing workers under them, and refusing what cannot be carried. Real calls throughout."""

import asyncio
import signal
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.support.caller import Caller, in_call
from tests.support.media_server import until
from tests.support.running import RunningServer


def send(server: RunningServer, number: signal.Signals) -> None:
    assert server.process is not None
    server.process.send_signal(number)


def has_said(server: RunningServer, words: str) -> bool:
    return any(words in line for line in server.output)


def worker_of(server: RunningServer, call_id: str) -> str:
    return server.json("GET", f"/v1/calls/{call_id}")["latency"]["worker"]["worker_id"]


async def goes_on(caller: Caller) -> None:
    """Ask something, and wait for the answer."""
    before = len(caller.answers())
    await caller.type("what are your opening hours")
    await caller.wait_for_answers(before + 1)


def metric(server: RunningServer, name: str, **labels: str) -> float:
    """One sample; 0 where there is none."""
    for family in text_string_to_metric_families(httpx.get(f"{server.url}/metrics", timeout=20).text):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return sample.value
    return 0.0


async def test_calls_are_spread_and_live_through_sigterm_and_the_server_ends_with_the_last(tmp_path: Path) -> None:
    server = RunningServer(tmp_path / "data", workers=2).start()
    try:
        await until(lambda: metric(server, "oneinbox_worker_ready", worker="worker-1") == 1, 60, what="both workers")
        async with in_call(server) as (caller, call_id):
            async with in_call(server) as (_, short_id):
                assert {worker_of(server, one) for one in (call_id, short_id)} == {"worker-0", "worker-1"}
                send(server, signal.SIGTERM)
                await until(lambda: has_said(server, "Draining: 2 calls"), 30, what="the drain")
                health = await asyncio.to_thread(httpx.get, f"{server.url}/v1/health", timeout=20)
                assert (health.status_code, health.json()["status"]) == (200, "draining")
                ready = await asyncio.to_thread(httpx.get, f"{server.url}/v1/health/ready", timeout=20)
                assert (ready.status_code, ready.headers["retry-after"]) == (503, "5")
                refused = await asyncio.to_thread(
                    server.request, "POST", "/v1/calls/web", json={"agent_id": server.demo_agent_id}
                )
                assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
                assert refused.json()["error"]["code"] == "server_draining"
                assert metric(server, "oneinbox_draining") == 1
                assert len(server.worker_pids()) == 2
            # Each worker goes with its last call; the other one stays for its own.
            await until(lambda: len(server.worker_pids()) == 1, 30, what="the first worker's end")
            await goes_on(caller)
            record = await asyncio.to_thread(server.json, "GET", f"/v1/calls/{call_id}")
            assert record["status"] == "in_progress"
        assert server.process is not None
        assert await asyncio.to_thread(server.process.wait, 30) == 0
        server.start()
        record = await asyncio.to_thread(server.json, "GET", f"/v1/calls/{call_id}")
        assert (record["status"], record["end_reason"]) == ("completed", "user_hangup")
        assert record["quality"]["packets_received"] > 0
        assert "Traceback" not in "".join(server.output)
    finally:
        server.stop()


async def check_shutdown(server: RunningServer, *, again: bool) -> None:
    """Ask a server with a live call to stop, where wished twice: it ends, and the call is told and knows why."""
    try:
        async with in_call(server) as (caller, call_id):
            send(server, signal.SIGTERM)
            if again:
                await until(lambda: has_said(server, "Draining: 1 calls"), 30, what="the drain")
                send(server, signal.SIGTERM)
            await caller.wait(lambda: caller.left_reason, 30, what="being told")
            assert server.process is not None
            assert await asyncio.to_thread(server.process.wait, 30) == 0
        server.start()
        record = await asyncio.to_thread(server.json, "GET", f"/v1/calls/{call_id}")
        assert record["end_reason"] == "server_shutdown"
    finally:
        server.stop()


async def test_a_second_signal_ends_the_drain(tmp_path: Path) -> None:
    await check_shutdown(RunningServer(tmp_path / "data").start(), again=True)


async def test_a_drain_that_takes_too_long_ends_the_calls_that_are_left(tmp_path: Path) -> None:
    server = RunningServer(tmp_path / "data", environ={"ONEINBOX_DRAIN_TIMEOUT_S": "1"})
    await check_shutdown(server.start(), again=False)


async def test_workers_are_replaced_under_live_calls(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", workers=2) as server:
        before = set(server.worker_pids())
        async with in_call(server) as (caller, call_id):
            send(server, signal.SIGHUP)
            # The idle one is gone; the one with the call has a successor beside it, and stays.
            await until(lambda: has_said(server, "its 1 calls go on"), 60, what="the second successor")
            kept = before & set(server.worker_pids())
            assert len(kept) == 1
            assert len(server.worker_pids()) == 3
            async with in_call(server) as (other, other_id):
                ids = [call_id, other_id]
                assert len({worker_of(server, one) for one in ids}) == 2
                await goes_on(other)
                await goes_on(caller)
        await until(lambda: has_said(server, "every worker has been replaced"), 30, what="the last one's end")
        assert not before & set(server.worker_pids())
        assert len(server.worker_pids()) == 2
        for one in ids:
            record = await asyncio.to_thread(server.wait_for_call, one)
            assert (record["status"], record["end_reason"]) == ("completed", "user_hangup")
        assert metric(server, "oneinbox_worker_exits_total", cause="let_go") == 2


async def test_a_full_server_refuses_the_next_call_and_those_it_has_go_on(tmp_path: Path) -> None:
    # So small a share of a core that calls of any kind reach it on any machine; the first is always taken.
    with RunningServer(tmp_path / "data", environ={"ONEINBOX_MAX_WORKER_CPU": "0.001"}) as server:
        async with in_call(server) as (caller, call_id):

            def is_full() -> bool:
                return httpx.get(f"{server.url}/v1/health/ready", timeout=20).status_code == 503

            await until(is_full, 30, what="being full")
            refused = await asyncio.to_thread(
                server.request, "POST", "/v1/calls/web", json={"agent_id": server.demo_agent_id}
            )
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
            assert refused.json()["error"]["code"] == "server_full"
            await goes_on(caller)
            listed = await asyncio.to_thread(server.json, "GET", "/v1/calls")
            assert [call["id"] for call in listed["items"]] == [call_id]  # nothing is left of the one refused
        await until(lambda: not is_full(), 30, what="having room again")
        assert metric(server, "oneinbox_calls_refused_total", code="server_full") >= 1
        assert metric(server, "oneinbox_calls_ended_total", reason="user_hangup") == 1
        assert metric(server, "oneinbox_media_packets_received_total", worker="worker-0") > 0
        assert metric(server, "oneinbox_http_requests_total", route="/v1/calls/web", status="503") >= 1
