"""The connection to the database: SQLite in the data directory, or any address SQLAlchemy has an async driver for."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from oneinbox.api.db.columns import dump_json
from oneinbox.api.db.migrations import HEAD

FILE_NAME = "oneinbox.db"
BUSY_TIMEOUT_MS = 5_000
"""How long a write waits for another process (the command line, a backup) that is writing."""
_READERS = 4

_NO_TRANSACTIONS: dict[str, Any] = {
    "isolation_level": "AUTOCOMMIT",
    "skip_autocommit_rollback": True,
    "pool_reset_on_return": None,
}

OUTBOX_WRITTEN = "outbox_written"
"""Set in ``Rows.info`` by whoever writes to the outbox: at the commit its deliverer is woken."""

Rows = AsyncSession
"""An open transaction, as repositories take it. Services pass it on and look no closer."""


_joined: ContextVar[tuple[Rows, object] | None] = ContextVar("joined", default=None)


def _joined_rows() -> Rows | None:
    """The transaction that this task has opened with ``write_as_one``; the tasks it starts have a copy, and no part."""
    joined = _joined.get()
    return joined[0] if joined is not None and joined[1] is asyncio.current_task() else None


class DatabaseError(Exception):
    """The database cannot be used as it stands. The message names the mend."""


class Database:
    """Sessions. A writer has a transaction of its own; a reader has none, which halves what a query costs.

    On SQLite all writes of this process queue for one connection, which takes the file's write lock at the begin of
    its transaction: so none can fail halfway because somebody else wrote in between.
    """

    def __init__(self, reader: AsyncEngine, writer: AsyncEngine) -> None:
        self._reader = reader
        self._writer = writer
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
        async with AsyncSession(self._writer, expire_on_commit=False) as rows:
            yield rows
            await rows.commit()
            if OUTBOX_WRITTEN in rows.info:
                self.outbox_written.set()

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
        return Database(_sqlite(url, writes=False), _sqlite(url, writes=True))
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


def _sqlite(url: str, *, writes: bool) -> AsyncEngine:
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

    def set_up(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        del entry
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        if not writes:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine.sync_engine, "connect", set_up)
    if writes:
        event.listen(engine.sync_engine, "begin", begin)
    return engine
