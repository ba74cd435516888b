"""HTTP connections that ask nothing: they cost little, and do not keep others out.

Whoever opens connections and says nothing on them, or says it one byte at a time ("slowloris"), holds a socket and memory each.
A connection has :data:`HEAD_LIMIT_S` for the head of each request and :data:`BODY_LIMIT_S` for its body, and a head has at most
:data:`MAX_HEAD_BYTES`. Of those that have not asked anything yet :data:`MAX_WAITING` are kept: one more ends the oldest, so
that a page that asks at once always gets in.
"""

import asyncio
import logging
from functools import partial
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_log = logging.getLogger(__name__)

HEAD_LIMIT_S = 10.0
BODY_LIMIT_S = 120.0
"""A file of 20 MB at 1.4 Mbit/s."""
MAX_HEAD_BYTES = 64 * 1024
MAX_WAITING = 1_000


class Waiting:
    """The connections of one server that owe it a request, the oldest first."""

    def __init__(self, limit: int = MAX_WAITING) -> None:
        self._limit = limit
        self._connections: dict[PatientHttp, None] = {}
        self.ended = 0
        """How many were ended because they did not ask in time, or asked too slowly, or were too many."""

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, connection: "PatientHttp") -> None:
        """Count a connection in; end the oldest where there are too many."""
        self._connections[connection] = None
        if len(self._connections) > self._limit:
            next(iter(self._connections)).give_up()

    def remove(self, connection: "PatientHttp") -> None:
        """Count a connection out. Harmless when it is not in."""
        self._connections.pop(connection, None)


class PatientHttp(HttpToolsProtocol):
    """Uvicorn's HTTP connection, with an end to its patience."""

    def __init__(self, *arguments: Any, waiting: Waiting, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._waiting = waiting
        self._deadline: asyncio.TimerHandle | None = None
        self._head_bytes: int | None = None
        """Read of the request whose head is not whole yet; ``None`` between requests and in a body."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first request."""
        super().connection_made(cast(asyncio.Transport, transport))
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless this is a head without end."""
        if self._deadline is None:
            self._await_head()  # the next request on a connection that was kept
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes is not None and self._head_bytes > MAX_HEAD_BYTES:
            self.give_up()

    def on_headers_complete(self) -> None:
        """The head is whole: the body may take longer."""
        self._stop_waiting()
        self._deadline = self.loop.call_later(BODY_LIMIT_S, self.give_up)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole: what takes time now is ours."""
        self._stop_waiting()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """The connection is a WebSocket's from here on, which has limits of its own."""
        self._stop_waiting()
        super().handle_websocket_upgrade()

    def give_up(self) -> None:
        """End the connection."""
        self._stop_waiting()
        self._waiting.ended += 1
        if not self.transport.is_closing():
            _log.debug("a connection that asked nothing is ended")
            self.transport.abort()

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._deadline = self.loop.call_later(HEAD_LIMIT_S, self.give_up)
        self._waiting.add(self)

    def _stop_waiting(self) -> None:
        self._waiting.remove(self)
        self._head_bytes = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def patient_http(waiting: Waiting) -> type[asyncio.Protocol]:
    """Return what makes uvicorn's connections."""
    return cast("type[asyncio.Protocol]", partial(PatientHttp, waiting=waiting))  # all it does with it is to call it
