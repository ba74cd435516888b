"""An event loop whose clock jumps to the next timer, so that a minute of conversation takes a moment."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


_POLL_EVERY = 16


class DeadlockError(Exception):
    """Nothing is scheduled and nothing can happen any more: in real time this would hang for ever."""


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: where it would, the loop's clock jumps ahead by that time."""

    loop: "VirtualLoop"
    _skipped = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout:
            self._skipped += 1
            if self._skipped % _POLL_EVERY:  # asking the system at every step costs a tenth of a simulated call
                self.loop.now_s += timeout
                return []
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise DeadlockError("nothing is scheduled any more")
            self.loop.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer."""

    def __init__(self) -> None:
        selector = _JumpingSelector()
        selector.loop = self
        self.now_s = 1000.0
        super().__init__(selector)

    def time(self) -> float:
        return self.now_s


def run_virtually(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run ``work`` to its end on a clock that jumps."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work())


def now_s() -> float:
    return asyncio.get_running_loop().time()
