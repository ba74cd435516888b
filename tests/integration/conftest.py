"""These tests look at files and processes: they run on SQLite, whatever tests ran before them."""

import pytest

from tests.support.api import Storage, choose_storage


@pytest.fixture(autouse=True)
def on_sqlite() -> None:
    choose_storage(Storage.SQLITE)
