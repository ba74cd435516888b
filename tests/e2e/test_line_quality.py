"""What a call's record says of its line, over networks that are not as they should be. LiveKit's own client is the caller."""

import asyncio
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from tests.support.caller import in_call
from tests.support.media_relay import RELAY_HOST, MediaRelay, TcpRelay, Weather, relayed_settings
from tests.support.running import RunningServer

_LOST = 60
"""Packets, in either direction: enough that some of the caller's voice are among them, however the dice fall."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Its clients are sent to an address at which it does not listen itself."""
    relayed_settings()  # skips where there is no such address
    environ = {"ONEINBOX_ANNOUNCED_ADDRESSES": RELAY_HOST}
    with RunningServer(tmp_path_factory.mktemp("line") / "data", environ=environ) as running:
        yield running


def media_port(server: RunningServer) -> int:
    """The port that the worker has bound for UDP and TCP alike."""
    (pid,) = server.worker_pids()
    found = psutil.Process(pid).net_connections("inet")
    (port,) = {one.laddr.port for one in found if one.laddr.ip == "127.0.0.1" and one.status == psutil.CONN_LISTEN}
    return port


async def quality_of(server: RunningServer, call_id: str) -> dict[str, Any]:
    record = await asyncio.to_thread(server.wait_for_call, call_id)
    assert (record["status"], record["end_reason"]) == ("completed", "user_hangup")
    return record["quality"]


async def test_media_over_tcp_alone(server: RunningServer) -> None:
    async with TcpRelay(media_port(server)) as relay:
        async with in_call(server) as (caller, call_id):
            await caller.wait(lambda: caller.loudness(0) > 0.003, what="the agent's voice")
        quality = await quality_of(server, call_id)
    assert relay.connections >= 1
    assert quality["transport"] == "tcp"
    assert quality["packets_received"] > 0
    assert quality["packets_sent"] > 0


async def test_what_the_network_loses_is_on_the_record(server: RunningServer) -> None:
    async with MediaRelay(media_port(server)) as relay:
        async with in_call(server) as (caller, call_id):
            relay.weather = Weather(loss=0.2)
            await caller.wait(lambda: relay.counts.lost >= _LOST, 60, what="losses")
        quality = await quality_of(server, call_id)
    assert quality["transport"] == "udp"
    assert quality["loss"] > 0.05
    assert quality["packets_received"] > 0
    assert quality["concealed_ms"] + quality["recovered_ms"] > 0
