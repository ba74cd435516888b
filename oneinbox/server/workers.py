"""Starts the worker processes, watches over them, and is the API's way to them.

A worker that dies, or says nothing for :data:`SILENCE_LIMIT_S`, is replaced; its calls are recorded as ``worker_lost``
at once, and nobody else notices. One that is to be replaced while it works (:meth:`WorkerPool.replace_workers`) gets no
more calls, and leaves when its last one is over. For that there is one media port more than there are workers.
"""

import asyncio
import heapq
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from oneinbox.core.errors import AppError, LinkClosedError
from oneinbox.core.events import CallEnded, EndReason
from oneinbox.core.instructions import Instruction
from oneinbox.core.link import (
    CallHappened,
    CloseSocket,
    Drain,
    Load,
    OpenSocket,
    Ready,
    Refused,
    SearchKnowledge,
    SocketAccepted,
    SocketData,
    SocketRefused,
    StartCall,
    StopCall,
    TellCall,
    Up,
)
from oneinbox.core.spec import CallSpec
from oneinbox.core.tasks import TaskScope, first_of
from oneinbox.server import event_sink
from oneinbox.server.admission import Limits
from oneinbox.server.event_sink import EventSink
from oneinbox.server.figures import CallFigures
from oneinbox.server.look_ups import Knowledge, look_up
from oneinbox.server.placement import choose
from oneinbox.server.settings import Secrets, Settings
from oneinbox.server.worker_configuration import configuration
from oneinbox.server.worker_process import SocketPeer, SocketRoute, WorkerProcess, spawn_worker

_log = logging.getLogger(__name__)

SILENCE_LIMIT_S = 4.0
"""A worker reports its load every second; after this long without a word it is killed."""
START_LIMIT_S = 30.0
HEAD_START_S = 3.0
REFUSAL_PATIENCE_S = 3.0
RESTART_DELAY_S = 0.5
RESTART_DELAY_MAX_S = 10.0
DRAIN_LIMIT_S = 8.0


