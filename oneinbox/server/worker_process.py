"""One worker process as the server holds it: its link, its calls, and the signalling sockets it carries."""

import asyncio
from typing import Protocol

from oneinbox.core.events import AnyCallEvent
from oneinbox.core.link import CloseSocket, Down, Link, Load, SocketData, Up


class SocketPeer(Protocol):
    """The wire end of a signalling socket, as a worker speaks to it. Nothing here blocks."""

    def accepted(self) -> None:
        """The worker takes the socket."""
        ...

    def refused(self, status: int, message: str) -> None:
        """The worker does not take it."""
        ...

    def received(self, data: bytes) -> None:
        """The worker sends ``data`` to the client."""
        ...

    def closed(self, code: int) -> None:
        """The worker closes the socket, or is gone."""
        ...


class WorkerProcess:
    """One worker process and the calls and sockets it holds."""

    def __init__(self, worker_id: str, process: asyncio.subprocess.Process, link: Link[Up, Down]) -> None:
        self.worker_id = worker_id
        self.process = process
        self.link = link
        self.calls: dict[str, str] = {}  # call id -> room name
        self.sockets: dict[int, SocketPeer] = {}
        self.ready = False
        self.refusal: str | None = None
        self.last_load: Load | None = None
        self.events: asyncio.Queue[AnyCallEvent] = asyncio.Queue()

    def kill(self) -> None:
        """Kill the process, if it still lives."""
        if self.process.returncode is None:
            self.process.kill()


class SocketRoute:
    """A client's way to the worker that holds its socket."""

    def __init__(self, worker: WorkerProcess, socket_id: int) -> None:
        self._worker = worker
        self._socket_id = socket_id

    def send(self, data: bytes) -> None:
        """Carry one message of the client to the worker."""
        self._worker.link.send(SocketData(socket_id=self._socket_id, data=data))

    def close(self, code: int) -> None:
        """Tell the worker that the client's socket is closed."""
        if self._worker.sockets.pop(self._socket_id, None) is not None:
            self._worker.link.send(CloseSocket(socket_id=self._socket_id, code=code))
