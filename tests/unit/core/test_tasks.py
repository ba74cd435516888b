import asyncio
import logging

import pytest

from oneinbox.core.tasks import TaskScope, first_of


async def test_closing_ends_every_task() -> None:
    scope = TaskScope("test")
    tasks = [scope.spawn(asyncio.sleep(3600), f"t{n}") for n in range(5)]
    await asyncio.sleep(0)
    await scope.aclose()
    assert all(task.cancelled() for task in tasks)


async def test_a_failure_is_logged_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("broken on purpose")

    scope = TaskScope("test")
    other = scope.spawn(asyncio.sleep(3600), "other")
    with caplog.at_level(logging.ERROR):
        scope.spawn(fail(), "failing")
        await asyncio.sleep(0.01)
    assert "test:failing" in caplog.text
    assert "broken on purpose" in caplog.text
    assert not other.done()
    await scope.aclose()


async def test_the_first_to_be_done_ends_the_others() -> None:
    ended: list[str] = []

    async def wait_for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    await first_of(wait_for_ever(), asyncio.sleep(0), wait_for_ever())
    assert ended == ["cancelled", "cancelled"]
