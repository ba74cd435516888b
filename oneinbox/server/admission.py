"""Whether a worker can carry one more call, by what it measured of itself. Pure: reports in, answers out.

Two things are measured, because either alone is blind. The share of a core that the worker uses tells what is left on a
machine that is ours; how late its 20 ms ticks come tells when it is not (neighbours, throttling, one core for two workers).
"""

from collections import deque

import msgspec

from oneinbox.core.link import Load
from oneinbox.core.load import LATENESS_BOUNDS_S

WINDOW_S = 5.0
"""What is older than this no longer counts."""
SETTLE_S = 3.0
"""A call that was given less long ago is not yet wholly in what the worker measures."""
WARM_UP_S = 5.0
"""After its start a worker is busy with itself; by this its CPU says nothing about calls."""
_CALL_CPU_RANGE = (0.01, 0.1)
"""What one more call is taken to need of a core at least and at most, whatever those before it seem to need."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """When a worker is full. 0 switches a measured limit off."""

    calls: int
    cpu: float
    """Share of one core."""
    tick_late_s: float
    """The lateness that one in twenty ticks may reach."""


class WorkerGauge:
    """What a worker's reports of the last seconds amount to. Moments are of any one clock that never goes back."""

    def __init__(self) -> None:
        self._reports: deque[tuple[float, Load]] = deque()
        self._given_at_s: deque[float] = deque()
        self._first_at_s: float | None = None

    def report(self, load: Load, now_s: float) -> None:
        """Take one report."""
        if self._first_at_s is None:
            self._first_at_s = now_s
        self._reports.append((now_s, load))
        while len(self._reports) > 2 and self._reports[0][0] < now_s - WINDOW_S:
            self._reports.popleft()

    def give(self, now_s: float) -> None:
        """A call was handed to the worker."""
        self._given_at_s.append(now_s)

    @property
    def last(self) -> Load | None:
        """The latest report."""
        return self._reports[-1][1] if self._reports else None

    @property
    def cpu(self) -> float:
        """Share of one core that the worker used lately."""
        if len(self._reports) < 2:
            return 0.0
        (then_s, then), (now_s, now) = self._reports[0], self._reports[-1]
        return max(0.0, now.cpu_s - then.cpu_s) / (now_s - then_s) if now_s > then_s else 0.0

    @property
    def tick_late_s(self) -> float:
        """What nineteen of twenty ticks lately did not exceed; 0 where nothing ticked."""
        if not self._reports:
            return 0.0
        before = self._reports[0][1].media.tick_lateness if len(self._reports) > 1 else None
        lately = self._reports[-1][1].media.tick_lateness.since(before)
        return lately.quantile(0.95, LATENESS_BOUNDS_S) or 0.0

    def cpu_with_one_more(self, now_s: float) -> float:
        """The share of a core that is to be expected with one more call; 0 while the worker warms up."""
        if self._first_at_s is None or now_s - self._first_at_s < WARM_UP_S:
            return 0.0
        while self._given_at_s and self._given_at_s[0] < now_s - SETTLE_S:
            self._given_at_s.popleft()
        calls = self.last.calls if self.last else 0
        least, most = _CALL_CPU_RANGE
        for_one = min(most, max(least, self.cpu / calls)) if calls else most
        return self.cpu + for_one * (len(self._given_at_s) + 1)

    def fullness(self, calls: int, limits: Limits, now_s: float) -> float:
        """Return how full a worker that holds ``calls`` would be with one more: above 1, it cannot take it.

        A worker that holds none always can: what it is late or busy with is not for us to spare.
        """
        by_number = (calls + 1) / limits.calls
        if calls == 0:
            return by_number
        by_cpu = self.cpu_with_one_more(now_s) / limits.cpu if limits.cpu else 0.0
        by_ticks = self.tick_late_s / limits.tick_late_s if limits.tick_late_s else 0.0
        return max(by_number, by_cpu, by_ticks)
