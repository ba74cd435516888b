"""A watchdog for an event loop: measures its lag, and says what blocks it.

A beat on the loop notes how late it comes. A thread sees when beats stay away, and logs where the loop's thread stands:
by the time the loop itself could tell, what blocked it is over. Code that blocks while it holds the interpreter lock (some
native libraries) stops the thread too; such a block is counted afterwards and has no stack.
"""

import asyncio
import logging
import sys
import threading
import time
import traceback
from types import FrameType

from oneinbox.core.load import LATENESS_BOUNDS_S, Histogram, LoopLoad

_log = logging.getLogger(__name__)

BEAT_S = 0.1
BLOCKED_S = 0.25
"""A beat this much late is a block: a dozen frames of every call of the process were not sent on time."""
_MAX_FRAMES = 25


class LoopWatch:
    """Watches the running loop from :meth:`start` to :meth:`stop`."""

    def __init__(self, *, blocked_s: float = BLOCKED_S, beat_s: float = BEAT_S) -> None:
        self._blocked_s = blocked_s
        self._beat_s = beat_s
        self._lag = Histogram(LATENESS_BOUNDS_S)
        self._blocks = 0
        self._due_s = 0.0
        self._told_due_s = 0.0
        """Which beat's absence was logged: each block is logged once."""
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = threading.Event()
        self._watched = 0

    def start(self) -> None:
        """Begin; has to be called on the loop to be watched."""
        self._watched = threading.get_ident()
        self._plan()
        threading.Thread(target=self._watch, name="loop-watch", daemon=True).start()

    def stop(self) -> None:
        """End. Harmless when called again."""
        self._stopped.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def load(self) -> LoopLoad:
        """Return what was measured so far."""
        return LoopLoad(lag=self._lag.state(), blocks=self._blocks)

    def _plan(self) -> None:
        self._due_s = time.monotonic() + self._beat_s
        self._timer = asyncio.get_running_loop().call_later(self._beat_s, self._beat)

    def _beat(self) -> None:
        # A loop's clock may count in milliseconds and fire one too early: that is no lag below zero.
        lag_s = max(0.0, time.monotonic() - self._due_s)
        self._lag.observe(lag_s)
        if lag_s >= self._blocked_s:
            self._blocks += 1
            _log.warning("the event loop stood still for %.0f ms", lag_s * 1000)
        self._plan()

    def _watch(self) -> None:
        while not self._stopped.wait(self._beat_s):
            due_s = self._due_s
            if time.monotonic() - due_s < self._blocked_s or due_s == self._told_due_s:
                continue
            # Documented, for all its underscore: the only way to another thread's stack.
            frame = sys._current_frames().get(self._watched)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            if due_s == self._due_s and frame is not None:  # it stands there still
                self._told_due_s = due_s
                _log.warning("the event loop is blocked; it stands at:\n%s", _stack(frame))


def _stack(frame: FrameType) -> str:
    """Where a thread stands: files, lines and code, and no values."""
    return "".join(traceback.format_list(traceback.extract_stack(frame)[-_MAX_FRAMES:])).rstrip()
