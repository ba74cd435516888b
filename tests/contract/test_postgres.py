"""What is particular to Postgres: migrations from empty and from the first release, and several servers on one."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from oneinbox.api.calls.recorder import Recorder
from oneinbox.api.db.database import DatabaseError, migrate, open_database
from oneinbox.api.db.migrations import HEAD
from oneinbox.api.db.migrations.upgrade import config
from oneinbox.api.db.tables import Base
from oneinbox.cli import main
from tests.support.api import Storage, choose_storage, running_api
from tests.support.postgres import postgres_server


@pytest.fixture(autouse=True)
def storage() -> Storage:  # in place of the one that has everything run on both
    choose_storage(Storage.POSTGRES)
    return Storage.POSTGRES


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """An empty database."""
    name = await postgres_server().create()
    yield postgres_server().url(name)
    await postgres_server().drop(name)


def differences(connection: Connection) -> list[object]:
    return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), Base.metadata)


async def test_from_empty_to_the_tables_of_this_release(url: str) -> None:
    with pytest.raises(DatabaseError, match="oneinbox migrate"):
        await open_database(url=url)
    await migrate(url=url)
    await migrate(url=url)
    database = await open_database(url=url)
    try:
        assert await database.revision() == HEAD
        async with database._writer.connect() as connection:
            assert await connection.run_sync(differences) == []
    finally:
        await database.aclose()


async def test_from_the_first_release(url: str) -> None:
    def first_release(connection: Connection) -> None:
        made = config()
        made.attributes["connection"] = connection
        command.upgrade(made, "0001")

    await migrate(url=url)  # a database of ours to borrow the connection from
    database = await open_database(url=url)
    try:
        async with database._writer.begin() as connection:
            await connection.execute(text("DROP SCHEMA public CASCADE"))
            await connection.execute(text("CREATE SCHEMA public"))
            await connection.run_sync(first_release)
            await connection.execute(
                text("INSERT INTO organisations (id, name, created_at) VALUES ('org_1', 'Old', now())")
            )
        with pytest.raises(DatabaseError, match="0001"):
            await open_database(url=url)
        await migrate(url=url)
        async with database.read() as rows:
            assert (await rows.execute(text("SELECT name FROM organisations"))).scalar_one() == "Old"
        async with database._writer.connect() as connection:
            assert await connection.run_sync(differences) == []
    finally:
        await database.aclose()


async def test_the_command(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert await asyncio.to_thread(main, ["migrate", "--data-dir", str(tmp_path)]) in (0, None)
    database = await open_database(url=url)
    assert await database.revision() == HEAD
    await database.aclose()


async def test_a_server_closes_only_the_calls_that_it_left_open_itself(tmp_path: Path) -> None:
    async with running_api(tmp_path, server_id="srv_a") as api:
        mine = await api.start_call()
        assert await Recorder(api.database, "srv_b").fail_all_open() == 0
        assert (await api.ask("GET", f"/v1/calls/{mine}")).json()["status"] == "queued"
        assert await Recorder(api.database, "srv_a").fail_all_open() == 1
        assert (await api.ask("GET", f"/v1/calls/{mine}")).json()["end_reason"] == "server_lost"
