"""``kill -9`` of everything at random moments of a burst of token requests: what was answered is on record, all is ended."""

import asyncio
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from oneinbox.api.db.database import open_database
from tests.support.postgres import postgres_server
from tests.support.running import RunningServer

SITE = "https://shop.example.com"
CONNECTIONS = 12
KILLS = 40 if os.environ.get("ONEINBOX_LONG_TESTS") else 2


@contextmanager
def database(kind: str) -> Iterator[str | None]:
    """Yield the address of an empty database; ``None``: SQLite in the data directory."""
    if kind == "sqlite":
        yield None
        return
    name = asyncio.run(postgres_server().create())
    yield postgres_server().url(name)
    asyncio.run(postgres_server().drop(name))


async def burst(server: RunningServer, key: str, chance: random.Random) -> tuple[set[str], int]:
    """Ask until everything is killed, after a random number of answers; return the calls that were answered."""
    answered: set[str] = set()
    refused = 0
    kill_after = chance.randrange(1, 60)
    killed = asyncio.Event()
    body = {"agent_id": server.demo_agent_id}

    async def connection() -> None:
        nonlocal refused
        headers = {"Authorization": f"Bearer {key}", "Origin": SITE}
        async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=20) as client:
            while not killed.is_set():
                try:
                    answer = await client.post("/v1/web-calls/token", json=body)
                except httpx.HTTPError:
                    return  # killed meanwhile: nobody was told of this call
                if answer.status_code == 201:
                    answered.add(answer.json()["id"])
                else:
                    assert answer.status_code == 503, answer.text
                    refused += 1
                if len(answered) + refused >= kill_after and not killed.is_set():
                    killed.set()
                    await asyncio.sleep(chance.uniform(0, 0.02))
                    server.kill_everything()

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return answered, refused


async def on_record(server: RunningServer, url: str | None) -> dict[str, tuple[str, str | None]]:
    opened = await open_database(data_dir=server.data_dir, url=url)
    try:
        async with opened.read() as rows:
            if url is None:
                assert (await rows.execute(text("PRAGMA integrity_check"))).scalar() == "ok"
            found: Any = (await rows.execute(text("SELECT id, status, end_reason FROM calls"))).all()
            return {row[0]: (row[1], row[2]) for row in found}
    finally:
        await opened.aclose()


@pytest.mark.timeout(120 + 30 * KILLS)
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_after_any_kill_everything_has_ended(tmp_path: Path, kind: str) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    with database(kind) as url:
        environ = {"ONEINBOX_MAX_CALLS_PER_WORKER": "20", **({} if url is None else {"DATABASE_URL": url})}
        server = RunningServer(tmp_path / "data", environ=environ)
        if url is not None:
            server.run("migrate")
        server.start()
        try:
            wanted = {"name": "x", "allowed_origins": [SITE]}
            key = server.json("POST", "/v1/publishable-keys", json=wanted)["key"]
            answered: set[str] = set()
            for _ in range(KILLS):
                told, _ = asyncio.run(burst(server, key, chance))
                answered |= told
                server.start()
                calls = asyncio.run(on_record(server, url))
                assert answered <= calls.keys()
                assert {end for _, end in calls.values()} <= {"server_lost", "internal_error"}
                assert {status for status, _ in calls.values()} <= {"failed"}
                assert server.json("GET", "/v1/calls")["total"] == len(calls)
        finally:
            server.stop()
