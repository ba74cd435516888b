"""The watchdog of the event loop. It is about real time: these tests wait, and never ask how long something took."""

import asyncio
import logging
import threading
import time

import pytest

from oneinbox.core.loop_watch import LoopWatch


def block_here(until: threading.Event) -> None:
    until.wait(20)


class Heard(logging.Handler):
    """Sets ``told`` when a stack is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.told = threading.Event()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        if "stands at" in record.getMessage():
            self.told.set()


@pytest.fixture
def heard():
    handler = Heard()
    logger = logging.getLogger("oneinbox.core.loop_watch")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


async def test_what_blocks_the_loop_is_logged_with_its_stack_while_it_blocks(heard: Heard) -> None:
    watch = LoopWatch(blocked_s=0.05, beat_s=0.02)
    watch.start()
    try:
        block_here(heard.told)  # goes on only when the stack has been logged
        assert heard.told.is_set()
        (stack,) = [line for line in heard.lines if "stands at" in line]
        assert "block_here" in stack
        assert "until.wait(20)" in stack
        while watch.load().blocks == 0:
            await asyncio.sleep(0.01)
        assert sum(watch.load().lag.counts[-8:]) >= 1
    finally:
        watch.stop()


async def test_a_loop_that_runs_is_measured_and_not_accused(heard: Heard) -> None:
    watch = LoopWatch(blocked_s=30, beat_s=0.01)
    watch.start()
    while sum(watch.load().lag.counts) < 5:
        await asyncio.sleep(0.01)
    watch.stop()
    watch.stop()
    assert watch.load().blocks == 0
    assert heard.lines == []


async def test_after_the_stop_nothing_is_measured(heard: Heard) -> None:
    watch = LoopWatch(blocked_s=0.02, beat_s=0.01)
    watch.start()
    watch.stop()
    counted = watch.load()
    time.sleep(0.1)  # noqa: ASYNC251 - blocks the loop on purpose
    await asyncio.sleep(0.05)
    assert watch.load() == counted
    assert heard.lines == []
