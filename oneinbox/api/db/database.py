"""The connection to the database: SQLite in the data directory, or any address SQLAlchemy has an async driver for."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import asynccontextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Protocol, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from oneinbox.api.db import sqlite
from oneinbox.api.db.columns import dump_json
from oneinbox.api.db.migrations import HEAD
from oneinbox.core.tasks import TaskScope

FILE_NAME = "oneinbox.db"
_READERS = 4

OUTBOX_WRITTEN = "outbox_written"
"""Set in ``Rows.info`` by whoever writes to the outbox: at the commit its deliverer is woken."""

Found = TypeVar("Found")
Rows = AsyncSession
"""An open transaction, as repositories take it. Services pass it on and look no closer."""


_joined: ContextVar[tuple[Rows, object] | None] = ContextVar("joined", default=None)


def _joined_rows() -> Rows | None:
    """The transaction that this task has opened with ``write_as_one``; the tasks it starts have a copy, and no part."""
    joined = _joined.get()
    return joined[0] if joined is not None and joined[1] is asyncio.current_task() else None


class DatabaseError(Exception):
    """The database cannot be used as it stands. The message names the mend."""


class _Plain(Protocol):
    async def read(self, find: Callable[[Connection], Found], what: Hashable = None) -> Found: ...

    async def write(self, work: Callable[[Connection], Found]) -> Found: ...

    async def aclose(self) -> None: ...


class _PlainPostgres:
    """The same work over the sessions' own pools."""

    def __init__(self, reader: AsyncEngine, writer: AsyncEngine) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, find: Callable[[Connection], Found], what: Hashable = None) -> Found:
        del what
        async with self._reader.connect() as connection:
            return await connection.run_sync(find)

    async def write(self, work: Callable[[Connection], Found]) -> Found:
        async with self._writer.begin() as connection:
            return await connection.run_sync(work)

    async def aclose(self) -> None:
        pass  # the pools are closed with the sessions


