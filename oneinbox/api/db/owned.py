"""Queries that every feature needs, always for one organisation's rows."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, Select, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped

from oneinbox.api.db.database import Rows
from oneinbox.api.db.tables import Base


class OwnedRow(Protocol):
    """A row that belongs to an organisation."""

    id: Mapped[str]
    org_id: Mapped[str]
    created_at: Mapped[datetime]


Owned = TypeVar("Owned", bound=OwnedRow)

MAX_ID_LENGTH = 128


def is_plausible_id(text: str) -> bool:
    """Whether ``text`` could be an id at all; what is not need not reach the database (Postgres refuses NUL)."""
    return 0 < len(text) <= MAX_ID_LENGTH and text.isascii() and text.isprintable()


async def fetch_owned(rows: Rows, table: type[Owned], org_id: str, row_id: str) -> Owned | None:
    """Return the row if it is there and belongs to the organisation."""
    if not is_plausible_id(row_id):
        return None
    return (await rows.execute(select(table).where(table.id == row_id, table.org_id == org_id))).scalar_one_or_none()


async def fetch_page(
    rows: Rows, query: Select[Owned], table: type[Owned], limit: int, offset: int
) -> tuple[list[Owned], int]:
    """Return one page of ``query``, newest first, and how many rows it has in all."""
    total_query: Select[Any] = query.with_only_columns(func.count(), maintain_column_froms=True)
    total = (await rows.execute(total_query)).scalar_one()
    page = query.order_by(table.created_at.desc(), table.id.desc()).limit(limit).offset(offset)
    return list((await rows.execute(page)).scalars()), total


async def page_of_owned(
    rows: Rows, table: type[Owned], org_id: str, limit: int, offset: int
) -> tuple[list[Owned], int]:
    """Return one page of the organisation's rows, newest first, and how many there are."""
    return await fetch_page(rows, select(table).where(table.org_id == org_id), table, limit, offset)


async def fetch_all_owned(rows: Rows, table: type[Owned], org_id: str, row_ids: Sequence[str]) -> list[Owned]:
    """Return the rows among these ids that belong to the organisation, in the order of the ids."""
    wanted = [row_id for row_id in row_ids if is_plausible_id(row_id)]
    if not wanted:
        return []
    found = (await rows.execute(select(table).where(table.org_id == org_id, table.id.in_(wanted)))).scalars()
    by_id = {row.id: row for row in found}
    return [by_id[row_id] for row_id in wanted if row_id in by_id]


async def insert_once(rows: Rows, table: type[Base], values: dict[str, Any]) -> bool:
    """Insert a row unless one with the same key is there; returns whether it was inserted.

    Where another transaction is just inserting it, this waits for that one's end.
    """
    return await rows.run_sync(lambda session: insert_new(session.connection(), table, values))


def insert_new(connection: Connection, table: type[Base], values: dict[str, Any]) -> bool:
    """Do the same over a plain connection."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(table).values(**values).on_conflict_do_nothing().returning(sa.literal(1))
    return connection.execute(statement).first() is not None


async def take_turns(rows: Rows, name: str) -> None:
    """Let one transaction at a time go on from here, of all that name the same thing; the others wait for its end.

    For what is counted before it is inserted, where there is no row to lock yet. SQLite's writers queue anyway.
    """
    if (await rows.connection()).dialect.name == "postgresql":
        # https://www.postgresql.org/docs/15/functions-admin.html#FUNCTIONS-ADVISORY-LOCKS
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        await rows.execute(select(func.pg_advisory_xact_lock(number)))
