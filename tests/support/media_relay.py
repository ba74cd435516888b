"""A bad network between clients and the media port: a UDP relay that loses, delays, reorders, doubles and goes dark.

The worker binds 127.0.0.1 and announces 127.0.0.2, where this relay listens on the same number.
"""

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

from oneinbox.core.link import MediaSettings
from tests.support.speech import missing

RELAY_HOST = "127.0.0.2"
_HANDSHAKE_S = 0.15
Address = tuple[str, int]


def relayed_settings() -> MediaSettings:
    """Return settings of an endpoint whose clients are sent to a relay."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
            tried.bind((RELAY_HOST, 0))
    except OSError:
        missing(f"a second loopback address ({RELAY_HOST})")
    return MediaSettings(bind_host="127.0.0.1", port=0, announced_addresses=(RELAY_HOST,))


@dataclass
class Weather:
    """What happens to packets, either way. Fractions are of 1."""

    loss: float = 0
    jitter_ms: float = 0
    """Each packet is delayed by up to this much, those behind it with it: order is kept."""
    reordered: float = 0
    """These packets are held back by 30 ms, and overtaken."""
    doubled: float = 0
    dark: bool = False
    """Nothing passes."""


@dataclass
class Counts:
    passed: int = 0
    lost: int = 0
    moved: int = 0


class _Side(asyncio.DatagramProtocol):
    def __init__(self, on_packet) -> None:
        self._on_packet = on_packet
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._on_packet(data, addr)

    def error_received(self, exc: Exception) -> None:
        pass  # the other side is gone: that is a network too


@dataclass
class _Flow:
    """One client address, and the socket by which the worker sees it."""

    client: Address
    upstream: asyncio.DatagramTransport
    due_s: dict[str, float] = field(default_factory=dict)


class MediaRelay:
    """Use as a context manager, once the worker's port is known."""

    def __init__(self, port: int, weather: Weather | None = None, seed: int = 1) -> None:
        self.weather = weather or Weather()
        self.counts = Counts()
        self._worker = ("127.0.0.1", port)
        self._port = port
        self._random = random.Random(seed)
        self._flows: dict[Address, _Flow] = {}
        self._opening: set[Address] = set()
        self._front: asyncio.DatagramTransport | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._front, _ = await loop.create_datagram_endpoint(
            lambda: _Side(self._from_client), local_addr=(RELAY_HOST, self._port)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for timer in self._timers:
            timer.cancel()
        for flow in self._flows.values():
            flow.upstream.close()
        if self._front is not None:
            self._front.close()
        await asyncio.sleep(0)

    async def move_clients(self) -> None:
        """Give every client another address, as a NAT does that forgot it."""
        for flow in self._flows.values():
            flow.upstream.close()
            flow.upstream = await self._open(flow.client)
            self.counts.moved += 1

    async def _open(self, client: Address) -> asyncio.DatagramTransport:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Side(lambda data, _: self._from_worker(data, client)), remote_addr=self._worker
        )
        return transport

    def _from_client(self, data: bytes, client: Address) -> None:
        flow = self._flows.get(client)
        if flow is not None:
            self._pass_on("in", flow, data)
        elif client not in self._opening:
            self._opening.add(client)
            task = asyncio.get_running_loop().create_task(self._begin(data, client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _begin(self, data: bytes, client: Address) -> None:
        self._flows[client] = _Flow(client, await self._open(client))
        self._pass_on("in", self._flows[client], data)

    def _from_worker(self, data: bytes, client: Address) -> None:
        flow = self._flows.get(client)
        if flow is not None:
            self._pass_on("out", flow, data)

    def _pass_on(self, way: str, flow: _Flow, data: bytes) -> None:
        weather = self.weather
        if weather.dark or self._random.random() < weather.loss:
            self.counts.lost += 1
            return
        now_s = asyncio.get_running_loop().time()
        due_s = now_s + self._random.uniform(0, weather.jitter_ms / 1000)
        if self._random.random() < weather.reordered:
            due_s += 0.03
        else:
            due_s = flow.due_s[way] = max(due_s, flow.due_s.get(way, 0.0)) if weather.jitter_ms else due_s
        for _ in range(1 + (self._random.random() < weather.doubled)):
            self._send_at(due_s, now_s, way, flow, data)

    def _send_at(self, due_s: float, now_s: float, way: str, flow: _Flow, data: bytes) -> None:
        if due_s <= now_s:
            self._send(way, flow, data)
            return
        loop = asyncio.get_running_loop()

        def fire() -> None:
            self._timers.discard(timer)
            self._send(way, flow, data)

        timer = loop.call_at(due_s, fire)
        self._timers.add(timer)

    def _send(self, way: str, flow: _Flow, data: bytes) -> None:
        if self.weather.dark:
            return
        self.counts.passed += 1
        if way == "in":
            if not flow.upstream.is_closing():
                flow.upstream.sendto(data)
        elif self._front is not None and not self._front.is_closing():
            self._front.sendto(data, flow.client)


class TcpRelay:
    """A network that lets TCP through and nothing else: what comes to the relay's address goes to the worker."""

    def __init__(self, port: int) -> None:
        self.connections = 0
        self._port = port
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._pass_on, RELAY_HOST, self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self._port)
        async with asyncio.TaskGroup() as both_ways:
            both_ways.create_task(_copy(reader, upstream_writer))
            both_ways.create_task(_copy(upstream_reader, writer))


class SignalRelay:
    """The signalling's way through the same weather, as far as TCP shows it: what is said in the dark comes afterwards.

    A connection that is opened in the dark stands for the client (its system answers), and is seen by the server afterwards:
    behind what older ones had to say, for it still has to shake hands.
    """

    def __init__(self, url: str, weather: Weather) -> None:
        self.url = ""
        self.connections = 0
        self._weather = weather
        self._port = int(url.rpartition(":")[2])
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._pass_on(reader, writer))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._weather.dark:
                await self._light()
                await asyncio.sleep(_HANDSHAKE_S)
            upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self._port)
        except ConnectionError:
            writer.close()
            return
        async with asyncio.TaskGroup() as both_ways:
            both_ways.create_task(_copy(reader, upstream_writer, self._light))
            both_ways.create_task(_copy(upstream_reader, writer, self._light))

    async def _light(self) -> None:
        while self._weather.dark:
            await asyncio.sleep(0.01)


async def _no_wait() -> None:
    pass


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, may_pass: Callable[[], Awaitable[None]] = _no_wait
) -> None:
    try:
        while data := await reader.read(65_536):
            await may_pass()
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass  # however it ended
    finally:
        await may_pass()
        writer.close()
