"""Load messages as a worker sends them."""

from oneinbox.core.link import Load
from oneinbox.core.load import (
    JITTER_BOUNDS_S,
    LATENESS_BOUNDS_S,
    ROUND_TRIP_BOUNDS_S,
    Histogram,
    LoopLoad,
    MediaLoad,
    Traffic,
)


def make_load(
    *,
    calls: int = 0,
    active_calls: int = 0,
    cpu_s: float = 0.0,
    lateness: Histogram | None = None,
    traffic: Traffic | None = None,
    blocks: int = 0,
) -> Load:
    """``lateness``: by ``LATENESS_BOUNDS_S``."""
    late = lateness or Histogram(LATENESS_BOUNDS_S)
    return Load(
        calls=calls,
        active_calls=active_calls,
        tick_late_ms=0.0,
        cpu_s=cpu_s,
        resident_bytes=100_000_000,
        media=MediaLoad(
            traffic=traffic or Traffic(),
            tick_lateness=late.state(),
            ticks_skipped=0,
            jitter=Histogram(JITTER_BOUNDS_S).state(),
            round_trips=Histogram(ROUND_TRIP_BOUNDS_S).state(),
        ),
        loop=LoopLoad(lag=Histogram(LATENESS_BOUNDS_S).state(), blocks=blocks),
    )
