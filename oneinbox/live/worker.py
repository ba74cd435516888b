"""A worker: one process that hosts many live calls, and speaks the link to the server."""

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import time
from functools import partial
from pathlib import Path

from oneinbox.core.errors import LinkClosedError
from oneinbox.core.events import AnyCallEvent, EndReason
from oneinbox.core.link import (
    CallHappened,
    CloseSocket,
    Configure,
    Down,
    Drain,
    KnowledgeFound,
    Link,
    Load,
    OpenSocket,
    Ready,
    Refused,
    SocketAccepted,
    SocketData,
    SocketRefused,
    StartCall,
    StopCall,
    TellCall,
    Up,
)
from oneinbox.core.load import resident_bytes
from oneinbox.core.loop_watch import LoopWatch
from oneinbox.core.outbound import AddressPolicy
from oneinbox.core.spare_memory import give_back
from oneinbox.core.spec import CallSpec
from oneinbox.core.tasks import TaskScope
from oneinbox.core.tokens import mint_participant_token
from oneinbox.live.audio.tape import TapeDeck
from oneinbox.live.call import LiveCall
from oneinbox.live.engine.turn_log import keep_newest
from oneinbox.live.media.embedded.endpoint import EmbeddedMedia
from oneinbox.live.media.probe import Probe
from oneinbox.live.providers.registry import ProviderHub
from oneinbox.live.speech.silero import SileroVad
from oneinbox.live.speech.smart_turn import SmartTurn
from oneinbox.live.tools.knowledge import ServerKnowledge
from oneinbox.live.tools.toolbox import ToolHub

_log = logging.getLogger(__name__)

REJOIN_TOKEN_TTL_S = 600.0
DRAIN_TIMEOUT_S = 5.0
IDLE_S = 3.0
"""Memory is given back about so long after the last call."""
MAX_PROBES = 20
"""Tests of a connection at a time, each for half a minute at most."""


class LinkSocket:
    """The worker's side of one signalling WebSocket, whose wire end is in the server."""

    def __init__(self, link: Link[Down, Up], socket_id: int) -> None:
        self._link = link
        self._socket_id = socket_id

    def accept(self) -> None:
        """Complete the handshake."""
        self._link.send(SocketAccepted(socket_id=self._socket_id))

    def refuse(self, status: int, message: str) -> None:
        """Answer the upgrade with an HTTP status instead."""
        self._link.send(SocketRefused(socket_id=self._socket_id, status=status, message=message))

    def send(self, data: bytes) -> None:
        """Send one binary message."""
        self._link.send(SocketData(socket_id=self._socket_id, data=data))

    def close(self, code: int = 1000) -> None:
        """Close the WebSocket."""
        self._link.send(CloseSocket(socket_id=self._socket_id, code=code))


