"""One clock of 20 ms for all calls of a worker: no task and no timer of its own for any call.

Ticks are due at whole steps from the start, so that being late once does not make the next ones late. After a stall of
the process up to five ticks are made up at once, which a client's jitter buffer evens out; what is beyond that is
gone, and is only counted, so that time stamps stay true.
"""

import asyncio
import logging
from typing import Protocol

from oneinbox.core.load import LATENESS_BOUNDS_S, Buckets, Histogram

_log = logging.getLogger(__name__)

TICK_S = 0.02
_CATCH_UP_TICKS = 5


class Ticking(Protocol):
    """Something that does its part every 20 ms."""

    def tick(self, now_s: float, skipped: int) -> None:
        """Do one step. ``skipped`` steps before it did not happen at all."""
        ...

    def tick_failed(self) -> None:
        """``tick`` raised, and is called no more."""
        ...


class Ticker:
    """Calls ``tick`` of everything that was added, every 20 ms. Stands still while there is nothing."""

    def __init__(self) -> None:
        self._members: dict[Ticking, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._late_s = 0.0
        self._lateness = Histogram(LATENESS_BOUNDS_S)
        self.skipped = 0
        """Ticks that did not happen at all."""

    def __len__(self) -> int:
        return len(self._members)

    def add(self, member: Ticking) -> None:
        """Call ``member.tick`` from the next tick on."""
        self._members[member] = None
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._due_s = loop.time() + TICK_S
            self._timer = loop.call_at(self._due_s, self._fire)

    def remove(self, member: Ticking) -> None:
        """Call it no more. Harmless when it is not there."""
        self._members.pop(member, None)
        if not self._members and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def tick_at_once(self, member: Ticking) -> None:
        """Call ``member.tick`` now, besides all of its ticks to come; not where it was removed meanwhile."""
        if member in self._members:
            self._tick(member, asyncio.get_running_loop().time(), 0)

    def take_late_ms(self) -> float:
        """Return how late the latest tick since the last asking was, in milliseconds."""
        late_ms, self._late_s = self._late_s * 1000, 0.0
        return late_ms

    @property
    def lateness(self) -> Buckets:
        """How late each tick so far was, by :data:`LATENESS_BOUNDS_S`."""
        return self._lateness.state()

    def _fire(self) -> None:
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        self._late_s = max(self._late_s, now_s - self._due_s)
        due = 1 + max(0, int((now_s - self._due_s) / TICK_S))
        skipped = max(0, due - 1 - _CATCH_UP_TICKS)
        for step in range(due - skipped):  # each that is made up for was due at its own time
            self._lateness.observe(max(0.0, now_s - self._due_s - step * TICK_S))
        self.skipped += skipped
        for step in range(due - skipped):
            self._tick_all(now_s, skipped if step == 0 else 0)
        self._due_s += due * TICK_S
        self._timer = loop.call_at(self._due_s, self._fire) if self._members else None

    def _tick_all(self, now_s: float, skipped: int) -> None:
        for member in tuple(self._members):
            self._tick(member, now_s, skipped)

    def _tick(self, member: Ticking, now_s: float, skipped: int) -> None:
        try:
            member.tick(now_s, skipped)
        except Exception:  # noqa: BLE001 - one call's fault must not silence every other call of the worker
            _log.exception("a call's tick failed; it gets no more of them")
            self._members.pop(member, None)
            member.tick_failed()
