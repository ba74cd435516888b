"""Thousands of connections that ask nothing, beside people who do.

``ONEINBOX_LONG_TESTS=1``: ten thousand; else fifteen hundred, which is over what the server keeps waiting.
"""

import asyncio
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from oneinbox.server.connections import HEAD_LIMIT_S, MAX_HEAD_BYTES, MAX_WAITING
from tests.support.caller import Caller
from tests.support.running import RunningServer

SOCKETS = 10_000 if os.environ.get("ONEINBOX_LONG_TESTS") else 1_500
SAID = (b"", b"GET /v1/health HT", b"POST /v1/calls/web HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n", b"\x16\x03\x01")


@pytest.fixture
def room_for_sockets() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = SOCKETS + 1_000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this machine allows a process {hard} files, and {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def until(holds, what: str, limit_s: float = 60) -> None:
    async with asyncio.timeout(limit_s):
        while not holds():
            await asyncio.sleep(0.1)
    assert holds(), what


@pytest.mark.timeout(300)
async def test_connections_that_ask_nothing_do_no_harm(tmp_path: Path, room_for_sockets: None) -> None:
    with RunningServer(tmp_path / "data") as server:
        assert server.process is not None
        process = psutil.Process(server.process.pid)
        host, port = server.url.removeprefix("http://").split(":")
        before, memory = process.num_fds(), process.memory_info().rss
        opened: list[socket.socket] = []
        try:
            for number in range(SOCKETS):
                opened.append(socket.create_connection((host, int(port))))
                opened[-1].sendall(SAID[number % len(SAID)])
                if number % 100 == 0:
                    await asyncio.sleep(0)
            assert process.num_fds() < before + MAX_WAITING + 100
            async with httpx.AsyncClient(base_url=server.url, timeout=20) as client:
                assert (await client.get("/v1/health")).status_code == 200
                made = await client.post(
                    "/v1/calls/web",
                    headers={"Authorization": f"Bearer {await asyncio.to_thread(lambda: server.key)}"},
                    json={"agent_id": server.demo_agent_id},
                )
            assert made.status_code == 201, made.text
            caller = await Caller().join(made.json()["server_url"], made.json()["participant_token"])
            await until(
                lambda: any(one.identity == "agent" and one.text for one in caller.captions.values()), "greeting"
            )
            await caller.leave()
            await until(lambda: process.num_fds() < before + 50, "every connection's end", HEAD_LIMIT_S + 60)
            grown_mb = (process.memory_info().rss - memory) / 1e6
            print(f"{SOCKETS} sockets: {grown_mb:.0f} MB more")
            assert grown_mb < 200
        finally:
            for one in opened:
                one.close()


async def test_a_head_without_end_is_cut_off(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /v1/health HTTP/1.1\r\nX-Long: ")
        try:
            for _ in range(4 * MAX_HEAD_BYTES // 1024):
                writer.write(b"a" * 1024)
                await writer.drain()
                await asyncio.sleep(0.001)
            assert not await asyncio.wait_for(reader.read(), 5), "the head was read to the end"
        except ConnectionError:
            pass  # as it should be: cut off while it was still being sent
        writer.close()


async def test_a_refused_socket_is_no_error_of_ours(tmp_path: Path) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    with RunningServer(tmp_path / "data") as server:
        async with httpx.AsyncClient(base_url=server.url, headers=upgrade) as client:
            for path in ("/rtc", "/rtc/v1"):
                assert (await client.get(path, params={"access_token": "nonsense"})).status_code == 401
    errors = [line for line in server.output if " ERROR " in line]
    assert not errors, "anybody could fill the log"