class WorkerPool:
    """All workers of this server. Fulfils the ``Dispatcher`` of ``api/calls``."""

    def __init__(self, settings: Settings, secrets: Secrets) -> None:
        self._settings = settings
        self._secrets = secrets
        self._scope = TaskScope("workers")
        self._sink: EventSink | None = None
        self._knowledge: Knowledge | None = None
        self._limits = Limits(
            calls=settings.max_calls_per_worker,
            cpu=settings.max_worker_cpu,
            tick_late_s=settings.max_tick_late_ms / 1000,
        )
        self._workers: list[WorkerProcess] = []
        self._free_numbers = list(range(settings.worker_count + 1))  # a heap: the lowest is taken first
        self._rooms: dict[str, WorkerProcess] = {}
        self._ending: set[str] = set()
        """Calls whose end is being written to their record."""
        self._next_socket_id = 0
        self._keepers: list[asyncio.Task[None]] = []
        self._first_word = asyncio.Event()
        self._stopping = asyncio.Event()
        """No worker is started any more."""
        self._closing = False
        self._replacing = False
        self._refused_at = 0.0
        self.figures = CallFigures()
        self.refusal: str | None = None
        """Why no worker could start, if none could."""

    # ---- life -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin starting the workers; :meth:`wait_ready` tells when the first can take calls."""
        for index in range(self._settings.worker_count):
            self._keep_one(first=index == 0)

    def _keep_one(self, *, first: bool) -> asyncio.Task[None]:
        """Keep one worker running. The first has the machine to itself while it loads: the server is ready with it."""
        self._keepers = [keeper for keeper in self._keepers if not keeper.done()]
        keeper = self._scope.spawn(self._keep_running(first=first), "keep-worker")
        self._keepers.append(keeper)
        return keeper

    def record_into(self, sink: EventSink) -> None:
        """Say where events go. Has to be called before the first call is started."""
        self._sink = sink

    def search_in(self, knowledge: Knowledge) -> None:
        """Say where calls look things up."""
        self._knowledge = knowledge

    async def wait_ready(self) -> None:
        """Return when a worker is ready, or when it is clear that none will be (:attr:`refusal`).

        A worker that is refused its port is given some time: the workers of a server that was killed may still be
        on their way out.
        """
        deadline = asyncio.get_running_loop().time() + START_LIMIT_S
        while not any(worker.ready for worker in self._workers):
            now = asyncio.get_running_loop().time()
            if now > deadline:
                self.refusal = self.refusal or f"none was ready after {START_LIMIT_S:.0f} s"
            if self.refusal is not None and now > self._refused_at + REFUSAL_PATIENCE_S:
                return
            await asyncio.sleep(0.01)
        self.refusal = None

    async def aclose(self) -> None:
        """End every call, let the workers say so, and stop them."""
        self._closing = True
        self._stopping.set()
        for worker in self._workers:
            worker.link.send(Drain())
        if self._keepers:
            await asyncio.wait(self._keepers, timeout=DRAIN_LIMIT_S)
        for worker in self._workers:
            worker.kill()
        if self._keepers:
            await asyncio.wait(self._keepers, timeout=DRAIN_LIMIT_S)
        await self._scope.aclose()

    async def drain(self, limit_s: float) -> None:
        """Take no more calls, and return when every worker has gone: each goes when its last call is over.

        Calls that are not over after ``limit_s`` are ended.
        """
        self._stopping.set()
        async with asyncio.TaskGroup() as group:
            for worker in self._workers:
                group.create_task(self._let_go(worker, limit_s))
        if self._keepers:
            await asyncio.wait(self._keepers, timeout=DRAIN_LIMIT_S)

    async def replace_workers(self) -> None:
        """Put a fresh process in the place of every worker, one after the other; no call is lost.

        A second wish while one is being carried out changes nothing.
        """
        if self._replacing or self._stopping.is_set():
            _log.warning("the workers are being replaced, or ended, already")
            return
        self._replacing = True
        try:
            ready = [worker for worker in self._workers if worker.ready]
            for old in sorted(ready, key=lambda worker: len(worker.calls)):  # who has calls to finish holds up the rest
                if not await self._replace(old):
                    return
            _log.info("every worker has been replaced")
        finally:
            self._replacing = False

    async def _replace(self, old: WorkerProcess) -> bool:
        known = list(self._workers)
        old.replaced = True
        keeper = self._keep_one(first=True)
        deadline = asyncio.get_running_loop().time() + START_LIMIT_S
        while not any(worker.ready for worker in self._workers if worker not in known):
            if asyncio.get_running_loop().time() > deadline or self._stopping.is_set():
                if not self._stopping.is_set():
                    _log.error("no worker could be started in the place of %s", old.worker_id)
                if not old.gone.is_set():  # it goes on; else the keeper does
                    old.replaced = False
                    keeper.cancel()
                return False
            await asyncio.sleep(0.05)
        _log.info("%s is replaced; its %d calls go on", old.worker_id, len(old.calls))
        await self._let_go(old, self._settings.drain_timeout_s)
        await old.gone.wait()
        return True

    async def _let_go(self, worker: WorkerProcess, limit_s: float) -> None:
        """Give the worker no more calls, and end it when it has none."""
        worker.leaving = True
        with suppress(TimeoutError):
            await asyncio.wait_for(worker.emptied.wait(), limit_s)
        worker.link.send(Drain())

    @property
    def workers(self) -> Sequence[WorkerProcess]:
        """The processes that live."""
        return self._workers

    @property
    def draining(self) -> bool:
        """Whether the server is on its way out."""
        return self._stopping.is_set()

    # ---- the API's side -----------------------------------------------------------------------------------------

    def require_room(self) -> None:
        """Raise ``AppError`` where no worker could take a call now."""
        self._choose_for_a_call()

    async def start_call(self, spec: CallSpec) -> None:
        """Hand the call to the worker with the most to spare; raises ``AppError`` when none can take it."""
        worker = self._choose_for_a_call()
        worker.add_call(spec.call_id, spec.room_name)
        worker.gauge.give(asyncio.get_running_loop().time())
        self.figures.started += 1
        self._rooms[spec.room_name] = worker
        worker.link.send(StartCall(spec=spec))

    def _choose_for_a_call(self) -> WorkerProcess:
        try:
            return self._choose()
        except AppError as error:
            self.figures.refused[error.code] += 1
            raise

    def why_not_ready(self) -> AppError | None:
        """Return what a call that is asked for now would be refused with."""
        try:
            self._choose()
        except AppError as error:
            return error
        return None

    def _choose(self) -> WorkerProcess:
        now_s = asyncio.get_running_loop().time()
        return choose(self._open(), self._limits, now_s, draining=self._stopping.is_set())

    def _open(self) -> list[WorkerProcess]:
        return [worker for worker in self._workers if worker.ready and not worker.leaving]

    async def stop_call(self, call_id: str, reason: EndReason) -> bool:
        """Ask the worker that holds the call to end it; False when none does."""
        for worker in self._workers:
            if call_id in worker.calls:
                worker.link.send(StopCall(call_id=call_id, reason=reason))
                return True
        return False

    def calls_in_hand(self) -> frozenset[str]:
        """Return the calls that a worker has, and those whose end is not on record yet."""
        return frozenset(self._ending.union(*(worker.calls for worker in self._workers)))

    async def tell_call(self, call_id: str, instruction: Instruction) -> bool:
        """Tell the worker that holds the call; False when none does."""
        for worker in self._workers:
            if call_id in worker.calls:
                worker.link.send(TellCall(call_id=call_id, instruction=instruction))
                return True
        return False

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
        """Return the worker of a room ``probe-<which of those that take calls, or any>-<a number in hex>``."""
        ready = sorted(self._open(), key=lambda one: one.number)
        _, place, number = room_name.split("-")
        index = int(number, 16) % max(len(ready), 1) if place == "any" else int(place)
        return ready[index] if index < len(ready) else None

    # ---- one worker -----------------------------------------------------------------------------------------------

    async def _keep_running(self, *, first: bool) -> None:
        if not first:
            await first_of(self._first_word.wait(), self._stopping.wait(), asyncio.sleep(HEAD_START_S))
        delay_s = RESTART_DELAY_S
        while not self._stopping.is_set():
            started_at = asyncio.get_running_loop().time()
            number = heapq.heappop(self._free_numbers)
            try:
                worker = await self._run(number)
            finally:
                heapq.heappush(self._free_numbers, number)
            self.figures.worker_exits[worker.exit_cause] += 1
            if worker.replaced or self._stopping.is_set():
                return
            lived_s = asyncio.get_running_loop().time() - started_at
            delay_s = RESTART_DELAY_S if lived_s > 30 else min(delay_s * 2, RESTART_DELAY_MAX_S)
            _log.error("%s is gone (%s); starting it again", worker.worker_id, worker.refusal or worker.exit_cause)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay_s)

    async def _run(self, number: int) -> WorkerProcess:
        """Run one worker until it is gone."""
        worker = await spawn_worker(number)
        self._workers.append(worker)
        try:
            worker.link.send(configuration(self._settings, self._secrets, worker.worker_id, worker.number))
            if self._stopping.is_set():
                worker.link.send(Drain())
            await self._listen(worker)
        finally:
            self._workers.remove(worker)
            worker.kill()
            await self._bury(worker)
            worker.gone.set()
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
            worker.hung = True
            _log.error("%s has said nothing for %.0f s", worker.worker_id, limit_s)
        finally:
            await worker.events.join()  # what it said before it died did happen
            recording.cancel()

    def _take(self, worker: WorkerProcess, message: Up) -> None:
        match message:
            case Ready():
                worker.ready = True
                self._first_word.set()
                self.refusal = None
            case Refused(message=why):
                self._first_word.set()
                worker.refusal = why
                self._refused_at = self._refused_at or asyncio.get_running_loop().time()
                self.refusal = why
                _log.error("%s cannot start: %s", worker.worker_id, why)
            case Load():
                worker.gauge.report(message, asyncio.get_running_loop().time())
            case SearchKnowledge():
                self._scope.spawn(self._look_up(worker, message), "look-up")
            case SocketAccepted() | SocketRefused() | SocketData() | CloseSocket():
                worker.take_socket(message)
            case CallHappened():
                pass  # taken before

    async def _look_up(self, worker: WorkerProcess, question: SearchKnowledge) -> None:
        worker.link.send(await look_up(self._knowledge, question))

    async def _record(self, worker: WorkerProcess) -> None:
        """Record the worker's events in order; one that cannot be written is tried again before it is given up."""
        while True:
            event = await worker.events.get()
            if isinstance(event, CallEnded):
                self._forget_call(worker, event.call_id)
                self._ending.add(event.call_id)
            self.figures.count(event)
            await event_sink.record(self._sink, event)
            self._ending.discard(event.call_id)
            worker.events.task_done()

    def _forget_call(self, worker: WorkerProcess, call_id: str) -> None:
        room_name = worker.drop_call(call_id)
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
            reason = EndReason.SERVER_SHUTDOWN if self._closing else EndReason.WORKER_LOST
            self.figures.ended[reason] += len(lost)
            await event_sink.fail_calls(self._sink, lost, reason)
        self._ending.difference_update(lost)
