"""One API per test, on a database of its own: every test once on SQLite and once on Postgres."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.support.api import Api, Storage, choose_storage, running_api


@pytest.fixture(scope="session", params=list(Storage), ids=str, autouse=True)
def storage(request: pytest.FixtureRequest) -> Storage:
    """Which database the tests run on. It is chosen once for all: first all tests on the one, then on the other."""
    choose_storage(request.param)
    return request.param


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, on Postgres, what is about the SQLite file."""

    def wanted(item: pytest.Item) -> bool:
        callspec = getattr(item, "callspec", None)
        chosen = None if callspec is None else callspec.params.get("storage")
        return chosen is not Storage.POSTGRES or item.get_closest_marker("sqlite_file") is None

    left_out = [item for item in items if not wanted(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if wanted(item)]


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running_api(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def api_runner(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[Callable[[Api], Awaitable[None]]], None]]:
    """One API for many examples: runs a coroutine function on it, on an event loop that lives as long."""
    with asyncio.Runner() as runner:
        context = running_api(tmp_path_factory.mktemp("examples"))
        api = runner.run(context.__aenter__())

        async def on_api(work: Callable[[Api], Awaitable[None]]) -> None:
            await work(api)

        yield lambda work: runner.run(on_api(work))
        runner.run(context.__aexit__(None, None, None))
