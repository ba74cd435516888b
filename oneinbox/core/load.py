"""How busy a process is and what its media carries: counters that only grow, as they go up the link every second."""

import os
import sys
from bisect import bisect_left
from collections.abc import Sequence

import msgspec

LATENESS_BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.5)
"""Of ticks and of the event loop. One frame of sound is 0.02 s."""
JITTER_BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
ROUND_TRIP_BOUNDS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)


class Buckets(msgspec.Struct, frozen=True):
    """A histogram's state: how many values fell under each bound, one more for those above all, and their sum."""

    counts: tuple[int, ...]
    total: float = 0.0

    def since(self, before: "Buckets | None") -> "Buckets":
        """Return what came after ``before``, an earlier state of the same histogram."""
        if before is None:
            return self
        counts = tuple(now - then for now, then in zip(self.counts, before.counts, strict=True))
        return Buckets(counts, self.total - before.total)

    def quantile(self, share: float, bounds: Sequence[float]) -> float | None:
        """Return a value that ``share`` (0-1) of the values do not exceed: the bound above it, or ``None`` without any.

        Values above the last bound count as twice that bound.
        """
        wanted = share * sum(self.counts)
        if not any(self.counts):
            return None
        seen = 0
        for count, bound in zip(self.counts, (*bounds, bounds[-1] * 2), strict=True):
            seen += count
            if seen >= wanted and count:
                return bound
        return bounds[-1] * 2


class Histogram:
    """Counts values by size. Cheap: one search in a tuple of a dozen bounds, which are sorted."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self._total += value

    def state(self) -> Buckets:
        """Return what was counted so far."""
        return Buckets(tuple(self._counts), self._total)


class Traffic(msgspec.Struct, kw_only=True):
    """What went through a connection, a leg, or all legs of a worker. ``received`` is what the caller sent."""

    packets_received: int = 0
    octets_received: int = 0
    """Of sound: payloads, without headers."""
    packets_sent: int = 0
    octets_sent: int = 0
    packets_missing: int = 0
    """Of the caller's packets, those that had not come when it was their turn to be heard."""
    packets_late: int = 0
    """Of those missing, the ones that came after all, too late to be heard."""
    packets_duplicate: int = 0
    recovered_s: float = 0.0
    """Sound restored from the copy that the next packet carried (Opus FEC)."""
    concealed_s: float = 0.0
    """Sound invented, or silence put, in place of packets that were missing."""

    @property
    def packets_lost(self) -> int:
        """How many of the caller's packets never came."""
        return self.packets_missing - self.packets_late

    @property
    def loss(self) -> float:
        """The share of the caller's packets that never came, 0-1."""
        expected = self.packets_received + self.packets_lost
        return self.packets_lost / expected if expected else 0.0

    def add(self, other: "Traffic") -> None:
        """Count ``other`` in."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class MediaLoad(msgspec.Struct, frozen=True, kw_only=True):
    """What the media endpoint of a worker did since it started."""

    traffic: Traffic
    tick_lateness: Buckets
    """By :data:`LATENESS_BOUNDS_S`: how late each 20 ms tick was."""
    ticks_skipped: int
    """Ticks that did not happen at all, after a stall."""
    jitter: Buckets
    """By :data:`JITTER_BOUNDS_S`: the jitter of each caller's stream, once a second."""
    round_trips: Buckets
    """By :data:`ROUND_TRIP_BOUNDS_S`: as callers' reports tell."""


class LoopLoad(msgspec.Struct, frozen=True, kw_only=True):
    """How an event loop kept time."""

    lag: Buckets
    """By :data:`LATENESS_BOUNDS_S`."""
    blocks: int
    """How often it stood still for longer than a watchdog allows."""


def resident_bytes() -> int:
    """Return how much memory this process holds; 0 where the system does not tell."""
    if sys.platform != "linux":
        return 0
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - a virtual file, read every second
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
