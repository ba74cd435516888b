"""One API per test, on a database file of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.support.api import Api, running_api


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
