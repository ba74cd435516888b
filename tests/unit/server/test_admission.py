"""When a worker takes one more call."""

import pytest

from oneinbox.core.load import LATENESS_BOUNDS_S, Histogram
from oneinbox.server.admission import Limits, WorkerGauge
from tests.support.loads import make_load

LIMITS = Limits(calls=25, cpu=0.8, tick_late_s=0.02)


def gauge(*, calls: int, cpu: float, tick_late_s: float = 0.0005, seconds: int = 20) -> WorkerGauge:
    """A worker that for a while has held so many calls and used so much of a core."""
    made, lateness = WorkerGauge(), Histogram(LATENESS_BOUNDS_S)
    for second in range(seconds + 1):
        for _ in range(50 if calls else 0):
            lateness.observe(tick_late_s)
        made.report(make_load(calls=calls, cpu_s=cpu * second, lateness=lateness), float(second))
    return made


def test_with_room_left_it_takes_more_and_the_fullest_way_counts() -> None:
    assert gauge(calls=10, cpu=0.2).fullness(10, LIMITS, 20.0) == pytest.approx(11 / 25)
    assert gauge(calls=10, cpu=0.6).fullness(10, LIMITS, 20.0) == pytest.approx(0.66 / 0.8)


def test_it_is_full_by_number() -> None:
    assert gauge(calls=24, cpu=0.1).fullness(24, LIMITS, 20.0) == 1  # the 25th
    assert gauge(calls=25, cpu=0.1).fullness(25, LIMITS, 20.0) > 1


def test_it_is_full_when_the_next_call_would_take_it_over_its_share_of_a_core() -> None:
    assert gauge(calls=19, cpu=0.76).fullness(19, LIMITS, 20.0) == pytest.approx(1)
    assert gauge(calls=20, cpu=0.79).fullness(20, LIMITS, 20.0) > 1


def test_calls_just_given_count_before_they_can_be_measured_and_not_after() -> None:
    worker = gauge(calls=10, cpu=0.6)
    assert worker.fullness(10, LIMITS, 20.0) < 1
    for _ in range(4):
        worker.give(20.0)
    assert worker.fullness(14, LIMITS, 20.0) > 1
    assert worker.fullness(14, LIMITS, 24.0) < 1


def test_a_burst_on_an_idle_worker_is_bounded_by_what_a_call_may_cost() -> None:
    worker = gauge(calls=0, cpu=0.0)
    taken = 0
    while worker.fullness(taken, LIMITS, 20.0) <= 1:
        worker.give(20.0)
        taken += 1
    assert taken == 8  # at a tenth of a core each, until something is measured


def test_it_is_full_when_its_ticks_are_late_whoever_is_to_blame() -> None:
    assert gauge(calls=2, cpu=0.05, tick_late_s=0.015).fullness(2, LIMITS, 20.0) <= 1
    late = gauge(calls=2, cpu=0.05, tick_late_s=0.03)
    assert late.fullness(2, LIMITS, 20.0) > 1
    assert late.fullness(0, LIMITS, 20.0) < 1  # its last call is over: there is nothing to spare


def test_what_was_late_long_ago_is_forgiven() -> None:
    worker, lateness = WorkerGauge(), Histogram(LATENESS_BOUNDS_S)
    for second in range(30):
        for _ in range(50):
            lateness.observe(0.5 if second < 10 else 0.001)
        worker.report(make_load(calls=3, lateness=lateness), float(second))
        assert (worker.fullness(3, LIMITS, float(second)) > 1) == (second < 14), second


def test_a_limit_of_0_does_not_look() -> None:
    blind = Limits(calls=25, cpu=0, tick_late_s=0)
    assert gauge(calls=3, cpu=5.0, tick_late_s=0.4).fullness(3, blind, 20.0) == pytest.approx(4 / 25)


def test_while_it_warms_up_its_cpu_says_nothing() -> None:
    assert gauge(calls=1, cpu=1.0, seconds=4).fullness(1, LIMITS, 4.0) < 1
    assert gauge(calls=1, cpu=1.0, seconds=6).fullness(1, LIMITS, 6.0) > 1


def test_one_that_has_not_reported_is_judged_by_number() -> None:
    worker = WorkerGauge()
    assert worker.last is None
    assert worker.fullness(1, LIMITS, 0.0) == pytest.approx(2 / 25)
