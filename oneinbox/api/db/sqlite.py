"""SQLite as we use it: one file in WAL mode, one writer at a time, readers that no writer holds up."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from oneinbox.api.db.columns import dump_json

Found = TypeVar("Found")

BUSY_TIMEOUT_MS = 5_000
"""How long a write waits for another process (the command line, a backup) that is writing."""
_READERS = 4
_MAX_KEPT = 1_000
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.001, 0.02

_NO_TRANSACTIONS: dict[str, Any] = {
    "isolation_level": "AUTOCOMMIT",
    "skip_autocommit_rollback": True,
    "pool_reset_on_return": None,
}


def async_engine(url: str, *, writes: bool) -> AsyncEngine:
    """Return the engine of the sessions: for the writer, one connection whose transactions begin with the write lock."""
    engine = create_async_engine(
        url.replace("sqlite://", "sqlite+aiosqlite://", 1) if url.startswith("sqlite://") else url,
        pool_size=1 if writes else _READERS,
        max_overflow=0,
        json_serializer=dump_json,
        hide_parameters=True,  # errors are logged; prompts, names and key hashes are not
        # The driver would begin transactions by rules of its own: we begin them (below), it only commits.
        connect_args={"isolation_level": None, "timeout": BUSY_TIMEOUT_MS / 1000},
        **({} if writes else _NO_TRANSACTIONS),
    )

    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    _set_up(engine.sync_engine, writes=writes, wait_ms=BUSY_TIMEOUT_MS)
    if writes:
        event.listen(engine.sync_engine, "begin", begin)
    return engine


def _set_up(engine: Engine, *, writes: bool, wait_ms: int) -> None:
    def set_up(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        del entry
        cursor = connection.cursor()
        switch_to_wal(cursor)
        cursor.execute(f"PRAGMA synchronous = {'FULL' if writes else 'NORMAL'}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute(f"PRAGMA busy_timeout = {wait_ms}")
        if not writes:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    event.listen(engine, "connect", set_up)


def switch_to_wal(cursor: Any) -> None:
    """Put the file into WAL mode. Where two do that at once, SQLite refuses one of them without any waiting.

    Both hold the file for reading and want it for themselves: waiting would not end. Asked again, it is done already.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return  # noqa: TRY300 - the loop's end is its success
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_FIRST_WAIT_S)


class PlainSqlite:
    """Work on plain connections, on the event loop's own thread: a query costs a tenth of what a session costs.

    Nothing here blocks the loop for longer than its own statements: readers never wait in WAL mode, a writer asks for
    the file's lock without waiting for it, and the commit, which waits for the disk, has a thread of its own.
    """

    def __init__(self, url: str, turn: asyncio.Lock) -> None:
        sync_url = url.replace("sqlite+aiosqlite://", "sqlite://", 1)
        self._reader = _Lasting(_sync_engine(sync_url, writes=False))
        self._writer = _Lasting(_sync_engine(sync_url, writes=True))
        self._turn = turn
        self._committer = ThreadPoolExecutor(1, thread_name_prefix="sqlite-commit")
        self._kept: dict[Hashable, Any] = {}
        self._kept_version = -1

    async def read(self, find: Callable[[Connection], Found], what: Hashable = None) -> Found:
        """Return what ``find`` finds. ``what`` names the question: it is asked again only after somebody wrote.

        Exact, over any number of processes: SQLite tells a connection whether another one has committed anything
        (https://www.sqlite.org/pragma.html#pragma_data_version), and the reader's connection itself never writes.
        """
        connection = self._reader.connection()
        if what is None:
            return find(connection)
        version = self._reader.data_version()
        if version != self._kept_version or len(self._kept) > _MAX_KEPT:
            self._kept.clear()
            self._kept_version = version
        elif what in self._kept:
            return cast("Found", self._kept[what])
        found = self._kept[what] = find(connection)
        return found

    async def write(self, work: Callable[[Connection], Found]) -> Found:
        """Return what ``work`` returns, done in one transaction: all of it, or nothing when it raises."""
        async with self._turn:
            connection = self._writer.connection()
            await self._begin(connection)
            try:
                made = work(connection)
            except BaseException:
                connection.rollback()
                raise
            await self._commit(connection)
            return made

    async def _begin(self, connection: Connection) -> None:
        """Take the file's write lock; where another process has it, try again until :data:`BUSY_TIMEOUT_MS`."""
        deadline, wait_s = time.monotonic() + BUSY_TIMEOUT_MS / 1000, _FIRST_WAIT_S
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                return  # noqa: TRY300 - the loop's end is its success
            except OperationalError as error:
                connection.rollback()
                if "locked" not in str(error.orig) or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    async def _commit(self, connection: Connection) -> None:
        committing = asyncio.get_running_loop().run_in_executor(self._committer, _commit_or_roll_back, connection)
        try:
            await asyncio.shield(committing)
        except asyncio.CancelledError:
            await asyncio.wait({committing})  # nobody else may touch the connection before it is done
            raise

    async def aclose(self) -> None:
        """Close both connections."""
        self._reader.close()
        self._writer.close()
        self._committer.shutdown()


def _commit_or_roll_back(connection: Connection) -> None:
    try:
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


class _Lasting:
    """One connection, opened when it is first needed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._open: Connection | None = None
        self._driver: sqlite3.Connection | None = None

    def connection(self) -> Connection:
        if self._open is None:
            self._open = self._engine.connect()
            self._driver = cast("sqlite3.Connection", self._open.connection.driver_connection)
        return self._open

    def data_version(self) -> int:
        if self._driver is None:
            self.connection()
        driver = cast("sqlite3.Connection", self._driver)
        return driver.execute("PRAGMA data_version").fetchone()[0]

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
        self._open = self._driver = None
        self._engine.dispose()


def _sync_engine(url: str, *, writes: bool) -> Engine:
    engine = create_engine(
        url,
        pool_size=1,
        max_overflow=0,
        json_serializer=dump_json,
        hide_parameters=True,
        connect_args={"isolation_level": None, "timeout": 0, "check_same_thread": False},
        **({} if writes else _NO_TRANSACTIONS),
    )
    _set_up(engine, writes=writes, wait_ms=0 if writes else BUSY_TIMEOUT_MS)
    return engine
