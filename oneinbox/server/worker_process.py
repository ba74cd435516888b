"""One worker process as the server holds it: its link, its calls, and the signalling sockets it carries."""

import asyncio
import socket
import sys
from typing import Protocol

from oneinbox.core.events import AnyCallEvent
from oneinbox.core.link import CloseSocket, Down, Link, SocketAccepted, SocketData, SocketRefused, Up
from oneinbox.server.admission import WorkerGauge


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
    """One worker process and the calls and sockets it holds. ``number`` chooses its media port."""

    def __init__(self, number: int, process: asyncio.subprocess.Process, link: Link[Up, Down]) -> None:
        self.number = number
        self.worker_id = worker_id_of(number)
        self.process = process
        self.link = link
        self.calls: dict[str, str] = {}  # call id -> room name
        self.emptied = asyncio.Event()
        """Set while it holds no call."""
        self.emptied.set()
        self.sockets: dict[int, SocketPeer] = {}
        self.ready = False
        self.leaving = False
        """It gets no more calls, and ends with its last one."""
        self.replaced = False
        """Another was started in its place: it is not started again."""
        self.gone = asyncio.Event()
        """Set when it has ended, and what it left is settled."""
        self.refusal: str | None = None
        self.hung = False
        self.gauge = WorkerGauge()
        self.events: asyncio.Queue[AnyCallEvent] = asyncio.Queue()

    @property
    def exit_cause(self) -> str:
        """In one word, why it is gone."""
        if self.leaving:
            return "let_go"
        if self.refusal is not None:
            return "refused"
        return "hung" if self.hung else "died"

    def add_call(self, call_id: str, room_name: str) -> None:
        """Note that it holds a call."""
        self.calls[call_id] = room_name
        self.emptied.clear()

    def drop_call(self, call_id: str) -> str | None:
        """Note that a call is over; return its room, where it held it."""
        room_name = self.calls.pop(call_id, None)
        if not self.calls:
            self.emptied.set()
        return room_name

    def take_socket(self, message: SocketAccepted | SocketRefused | SocketData | CloseSocket) -> None:
        """Carry to its client what the worker says to one socket."""
        peer = self.sockets.get(message.socket_id)
        if peer is None:
            return  # the client was quicker to leave
        match message:
            case SocketAccepted():
                peer.accepted()
            case SocketRefused(status=status, message=text):
                del self.sockets[message.socket_id]
                peer.refused(status, text)
            case SocketData(data=data):
                peer.received(data)
            case CloseSocket(code=code):
                del self.sockets[message.socket_id]
                peer.closed(code)

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


def worker_id_of(number: int) -> str:
    """Return what a worker is called in logs, records and metrics."""
    return f"worker-{number}"


async def spawn_worker(number: int) -> WorkerProcess:
    """Start the process; it waits for a ``Configure``."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "oneinbox",
            "worker",
            "--link-fd",
            str(theirs.fileno()),
            "--name",
            worker_id_of(number),
            pass_fds=(theirs.fileno(),),
            stdin=asyncio.subprocess.DEVNULL,
        )
    reader, writer = await asyncio.open_connection(sock=ours)
    return WorkerProcess(number, process, Link[Up, Down](reader, writer, Up))
