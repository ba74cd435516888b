"""An endpoint for webhooks on loopback that answers as it is told, and remembers what it took."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

HANG = 0
"""In place of a status: take the request and say nothing."""
RESET = -1
"""In place of a status: take the request and close the connection."""


@dataclass(frozen=True)
class Received:
    """One request that arrived whole."""

    path: str
    headers: dict[str, str]
    body: bytes
    answered: int

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def told(self) -> dict[str, Any]:
        return json.loads(self.body)


def _take_it(path: str, attempt: int) -> int:
    del path, attempt
    return 200


@dataclass
class Receiver:
    """``answer(path, how many requests came on it before)`` decides the status of each answer."""

    url: str = ""
    answer: Callable[[str, int], int] = _take_it
    extra_headers: str = ""
    body: bytes = b"thank you"
    received: list[Received] = field(default_factory=list[Received])
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    def on(self, path: str, *, taken: bool = False) -> list[Received]:
        """What came on ``path``; ``taken``: only what was answered with 2xx."""
        return [one for one in self.received if one.path == path and (not taken or 200 <= one.answered < 300)]

    async def until(self, found: Callable[[], bool], limit_s: float = 20.0) -> None:
        """Wait until ``found()`` holds; asked again with each arrival."""
        async with asyncio.timeout(limit_s), self.arrived:
            await self.arrived.wait_for(found)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            path = head[0].split()[1]
            status = self.answer(path, len(self.on(path)))
            async with self.arrived:
                self.received.append(Received(path, headers, body, status))
                self.arrived.notify_all()
            if status == HANG:
                await reader.read()  # until the other side has had enough
            elif status != RESET:
                writer.write(
                    f"HTTP/1.1 {status} X\r\nContent-Length: {len(self.body)}\r\nConnection: close\r\n"
                    f"{self.extra_headers}\r\n".encode()
                    + self.body
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the sender was cut off
        finally:
            writer.close()


@asynccontextmanager
async def running_receiver(answer: Callable[[str, int], int] = _take_it) -> AsyncGenerator[Receiver, None]:
    """Listen on a free port of loopback."""
    receiver = Receiver(answer=answer)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield receiver
    finally:
        server.close()