class Worker:
    """Hosts calls until the link closes."""

    def __init__(self, link: Link[Down, Up], config: Configure) -> None:
        self._link = link
        self._config = config
        self._scope = TaskScope(config.worker_id)
        self._calls: dict[str, LiveCall] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._probes: set[str] = set()
        self._media = EmbeddedMedia(config.media, mint_rejoin_token=self._mint_rejoin_token)
        self._vad = SileroVad(Path(config.models_dir) / "silero_vad.onnx")
        self._end_of_turn = _load_end_of_turn(Path(config.models_dir) / "smart_turn.onnx")
        self._providers = ProviderHub()
        self._knowledge = ServerKnowledge(link.send)
        self._tools = ToolHub(AddressPolicy.allowing(config.allowed_networks), self._knowledge)
        self._watch = LoopWatch()
        self._tapes = TapeDeck(Path(config.recordings_dir))
        self._used = False  # there was a call since memory was given back

    async def run(self) -> None:
        """Start everything, take calls, and clean up when the server goes."""
        try:
            port = await self._media.start()
            await self._providers.start()
        except OSError as error:
            self._link.send(Refused(message=str(error)))
            await self._link.drain()
            return
        self._link.send(Ready(pid=os.getpid(), media_port=port))
        gc.freeze()  # what is loaded by now stays: later collections need not walk it again
        self._watch.start()
        self._scope.spawn(self._report_load(), "load")
        self._scope.spawn(self._give_memory_back(), "memory")
        self._scope.spawn(self._providers.warm(self._config.warm), "warm")
        try:
            while True:
                message = await self._link.receive()
                if isinstance(message, Drain):
                    await self._drain(message.reason)
                    return
                self._carry_out(message)
        except LinkClosedError:
            _log.warning("the server has gone; ending %d calls", len(self._calls))
            await self._drain(EndReason.SERVER_LOST)
        finally:
            self._watch.stop()
            await self._scope.aclose()
            await self._media.aclose()
            await self._providers.aclose()
            self._vad.close()
            if self._end_of_turn is not None:
                self._end_of_turn.close()
            self._tapes.close()

    def _carry_out(self, message: Down) -> None:
        match message:
            case StartCall(spec=spec):
                self._start(spec)
            case StopCall(call_id=call_id, reason=reason):
                if call := self._calls.get(call_id):
                    call.end(reason)
            case TellCall(call_id=call_id, instruction=instruction):
                if call := self._calls.get(call_id):
                    call.tell(instruction)
            case KnowledgeFound():
                self._knowledge.found(message)
            case OpenSocket():
                socket = LinkSocket(self._link, message.socket_id)
                if message.probe and not self._open_probe(message):
                    socket.refuse(503, "too many connection tests at once: try again in half a minute")
                else:
                    self._media.on_socket_open(message, socket)
            case SocketData(socket_id=socket_id, data=data):
                self._media.on_socket_data(socket_id, data)
            case CloseSocket(socket_id=socket_id):
                self._media.on_socket_closed(socket_id)
            case Configure() | Drain():
                _log.error("unexpected %s from the server", type(message).__name__)

    def _open_probe(self, request: OpenSocket) -> bool:
        """Have the probe's room there; false where there are too many."""
        if request.room_name in self._probes:
            return True  # its visitor comes back
        if len(self._probes) >= MAX_PROBES:
            return False
        self._probes.add(request.room_name)
        probe = Probe(self._media, room_name=request.room_name, identity=request.identity)
        task = self._scope.spawn(probe.run(), request.room_name)
        task.add_done_callback(lambda _: self._probes.discard(request.room_name))
        return True

    def _start(self, spec: CallSpec) -> None:
        tools = self._tools.for_call(spec, self._emit)
        call = LiveCall(
            spec,
            rooms=self._media,
            providers=self._providers.for_call(spec, tools.functions),
            tools=tools,
            vad=self._vad,
            end_of_turn=self._end_of_turn,
            turn_logs=Path(self._config.turn_logs_dir) if self._config.turn_logs else None,
            worker_id=self._config.worker_id,
            emit=self._emit,
            tapes=self._tapes,
        )
        self._calls[spec.call_id] = call
        self._used = True
        task = self._scope.spawn(call.run(), spec.call_id)
        self._running.add(task)
        task.add_done_callback(partial(self._forget, spec.call_id))

    def _forget(self, call_id: str, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._calls.pop(call_id, None)
        if self._config.turn_logs:
            keep_newest(Path(self._config.turn_logs_dir), self._config.turn_logs)

    def _emit(self, event: AnyCallEvent) -> None:
        self._link.send(CallHappened(event=event))

    def _mint_rejoin_token(self, room_name: str, identity: str, origin: str | None) -> str:
        return mint_participant_token(
            secret=self._config.token_secret,
            issuer=self._config.token_issuer,
            room_name=room_name,
            identity=identity,
            ttl_s=REJOIN_TOKEN_TTL_S,
            origin=origin,
            rejoin=True,
        )

    async def _report_load(self) -> None:
        while True:
            self._link.send(
                Load(
                    calls=len(self._calls),
                    active_calls=sum(call.active for call in self._calls.values()),
                    tick_late_ms=self._media.tick_late_ms,
                    cpu_s=time.process_time(),
                    resident_bytes=resident_bytes(),
                    media=self._media.measure(),
                    loop=self._watch.load(),
                )
            )
            await asyncio.sleep(1)

    async def _give_memory_back(self) -> None:
        """Tidy up when calls have ended and none has come since."""
        while True:
            await asyncio.sleep(IDLE_S)
            if self._used and not self._calls:
                self._used = False
                await asyncio.to_thread(give_back)

    async def _drain(self, reason: EndReason) -> None:
        """End every call and wait until each has said so."""
        for call in list(self._calls.values()):
            call.end(reason)
        if self._running:
            await asyncio.wait(self._running, timeout=DRAIN_TIMEOUT_S)
        try:
            await self._link.drain()
        except LinkClosedError:
            pass  # nobody is left to be told


def _load_end_of_turn(path: Path) -> SmartTurn | None:
    """Load the end-of-turn model; without it, silence alone ends turns."""
    try:
        return SmartTurn(path)
    except FileNotFoundError as error:
        _log.warning("turns end by silence alone: %s", error)
        return None


async def _serve(link_fd: int) -> None:
    end = socket.socket(fileno=link_fd)
    reader, writer = await asyncio.open_connection(sock=end)
    link = Link[Down, Up](reader, writer, Down)
    try:
        config = await link.receive()
    except LinkClosedError:
        return
    if not isinstance(config, Configure):
        raise TypeError(f"the first message has to be configure, not {type(config).__name__}")
    logging.basicConfig(
        level=config.log_level,
        format=f"%(asctime)s %(levelname)s {config.worker_id} %(name)s: %(message)s",
        stream=sys.stderr,
    )
    await Worker(link, config).run()
    await link.aclose()


def run_worker(link_fd: int) -> None:
    """Run a worker whose server speaks on the socket ``link_fd``; return when it is over."""
    # The terminal's Ctrl-C goes to the whole process group; the server decides when a worker ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "win32":
        asyncio.run(_serve(link_fd))
    else:
        import uvloop  # noqa: PLC0415 - not to be had on Windows

        uvloop.run(_serve(link_fd))
