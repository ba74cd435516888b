"""A real server beside live calls: the API, its sockets and one real worker. A line on its input asks for the figures.

The first ``--calls`` calls go to the worker and are spoken; all others are taken by nobody, and stay queued: what is
measured is the API beside the calls, not how many greetings a worker can prepare. The watch over calls without a worker
(``CallKeeper``) is left out for that reason.
"""

import argparse
import asyncio
import json
import socket
import sys
from pathlib import Path

import uvloop

from oneinbox.api.app import create_app
from oneinbox.api.calls.recorder import Recorder
from oneinbox.api.db.database import open_database
from oneinbox.api.first_run import ensure_first_organisation
from oneinbox.api.keys.service import create_secret_key
from oneinbox.core.link import Load, Up
from oneinbox.core.load import LATENESS_BOUNDS_S
from oneinbox.core.spec import CallSpec
from oneinbox.server import memory
from oneinbox.server.app import HttpServer, api_config
from oneinbox.server.settings import Secrets, Settings, load_secrets, load_settings
from oneinbox.server.sockets import socket_routes
from oneinbox.server.worker_process import WorkerProcess
from oneinbox.server.workers import WorkerPool


class SomeLive(WorkerPool):
    """A pool that hands the first calls to its worker and takes the others itself. Keeps what the worker says of itself."""

    def __init__(self, settings: Settings, secrets: Secrets, live_calls: int) -> None:
        super().__init__(settings, secrets)
        self._left = live_calls
        self.loads: list[Load] = []

    def require_room(self) -> None:
        pass

    async def start_call(self, spec: CallSpec) -> None:
        if self._left:
            self._left -= 1
            await super().start_call(spec)

    def _take(self, worker: WorkerProcess, message: Up) -> None:
        if isinstance(message, Load):
            self.loads.append(message)
        super()._take(worker, message)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--calls", type=int, required=True)
    arguments = parser.parse_args()
    flags = {"data_dir": str(arguments.data_dir), "media_host": "127.0.0.1", "media_port": 0, "workers": 1}
    settings = load_settings(flags, {})
    secrets = load_secrets(settings.data_path)
    pool = SomeLive(settings, secrets, arguments.calls)
    pool.start()
    database = await open_database(data_dir=settings.data_path)
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    try:
        pool.record_into(Recorder(database))
        first = await ensure_first_organisation(database)
        key = await create_secret_key(database, "bench")
        app = create_app(api_config(settings, secrets), database, pool)
        app.include_router(socket_routes(pool, secrets.participant_tokens))
        await pool.wait_ready()
        http = HttpServer(app, listener, max_message_bytes=2**20)
        await http.start()
        memory.settle()
        facts = {"agent_id": first.demo_agent_id, "secret_key": key.key, "port": listener.getsockname()[1]}
        print(json.dumps(facts), flush=True)
        loop = asyncio.get_running_loop()
        while (await loop.run_in_executor(None, sys.stdin.readline)).strip() == "loads":
            seen, pool.loads = pool.loads, pool.loads[-1:]
            ticks = seen[-1].media.tick_lateness.since(seen[0].media.tick_lateness)
            told = {
                "active": min(one.active_calls for one in seen),
                "ticks": sum(ticks.counts),
                "late_ms": {share: _ms(ticks.quantile(share, LATENESS_BOUNDS_S)) for share in (0.5, 0.95, 0.99, 0.999)},
                "skipped": seen[-1].media.ticks_skipped - seen[0].media.ticks_skipped,
                "cores": (seen[-1].cpu_s - seen[0].cpu_s) / max(len(seen) - 1, 1),
            }
            print(json.dumps(told), flush=True)
        await pool.aclose()
        await http.aclose(2.0)
    finally:
        await pool.aclose()
        await database.aclose()


if __name__ == "__main__":
    uvloop.run(main())
