"""Starts the worker processes, watches over them, and is the API's way to them.

A worker that dies, or says nothing for :data:`SILENCE_LIMIT_S`, is replaced; its calls are recorded as ``worker_lost``
at once, and nobody else notices.
"""

import asyncio
import logging
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Protocol

from oneinbox.core.errors import AppError, ErrorKind, LinkClosedError
from oneinbox.core.events import AnyCallEvent, CallEnded, EndReason
from oneinbox.core.link import (
    CallHappened,
    CloseSocket,
    Configure,
    Down,
    Drain,
    Link,
    Load,
    MediaSettings,
    OpenSocket,
    Ready,
    Refused,
    SocketAccepted,
    SocketData,
    SocketRefused,
    StartCall,
    StopCall,
    Up,
)
from oneinbox.core.spec import CallSpec
from oneinbox.core.tasks import TaskScope
from oneinbox.server.settings import Secrets, Settings
from oneinbox.server.worker_process import SocketPeer, SocketRoute, WorkerProcess

_log = logging.getLogger(__name__)

SILENCE_LIMIT_S = 4.0
"""A worker reports its load every second; after this long without a word it is killed."""
START_LIMIT_S = 30.0
REFUSAL_PATIENCE_S = 3.0
RESTART_DELAY_S = 0.5
RESTART_DELAY_MAX_S = 10.0
DRAIN_LIMIT_S = 8.0
TOKEN_ISSUER = "oneinbox"  # noqa: S105 - a claim, not a password


class EventSink(Protocol):
    """Where call events are recorded."""

    async def record(self, event: AnyCallEvent) -> None:
        """Record one event."""
        ...

    async def fail_calls(self, call_ids: list[str], reason: EndReason) -> None:
        """Record that these calls ended for ``reason``, where they have not ended yet."""
        ...