class Database:
    """Sessions. A writer has a transaction of its own; a reader has none, which halves what a query costs.

    On SQLite all writes of this process take turns, and each takes the file's write lock at the begin of its
    transaction: so none can fail halfway because somebody else wrote in between.

    ``read_plain`` and ``write_plain`` are for what every call's start asks: functions over a plain connection, which
    are the same on both databases and never wait in between.
    """

    def __init__(self, reader: AsyncEngine, writer: AsyncEngine, sqlite_url: str | None = None) -> None:
        self._reader = reader
        self._writer = writer
        self._turn: asyncio.Lock | None = None
        self._plain: _Plain
        if sqlite_url is None:
            self._plain = _PlainPostgres(reader, writer)
        else:
            self._turn = asyncio.Lock()
            self._plain = sqlite.PlainSqlite(sqlite_url, self._turn)
        self.tasks = TaskScope("database")
        """What works on the database in the background, and ends with it."""
        self.outbox_written = asyncio.Event()
        """Set when this process has committed something to deliver."""

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[Rows, None]:
        """Open a session that only reads. Each of its queries sees what was committed when it began."""
        joined = _joined_rows()
        if joined is not None:
            yield joined
            return
        async with AsyncSession(self._reader, expire_on_commit=False, autoflush=False) as rows:
            yield rows

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[Rows, None]:
        """Open a transaction: committed when the block ends, rolled back when it raises."""
        joined = _joined_rows()
        if joined is not None:
            async with joined.begin_nested():
                yield joined
            return
        async with self._turn or nullcontext(), AsyncSession(self._writer, expire_on_commit=False) as rows:
            yield rows
            await rows.commit()
            if OUTBOX_WRITTEN in rows.info:
                self.outbox_written.set()

    async def read_plain(self, find: Callable[[Connection], Found], what: Hashable = None) -> Found:
        """Return what ``find`` finds, which is shared: nobody may change it.

        ``what`` names the question. Where the database can tell that nothing at all was committed since it was last
        asked, the answer is given again.
        """
        joined = _joined_rows()
        if joined is not None:
            return await joined.run_sync(lambda session: find(session.connection()))
        return await self._plain.read(find, what)

    async def write_plain(self, work: Callable[[Connection], Found]) -> Found:
        """Return what ``work`` returns, done in a transaction of its own: committed, or rolled back when it raises."""
        if _joined_rows() is not None:
            raise RuntimeError("this task has a transaction open: on SQLite this would wait for it for ever")
        return await self._plain.write(work)

    @asynccontextmanager
    async def write_as_one(self) -> AsyncGenerator[Rows, None]:
        """Open a transaction that every ``read`` and ``write`` of this task joins until the block ends.

        On SQLite nobody else writes meanwhile: nothing in the block may wait for another task's write.
        """
        async with self.write() as rows:
            mark = _joined.set((rows, asyncio.current_task()))
            try:
                yield rows
            finally:
                _joined.reset(mark)

    async def aclose(self) -> None:
        """Close every connection."""
        await self.tasks.aclose()
        await self._plain.aclose()
        await self._reader.dispose()
        await self._writer.dispose()

    async def revision(self) -> str | None:
        """Return the revision of the stored tables; ``None`` where there are none yet."""
        async with self._reader.connect() as connection:
            try:
                return (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar()
            except DBAPIError:
                return None  # no such table

    async def upgrade(self) -> None:
        """Bring the tables to this release's revision, all or nothing. Does nothing where they have it.

        Raises :class:`DatabaseError` where a newer release made them.
        """
        stored = await self.revision()
        if stored == HEAD:
            return
        # Alembic takes a quarter of a second to import, and is needed only here.
        from oneinbox.api.db.migrations.upgrade import is_known, upgrade  # noqa: PLC0415

        if stored is not None and not is_known(stored):
            raise DatabaseError(
                f"the database has revision {stored}, which this release does not know: "
                "start the release that made it, or restore a backup from before"
            )
        async with self._writer.begin() as connection:
            await connection.run_sync(upgrade)


async def open_database(*, data_dir: Path | None = None, url: str | None = None) -> Database:
    """Open the database at ``url``, or the SQLite file in ``data_dir`` when there is no ``url``.

    SQLite is brought to this release's revision by itself. Any other database has to be there already
    (``oneinbox migrate`` calls :func:`migrate`): raises :class:`DatabaseError` when it is not.
    """
    database = _connect(data_dir, url)
    try:
        if url is None or url.startswith("sqlite"):
            await database.upgrade()
        else:
            _require_head(await database.revision())
    except BaseException:
        await database.aclose()
        raise
    return database


def _require_head(stored: str | None) -> None:
    if stored != HEAD:
        raise DatabaseError(f"the database has revision {stored}, this release needs {HEAD}: run `oneinbox migrate`")


async def migrate(*, data_dir: Path | None = None, url: str | None = None) -> None:
    """Bring the database to this release's revision."""
    database = _connect(data_dir, url)
    try:
        await database.upgrade()
    finally:
        await database.aclose()


def _connect(data_dir: Path | None, url: str | None) -> Database:
    if url is None:
        if data_dir is None:
            raise ValueError("either data_dir or url has to be given")
        data_dir.mkdir(parents=True, exist_ok=True)
        path = data_dir / FILE_NAME
        path.touch(mode=0o600)  # it holds prompts and transcripts; SQLite gives its side files the same mode
        url = f"sqlite+aiosqlite:///{path}"
    if url.startswith("sqlite"):
        return Database(sqlite.async_engine(url, writes=False), sqlite.async_engine(url, writes=True), url)
    return Database(_postgres(url, writes=False), _postgres(url, writes=True))


def _postgres(url: str, *, writes: bool) -> AsyncEngine:
    return create_async_engine(
        _with_driver(url),
        pool_size=10 if writes else _READERS,
        max_overflow=0,
        pool_pre_ping=True,
        json_serializer=dump_json,
        hide_parameters=True,
        connect_args={} if writes else {"server_settings": {"default_transaction_read_only": "on"}},
        **({} if writes else {"isolation_level": "AUTOCOMMIT"}),
    )


def _with_driver(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"postgresql+asyncpg://{rest}" if scheme in ("postgres", "postgresql") else url
