"""Statements without a session: for the few that every call's start asks, where the ORM costs more than the query.

Each is made ready once for each database: the SQL and what is done to each value (JSON, moments in UTC) are
SQLAlchemy's own, only its work for every execution is saved.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, Select, Table, Update, insert
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from oneinbox.api.db.tables import Base

_Change = Callable[[Any], Any]


def table_of(row_class: type[Base]) -> Table:
    """Return the table that the class stands for."""
    return cast("Table", row_class.__table__)


@dataclass(frozen=True, kw_only=True)
class _Ready:
    sql: str
    wanted: tuple[tuple[str, _Change | None], ...]
    """Each value in the driver's order: its name, and what is done to it on its way in."""
    read: tuple[_Change | None, ...] = ()
    """What is done to each column on its way out."""

    def values(self, given: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple([given[name] if change is None else change(given[name]) for name, change in self.wanted])


class Insert:
    """One table's insert of these columns, for many rows at a time."""

    def __init__(self, row_class: type[Base], columns: Sequence[str]) -> None:
        self._table = table_of(row_class)
        self._columns = tuple(columns)
        self._ready: dict[str, _Ready] = {}

    def __call__(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert the rows. Each has to have every column."""
        ready = self._ready.get(connection.dialect.name)
        if ready is None:
            dialect = connection.dialect
            compiled = insert(self._table).inline().compile(dialect=dialect, column_keys=self._columns)
            ready = _Ready(sql=str(compiled), wanted=_wanted(compiled, dialect))
            self._ready[dialect.name] = ready
        if rows:
            connection.exec_driver_sql(ready.sql, [ready.values(row) for row in rows])


class Query:
    """A select or an update whose values are all ``bindparam``; none may be a list."""

    def __init__(self, statement: Select[*tuple[Any, ...]] | Update) -> None:
        self._statement = statement
        self._ready: dict[str, _Ready] = {}

    def __call__(self, connection: Connection, **given: Any) -> list[tuple[Any, ...]]:
        """Return the rows found; of an update, none."""
        ready = self._ready.get(connection.dialect.name) or self._make_ready(connection.dialect)
        found = connection.exec_driver_sql(ready.sql, ready.values(given))
        if not ready.read:
            return []
        return [
            tuple([value if change is None else change(value) for value, change in zip(row, ready.read, strict=True)])
            for row in found
        ]

    def _make_ready(self, dialect: Dialect) -> _Ready:
        compiled = self._statement.compile(dialect=dialect)
        columns = self._statement.selected_columns if isinstance(self._statement, Select) else ()
        read = tuple(column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns)
        ready = _Ready(sql=str(compiled), wanted=_wanted(compiled, dialect), read=read)
        self._ready[dialect.name] = ready
        return ready


def _wanted(compiled: SQLCompiler, dialect: Dialect) -> tuple[tuple[str, _Change | None], ...]:
    return tuple((name, _change_in(compiled.binds[name].type, dialect)) for name in compiled.positiontup or ())


def _change_in(kind: TypeEngine[Any], dialect: Dialect) -> _Change | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)