class WorkerPool:
    """All workers of this server. Fulfils the ``Dispatcher`` of ``api/calls``."""

    def __init__(self, settings: Settings, secrets: Secrets) -> None:
        self._settings = settings
        self._secrets = secrets
        self._scope = TaskScope("workers")
        self._sink: EventSink | None = None
        self._slots: list[WorkerProcess | None] = [None] * settings.worker_count
        self._rooms: dict[str, WorkerProcess] = {}
        self._ending: set[str] = set()
        """Calls whose end is being written to their record."""
        self._next_socket_id = 0
        self._keepers: list[asyncio.Task[None]] = []
        self._closing = asyncio.Event()
        self._refused_at = 0.0
        self.refusal: str | None = None
        """Why no worker could start, if none could."""

    # ---- life -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin starting the workers; :meth:`wait_ready` tells when the first can take calls."""
        for index in range(len(self._slots)):
            self._keepers.append(self._scope.spawn(self._keep_running(index), f"worker-{index}"))

    def record_into(self, sink: EventSink) -> None:
        """Say where events go. Has to be called before the first call is started."""
        self._sink = sink

    async def wait_ready(self) -> None:
        """Return when a worker is ready, or when it is clear that none will be (:attr:`refusal`).

        A worker that is refused its port is given some time: the workers of a server that was killed may still be
        on their way out.
        """
        deadline = asyncio.get_running_loop().time() + START_LIMIT_S
        while not any(worker.ready for worker in self._alive()):
            now = asyncio.get_running_loop().time()
            if now > deadline:
                self.refusal = self.refusal or f"none was ready after {START_LIMIT_S:.0f} s"
            if self.refusal is not None and now > self._refused_at + REFUSAL_PATIENCE_S:
                return
            await asyncio.sleep(0.01)
        self.refusal = None

    async def aclose(self) -> None:
        """End every call, let the workers say so, and stop them."""
        self._closing.set()
        for worker in self._alive():
            worker.link.send(Drain())
        if self._keepers:
            await asyncio.wait(self._keepers, timeout=DRAIN_LIMIT_S)
        for worker in self._alive():
            worker.kill()
        if self._keepers:
            await asyncio.wait(self._keepers, timeout=DRAIN_LIMIT_S)
        await self._scope.aclose()

    def _alive(self) -> list[WorkerProcess]:
        return [worker for worker in self._slots if worker is not None]

    # ---- the API's side -----------------------------------------------------------------------------------------

    async def start_call(self, spec: CallSpec) -> None:
        """Hand the call to the worker with the fewest; raises ``AppError`` when none can take it."""
        ready = [worker for worker in self._alive() if worker.ready]
        if not ready or self._closing.is_set():
            raise AppError(
                "no_worker_available",
                "no worker is ready to take the call; try again in a moment, and see `oneinbox doctor`",
                ErrorKind.UNAVAILABLE,
                retry_after_s=2,
            )
        worker = min(ready, key=lambda candidate: len(candidate.calls))
        if len(worker.calls) >= self._settings.max_calls_per_worker:
            raise AppError(
                "server_full",
                "the server has as many calls as it can carry; try again later",
                ErrorKind.UNAVAILABLE,
                retry_after_s=10,
            )
        worker.calls[spec.call_id] = spec.room_name
        self._rooms[spec.room_name] = worker
        worker.link.send(StartCall(spec=spec))

    async def stop_call(self, call_id: str, reason: EndReason) -> bool:
        """Ask the worker that holds the call to end it; False when none does."""
        for worker in self._alive():
            if call_id in worker.calls:
                worker.link.send(StopCall(call_id=call_id, reason=reason))
                return True
        return False

    def calls_in_hand(self) -> frozenset[str]:
        """Return the calls that a worker has, and those whose end is not on record yet."""
        return frozenset(self._ending.union(*(worker.calls for worker in self._alive())))

    # ---- the sockets' side --------------------------------------------------------------------------------------

    def open_socket(self, peer: SocketPeer, make_request: Callable[[int], OpenSocket]) -> "SocketRoute | None":
        """Carry a client's socket to the worker that owns its room; None when no worker does."""
        self._next_socket_id += 1
        request = make_request(self._next_socket_id)
        worker = self._probed(request.room_name) if request.probe else self._rooms.get(request.room_name)
        if worker is None:
            return None
        worker.sockets[request.socket_id] = peer
        worker.link.send(request)
        return SocketRoute(worker, request.socket_id)

    def _probed(self, room_name: str) -> WorkerProcess | None:
        """Return the worker that a probe asks for: its room is named ``probe-<number of the worker>-...``."""
        number = room_name.split("-")[1:2]
        index = int(number[0]) if number and number[0].isdigit() else len(self._slots)
        worker = self._slots[index] if index < len(self._slots) else None
        return worker if worker is not None and worker.ready else None

    # ---- one worker -----------------------------------------------------------------------------------------------

    async def _keep_running(self, index: int) -> None:
        delay_s = RESTART_DELAY_S
        while not self._closing.is_set():
            started_at = asyncio.get_running_loop().time()
            worker = await self._spawn(index)
            self._slots[index] = worker
            if self._closing.is_set():
                worker.link.send(Drain())
            try:
                await self._listen(worker)
            finally:
                self._slots[index] = None
                worker.kill()
                await self._bury(worker)
            if self._closing.is_set():
                return
            lived_s = asyncio.get_running_loop().time() - started_at
            delay_s = RESTART_DELAY_S if lived_s > 30 else min(delay_s * 2, RESTART_DELAY_MAX_S)
            _log.error("%s is gone (%s); starting it again", worker.worker_id, worker.refusal or "died")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), delay_s)

    async def _spawn(self, index: int) -> WorkerProcess:
        ours, theirs = socket.socketpair()
        worker_id = f"worker-{index}"
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "oneinbox",
                "worker",
                "--link-fd",
                str(theirs.fileno()),
                "--name",
                worker_id,
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        worker = WorkerProcess(worker_id, process, Link[Up, Down](reader, writer, Up))
        settings = self._settings
        worker.link.send(
            Configure(
                worker_id=worker.worker_id,
                media=MediaSettings(
                    bind_host=settings.media_host,
                    port=settings.media_port + index if settings.media_port else 0,
                    announced_addresses=settings.announced_addresses,
                    ice_servers=settings.ice_servers,
                    rejoin_grace_s=settings.rejoin_grace_s,
                ),
                models_dir=settings.models_dir,
                recordings_dir=str(settings.recordings_path),
                token_secret=self._secrets.participant_tokens,
                token_issuer=TOKEN_ISSUER,
                warm=() if settings.stages else ("demo",),
                allowed_networks=settings.allowed_private_networks,
                log_level=settings.log_level,
            )
        )
        return worker

    async def _listen(self, worker: WorkerProcess) -> None:
        """Take the worker's messages until it is gone or hangs."""
        recording = self._scope.spawn(self._record(worker), f"{worker.worker_id}:record")
        limit_s = START_LIMIT_S
        try:
            while True:
                message = await asyncio.wait_for(worker.link.receive(), limit_s)
                if isinstance(message, CallHappened):
                    worker.events.put_nowait(message.event)
                else:
                    self._take(worker, message)
                limit_s = SILENCE_LIMIT_S if worker.ready else START_LIMIT_S
        except LinkClosedError:
            pass  # it died; the caller buries it
        except TimeoutError:
            _log.error("%s has said nothing for %.0f s", worker.worker_id, limit_s)
        finally:
            await worker.events.join()  # what it said before it died did happen
            recording.cancel()

    def _take(self, worker: WorkerProcess, message: Up) -> None:
        match message:
            case Ready():
                worker.ready = True
                self.refusal = None
            case Refused(message=why):
                worker.refusal = why
                self._refused_at = self._refused_at or asyncio.get_running_loop().time()
                self.refusal = why
                _log.error("%s cannot start: %s", worker.worker_id, why)
            case Load():
                worker.last_load = message
            case SocketAccepted() | SocketRefused() | SocketData() | CloseSocket():
                self._take_socket(worker, message)
            case CallHappened():
                pass  # taken before

    def _take_socket(
        self, worker: WorkerProcess, message: SocketAccepted | SocketRefused | SocketData | CloseSocket
    ) -> None:
        peer = worker.sockets.get(message.socket_id)
        if peer is None:
            return  # the client was quicker to leave
        match message:
            case SocketAccepted():
                peer.accepted()
            case SocketRefused(status=status, message=text):
                del worker.sockets[message.socket_id]
                peer.refused(status, text)
            case SocketData(data=data):
                peer.received(data)
            case CloseSocket(code=code):
                del worker.sockets[message.socket_id]
                peer.closed(code)

    async def _record(self, worker: WorkerProcess) -> None:
        """Record the worker's events in order; one that cannot be written is tried again before it is given up."""
        while True:
            event = await worker.events.get()
            if isinstance(event, CallEnded):
                self._forget_call(worker, event.call_id)
                self._ending.add(event.call_id)
            await self._record_one(event)
            self._ending.discard(event.call_id)
            worker.events.task_done()

    async def _record_one(self, event: AnyCallEvent) -> None:
        sink = self._sink
        if sink is None:
            raise RuntimeError("record_into has to be called before the first call is started")
        await _persist(partial(sink.record, event), event.call_id, for_ever=isinstance(event, CallEnded))

    def _forget_call(self, worker: WorkerProcess, call_id: str) -> None:
        room_name = worker.calls.pop(call_id, None)
        if room_name is not None:
            self._rooms.pop(room_name, None)

    async def _bury(self, worker: WorkerProcess) -> None:
        """Close what a dead worker held: its sockets, and its calls."""
        for peer in worker.sockets.values():
            peer.closed(1011)
        worker.sockets.clear()
        lost = list(worker.calls)
        self._ending.update(lost)
        for call_id in lost:
            self._forget_call(worker, call_id)
        await worker.link.aclose()
        await worker.process.wait()
        if lost and self._sink is not None:
            reason = EndReason.SERVER_SHUTDOWN if self._closing.is_set() else EndReason.WORKER_LOST
            await _persist(partial(self._sink.fail_calls, lost, reason), ", ".join(lost), for_ever=True)
        self._ending.difference_update(lost)


async def _persist(write: Callable[[], Awaitable[None]], what: str, *, for_ever: bool) -> None:
    """Carry out ``write``, again and again when the database refuses. Only an end is insisted on for ever."""
    delays_s = (0.05, 0.2, 1.0, 5.0)
    for attempt in count():
        try:
            return await write()
        except Exception:  # noqa: BLE001 - whatever the database says, the calls that come after must be recorded
            _log.exception("what happened in %s could not be recorded", what)
        if attempt >= len(delays_s) and not for_ever:
            return None
        await asyncio.sleep(delays_s[min(attempt, len(delays_s) - 1)])
    return None
