"""SQLite's own ways: switching a new file to WAL while another process does the same."""

import sqlite3

import pytest

from oneinbox.api.db import sqlite


class Cursor:
    """Refuses as SQLite does, at once, so often."""

    def __init__(self, refusals: int, message: str = "database is locked") -> None:
        self.left, self.message = refusals, message
        self.executed: list[str] = []

    def execute(self, sql: str) -> None:
        if self.left:
            self.left -= 1
            raise sqlite3.OperationalError(self.message)
        self.executed.append(sql)


def test_a_switch_that_another_process_makes_too_is_tried_again() -> None:
    cursor = Cursor(3)
    sqlite.switch_to_wal(cursor)
    assert cursor.executed == ["PRAGMA journal_mode = WAL"]


def test_another_error_is_not() -> None:
    with pytest.raises(sqlite3.OperationalError, match="disk"):
        sqlite.switch_to_wal(Cursor(1, "disk I/O error"))


def test_it_is_not_tried_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(range(0, 1_000, 2))
    monkeypatch.setattr("oneinbox.api.db.sqlite.time.monotonic", lambda: next(moments))
    monkeypatch.setattr("oneinbox.api.db.sqlite.time.sleep", lambda _: None)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        sqlite.switch_to_wal(Cursor(1_000))
