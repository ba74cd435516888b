"""Statements without a session: for the few that every call's start asks, where the ORM costs more than the query.

On SQLite each is made ready once and goes straight to the driver: the SQL and what is done to each value (JSON, moments
in UTC) are SQLAlchemy's own, only its work for every execution is saved, which is several times that of the file.
Postgres would gain nothing by it.
"""

import sqlite3
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Select, Table, Update, insert
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

from oneinbox.api.db.columns import dump_json
from oneinbox.api.db.tables import Base

Made = TypeVar("Made")

_Change = Callable[[Any], Any]
_MAX_MADE = 1_000
_DIALECT: Dialect = sqlite.dialect(paramstyle="qmark", json_serializer=dump_json)


def table_of(row_class: type[Base]) -> Table:
    """Return the table that the class stands for."""
    return cast("Table", row_class.__table__)


@dataclass(frozen=True, kw_only=True)
class _Ready:
    sql: str
    wanted: tuple[tuple[str, _Change | None], ...]
    """Each value in the SQL's order: its name, and what is done to it on its way in."""
    read: tuple[_Change | None, ...] = ()
    """What is done to each column on its way out."""

    def values(self, given: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple([given[name] if change is None else change(given[name]) for name, change in self.wanted])

    def row(self, found: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            [value if change is None else change(value) for value, change in zip(found, self.read, strict=True)]
        )


class Insert:
    """One table's insert of these columns, for many rows at a time."""

    def __init__(self, row_class: type[Base], columns: Sequence[str]) -> None:
        self._statement = insert(table_of(row_class)).inline()
        self._columns = tuple(columns)

    def __call__(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert the rows. Each has to have every column."""
        if not rows:
            return
        if connection.dialect.name == "sqlite":
            ready = self._ready
            with _as_sqlalchemy_says(ready.sql):
                _driver(connection).executemany(ready.sql, [ready.values(row) for row in rows])
        else:
            connection.execute(self._statement, rows)

    @cached_property
    def _ready(self) -> _Ready:
        compiled = self._statement.compile(dialect=_DIALECT, column_keys=self._columns)
        return _Ready(sql=str(compiled), wanted=_wanted(compiled))


class Query:
    """A select or an update whose values are all ``bindparam``; none may be a list."""

    def __init__(self, statement: Select[*tuple[Any, ...]] | Update) -> None:
        self._statement = statement
        self._made: dict[tuple[Any, ...], Any] = {}

    def __call__(self, connection: Connection, **given: Any) -> list[tuple[Any, ...]]:
        """Return the rows found; of an update, none."""
        if connection.dialect.name != "sqlite":
            found = connection.execute(self._statement, given)
            return [tuple(row) for row in found] if found.returns_rows else []
        ready = self._ready
        with _as_sqlalchemy_says(ready.sql):
            rows = _driver(connection).execute(ready.sql, ready.values(given)).fetchall()
        return [ready.row(row) for row in rows]

    def one(self, connection: Connection, make: Callable[[tuple[Any, ...]], Made], **given: Any) -> Made | None:
        """Return what ``make`` makes of the row found; ``None``: there is none.

        It is shared by all who find the very same row, value for value: to be read, never changed.
        """
        if connection.dialect.name != "sqlite":
            found = self(connection, **given)
            return make(found[0]) if found else None
        ready = self._ready
        with _as_sqlalchemy_says(ready.sql):
            row = _driver(connection).execute(ready.sql, ready.values(given)).fetchone()
        if row is None:
            return None
        made: Made | None = self._made.get(row)
        if made is None:
            if len(self._made) >= _MAX_MADE:
                self._made.clear()
            made = self._made[row] = make(ready.row(row))
        return made

    @cached_property
    def _ready(self) -> _Ready:
        compiled = self._statement.compile(dialect=_DIALECT)
        columns = self._statement.selected_columns if isinstance(self._statement, Select) else ()
        read = tuple(column.type.dialect_impl(_DIALECT).result_processor(_DIALECT, None) for column in columns)
        return _Ready(sql=str(compiled), wanted=_wanted(compiled), read=read)


def _driver(connection: Connection) -> sqlite3.Connection:
    return cast("sqlite3.Connection", connection.connection.driver_connection)


@contextmanager
def _as_sqlalchemy_says(sql: str) -> Generator[None]:
    """Turn the driver's errors into those of SQLAlchemy, which are known everywhere else."""
    try:
        yield
    except sqlite3.Error as error:
        raise DBAPIError.instance(sql, None, error, sqlite3.Error, hide_parameters=True) from error


def _wanted(compiled: SQLCompiler) -> tuple[tuple[str, _Change | None], ...]:
    return tuple(
        (name, compiled.binds[name].type.dialect_impl(_DIALECT).bind_processor(_DIALECT))
        for name in compiled.positiontup or ()
    )
