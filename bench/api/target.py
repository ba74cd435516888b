"""The process under test: the API with a dispatcher that takes every call, or a bare Starlette route with one insert."""

import argparse
import asyncio
import json
import signal
import socket
import sqlite3
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from bench.sampler import Sampler
from oneinbox.api.app import create_app
from oneinbox.api.config import ApiConfig
from oneinbox.api.db.database import open_database
from oneinbox.api.first_run import ensure_first_organisation
from oneinbox.api.keys.service import create_secret_key
from oneinbox.core.events import EndReason
from oneinbox.core.instructions import Instruction
from oneinbox.core.spec import CallSpec
from oneinbox.server import memory


class TakesAll:
    """A dispatcher without workers."""

    draining = False

    def why_not_ready(self) -> None:
        return None

    def require_room(self) -> None:
        pass

    async def start_call(self, spec: CallSpec) -> None:
        del spec

    async def stop_call(self, call_id: str, reason: EndReason) -> bool:
        del call_id, reason
        return False

    async def tell_call(self, call_id: str, instruction: Instruction) -> bool:
        del call_id, instruction
        return False

    def calls_in_hand(self) -> frozenset[str]:
        return frozenset()


async def api(data_dir: Path) -> tuple[FastAPI, dict[str, Any]]:
    database = await open_database(data_dir=data_dir)
    first = await ensure_first_organisation(database)
    key = await create_secret_key(database, "bench")
    config = ApiConfig(
        token_secret="b" * 40, token_issuer="oneinbox", session_secret="c" * 40, credential_keys=lambda: ["d" * 40]
    )
    return create_app(config, database, TakesAll()), {"agent_id": first.demo_agent_id, "secret_key": key.key}


def bare(data_dir: Path) -> tuple[Starlette, dict[str, Any]]:
    """What the framework and the file cost by themselves: parse, insert and commit in place, answer."""
    data_dir.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(data_dir / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE calls (id INTEGER PRIMARY KEY, body TEXT)")

    async def insert(request: Request) -> JSONResponse:
        body = await request.json()
        connection.execute("INSERT INTO calls (body) VALUES (?)", (json.dumps(body),))
        return JSONResponse({"id": "call_1", **body}, 201)

    return Starlette(routes=[Route("/v1/web-calls/token", insert, methods=["POST"])]), {}


class Server(uvicorn.Server):
    """Uvicorn without its own signal handling, which ends the process before a profile is written."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("which", choices=["api", "bare"])
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--profile", type=Path)
    arguments = parser.parse_args()
    app, facts = await api(arguments.data_dir) if arguments.which == "api" else bare(arguments.data_dir)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        config = uvicorn.Config(app, loop="none", http="httptools", lifespan="off", access_log=False, log_config=None)
        print(json.dumps({"port": listener.getsockname()[1], **facts}), flush=True)
        server = Server(config)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, setattr, server, "should_exit", True)  # noqa: FBT003 - setattr's
        memory.settle()
        if arguments.profile is not None:
            sampler = Sampler()
            sampler.start()
            await server.serve(sockets=[listener])
            sampler.stop()
            arguments.profile.write_text(sampler.table(120))
        else:
            await server.serve(sockets=[listener])


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
