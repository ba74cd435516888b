"""A tool server made with the official MCP package, in a thread of its own, on a free port of 127.0.0.1."""

import asyncio
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Self

import uvicorn
from mcp.server.mcpserver import MCPServer
from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass
class ToolServer:
    """``with ToolServer() as server``: tools ``stock``, ``fail`` and ``slow`` behind ``server.url``.

    ``key``: requests without ``Authorization: Bearer <key>`` are refused. ``json``: answers come as JSON in place of events.
    """

    key: str | None = None
    json: bool = False
    stateless: bool = False
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])
    headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    url: str = ""

    def __enter__(self) -> Self:
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        app = self._make().streamable_http_app(json_response=self.json, stateless_http=self.stateless)
        config = uvicorn.Config(self._guarded(app), log_level="error", ws="none", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 30
        while not self._server.started:
            assert time.monotonic() < deadline, "the tool server did not start"
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(15)

    def _make(self) -> MCPServer:
        server = MCPServer("shop", log_level="ERROR")

        @server.tool(description="Tells how many pieces of something are in stock.")
        def stock(item: str, size: int = 1) -> str:
            self.calls.append(("stock", {"item": item, "size": size}))
            return f"{size * 3} pieces of {item} are in stock"

        @server.tool(description="Always fails.")
        def fail() -> str:
            self.calls.append(("fail", {}))
            raise ValueError("the warehouse burnt down")

        @server.tool(description="Takes its time.")
        async def slow(seconds: float) -> str:
            self.calls.append(("slow", {"seconds": seconds}))
            await asyncio.sleep(seconds)
            return "finally"

        return server

    def _guarded(self, app: ASGIApp) -> ASGIApp:
        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                headers = {name.decode(): value.decode() for name, value in scope["headers"]}
                self.headers.append(headers)
                if self.key is not None and headers.get("authorization") != f"Bearer {self.key}":
                    await send({"type": "http.response.start", "status": 401, "headers": []})
                    await send({"type": "http.response.body", "body": f"no: {headers}".encode()})
                    return
            await app(scope, receive, send)

        return guarded
