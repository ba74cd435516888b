"""What the start-up does once must not look like a fault of the server that is running."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from oneinbox.server import app, memory, up
from oneinbox.server.settings import Settings


class Recorded:
    """Stands for whatever the start-up calls, and notes when it does."""

    def __init__(self, done: list[str]) -> None:
        self.done = done
        self.watch = self
        self.refusal = self.app = self.on_hang_up = None
        self.first_run = self
        self.demo_agent_id = None
        self.asked, self.now = asyncio.Event(), asyncio.Event()
        self.asked.set()
        self.now.set()

    def start(self) -> None:
        self.done.append("watch")

    def replace_workers(self) -> None:
        raise AssertionError("nobody asked for it")

    async def wait_ready(self) -> None:
        self.done.append("workers")

    async def make_sign_in_token(self) -> str:
        return "token"

    async def aclose(self) -> None:
        self.done.append("closed")


class Http:
    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    async def start(self) -> None:
        pass

    async def aclose(self, limit_s: float) -> None:
        pass


async def test_the_loop_is_watched_when_the_collection_of_the_start_is_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[str] = []
    made = Recorded(done)

    @asynccontextmanager
    async def compose(*_: Any) -> AsyncIterator[Recorded]:
        yield made

    monkeypatch.setattr(app, "compose", compose)
    monkeypatch.setattr(app, "HttpServer", Http)
    monkeypatch.setattr(memory, "settle", lambda: done.append("settled"))
    monkeypatch.setattr(up, "print_welcome", lambda *_: done.append("ready"))
    with socket.socket() as listener:
        monkeypatch.setattr(up, "public_address", lambda *_: "http://localhost:1")
        await up._serve(Settings(), cast(Any, None), cast(Any, made), listener, cast(Any, made))
    assert done == ["workers", "settled", "watch", "ready", "closed"]
