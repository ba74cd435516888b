import asyncio
import socket
import struct

import pytest

from oneinbox.core.errors import LinkClosedError
from oneinbox.core.link import MAX_FRAME_BYTES, Down, Drain, Link, Load, OpenSocket, SocketData, Up
from tests.support.loads import make_load


async def ends() -> tuple[Link[Up, Down], Link[Down, Up]]:
    ours, theirs = socket.socketpair()
    up = Link[Up, Down](*await asyncio.open_connection(sock=ours), Up)
    down = Link[Down, Up](*await asyncio.open_connection(sock=theirs), Down)
    return up, down


async def test_messages_arrive_whole_and_in_order() -> None:
    server, worker = await ends()
    sent: list[Down] = [SocketData(socket_id=n, data=bytes([n % 256]) * (n * 37)) for n in range(200)]
    sent.append(
        OpenSocket(
            socket_id=1, room_name="r", identity="i", token_id="t", rejoin=False, path="/rtc/v1", query={"a": "b"}
        )
    )
    for message in sent:
        server.send(message)
    assert [await worker.receive() for _ in sent] == sent
    worker.send(make_load(calls=3, cpu_s=1.0))
    assert await server.receive() == make_load(calls=3, cpu_s=1.0)
    await server.aclose()
    await worker.aclose()


async def test_the_death_of_the_other_end_is_seen_and_sending_to_it_does_no_harm() -> None:
    server, worker = await ends()
    worker.send(make_load())
    await worker.aclose()
    assert isinstance(await server.receive(), Load)
    with pytest.raises(LinkClosedError):
        await server.receive()
    for _ in range(10):
        server.send(Drain())
    await server.aclose()


async def test_a_frame_over_the_limit_closes_the_link() -> None:
    ours, theirs = socket.socketpair()
    server = Link[Up, Down](*await asyncio.open_connection(sock=ours), Up)
    theirs.sendall(struct.pack("!I", MAX_FRAME_BYTES + 1))
    with pytest.raises(LinkClosedError, match="over the limit"):
        await server.receive()
    theirs.close()
    await server.aclose()
