"""``oneinbox up``: puts the parts together, serves, and takes them apart again."""

import asyncio
import fcntl
import ipaddress
import logging
import os
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop

from oneinbox import __version__
from oneinbox.core.tasks import TaskScope, first_of
from oneinbox.server import memory
from oneinbox.server.settings import Secrets, Settings, explain_stages, load_secrets
from oneinbox.server.workers import WorkerPool

_log = logging.getLogger(__name__)

MAX_SIGNAL_BYTES = 64 * 1024
_SHUTDOWN_LIMIT_S = 3


class StartError(Exception):
    """The server cannot start. The message names the reason and the mend."""


def run_up(settings: Settings) -> None:
    """Serve until a signal ends it; raises :class:`StartError`."""
    logging.basicConfig(
        level=settings.log_level, format="%(asctime)s %(levelname)s server %(name)s: %(message)s", stream=sys.stderr
    )
    for noisy in ("uvicorn", "alembic"):
        # At INFO uvicorn writes the addresses of WebSockets, which hold tokens; alembic, each plug-in.
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    _allow_many_sockets()
    uvloop.run(_up(settings))


def _is_news(record: logging.LogRecord) -> bool:
    """Whether uvicorn's line says anything: it calls each WebSocket that we refuse with an answer an error of ours.

    Anybody could fill the log with those, and an operator who watches for errors would see one for each used token.
    """
    return record.msg != "ASGI callable returned without completing handshake."


def _allow_many_sockets() -> None:
    """Raise this process's limit of open files to what the system allows: many ship with 1,024, and calls need two each."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - not to be had on Windows

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (ValueError, OSError) as error:  # some systems say "unlimited" and mean less
        _log.info("the limit of open files stays as it is: %s", error)


async def _up(settings: Settings) -> None:
    secrets = load_secrets(settings.data_path)
    with _only_server(settings.data_path), _listen(settings.host, settings.port) as listener:
        stop = _Signals()
        pool = WorkerPool(settings, secrets)
        pool.start()  # the workers load while this process does
        try:
            await _serve(settings, secrets, pool, listener, stop)
        finally:
            await stop.aclose()
            await pool.aclose()


async def _serve(
    settings: Settings, secrets: Secrets, pool: WorkerPool, listener: socket.socket, stop: "_Signals"
) -> None:
    # Loading the API takes most of a second; the workers are loading meanwhile.
    from oneinbox.server.app import HttpServer, compose  # noqa: PLC0415

    address = public_address(settings, listener)
    async with compose(settings, secrets, pool) as composed:
        await pool.wait_ready()
        if pool.refusal is not None:
            raise StartError(f"no worker could start: {pool.refusal}")
        http = HttpServer(composed.app, listener, max_message_bytes=MAX_SIGNAL_BYTES)
        await http.start()
        memory.settle()
        composed.watch.start()  # after the collection, which takes a third of a second once
        token = await composed.make_sign_in_token()
        print_welcome(settings, address, token, composed.first_run.demo_agent_id)
        stop.on_hang_up = pool.replace_workers
        await stop.asked.wait()
        if not stop.now.is_set():
            await _drain(pool, settings.drain_timeout_s, stop)
        print("Stopping: calls are told good-bye", flush=True)
        await pool.aclose()  # before HTTP goes, so that clients hear why over their sockets
        await http.aclose(_SHUTDOWN_LIMIT_S)


def public_address(settings: Settings, listener: socket.socket | None = None) -> str:
    """Return how a browser on this machine reaches the pages."""
    if settings.public_url is not None:
        return settings.public_url.rstrip("/")
    port = settings.port if listener is None else listener.getsockname()[1]
    host = settings.host
    if ipaddress.ip_address(host).is_unspecified if _is_ip(host) else False:
        host = "localhost"  # a browser gives the microphone to localhost, not to 0.0.0.0
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def print_welcome(settings: Settings, address: str, sign_in_token: str, demo_agent_id: str | None) -> None:
    """Print who serves what, where to look, and one line that works."""
    print(f"OneInbox {__version__} is ready")
    for stage, who, why in explain_stages(settings):
        print(f"  {stage:<4} {who:<34} ({why})")
    command = shlex.quote(str(Path(sys.argv[0]).absolute())) if sys.argv[0].endswith("oneinbox") else "oneinbox"
    key = f"$({command} keys create --name curl --data-dir {shlex.quote(settings.data_dir)})"
    print(f"Open  {address}/sign-in?token={sign_in_token}   (works once, within 15 minutes)")
    print(
        f'Try   curl -s {address}/v1/calls/web -H "Authorization: Bearer {key}" '
        f"-H 'Content-Type: application/json' -d '{{\"agent_id\": \"{demo_agent_id or 'agt_...'}\"}}'",
        flush=True,
    )


async def _drain(pool: WorkerPool, limit_s: float, stop: "_Signals") -> None:
    """Let live calls finish, until a second signal."""
    live = sum(len(worker.calls) for worker in pool.workers)
    if live:
        print(f"Draining: {live} calls may finish, for {limit_s:.0f} s at most; another signal ends them", flush=True)
    await first_of(pool.drain(limit_s), stop.now.wait())


class _Signals:
    """What the operator asks for from outside.

    SIGTERM: stop, but let live calls finish. A second one, or SIGINT (Ctrl-C): stop at once. SIGHUP: fresh workers.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        """The server is to stop."""
        self.now = asyncio.Event()
        """At once."""
        self.on_hang_up: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._scope = TaskScope("signals")
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._stop_now)
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._replace)

    def _stop(self) -> None:
        if self.asked.is_set():
            self.now.set()
        self.asked.set()

    def _stop_now(self) -> None:
        self.now.set()
        self.asked.set()

    def _replace(self) -> None:
        if self.on_hang_up is not None:
            self._scope.spawn(self.on_hang_up(), "replace workers")

    async def aclose(self) -> None:
        """Give up what a signal began."""
        await self._scope.aclose()


@contextmanager
def _only_server(data_dir: Path) -> Generator[None]:
    """Hold the data directory: a second server on it would close the first one's calls as lost."""
    path = data_dir / "server.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StartError(
            f"another server runs on {data_dir}; stop it, or choose another directory with --data-dir"
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)  # which lets go of the lock; so does the death of the process


@contextmanager
def _listen(host: str, port: int) -> Generator[socket.socket]:
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise StartError(f"cannot listen on {host}: {error.strerror}; choose another address with --host") from None
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(where)
        except OSError as error:
            raise StartError(
                f"cannot listen on {host}:{port}: {error.strerror}; choose another port with --port"
            ) from None
        yield listener
