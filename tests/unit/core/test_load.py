"""Histograms and counters that go up the link."""

import pytest

from oneinbox.core.load import LATENESS_BOUNDS_S, Buckets, Histogram, Traffic, resident_bytes


def observed(*values: float) -> Histogram:
    histogram = Histogram(LATENESS_BOUNDS_S)
    for value in values:
        histogram.observe(value)
    return histogram


def test_a_value_is_counted_below_its_bound_and_the_bound_belongs_to_it() -> None:
    state = observed(0.0, 0.001, 0.0011, 0.5, 7.0).state()
    assert state.counts == (2, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1)
    assert state.total == pytest.approx(7.5021)


def test_what_came_since_an_earlier_state() -> None:
    histogram = observed(0.003, 0.03)
    before = histogram.state()
    histogram.observe(0.03)
    since = histogram.state().since(before)
    assert sum(since.counts) == 1
    assert since.quantile(0.5, LATENESS_BOUNDS_S) == 0.04
    assert histogram.state().since(None) == histogram.state()
    together = [one + other for one, other in zip(before.counts, since.counts, strict=True)]
    assert together == list(histogram.state().counts)


def test_a_quantile_is_the_bound_above_it() -> None:
    state = observed(*[0.0005] * 95, *[0.05] * 5).state()
    assert state.quantile(0.5, LATENESS_BOUNDS_S) == 0.001
    assert state.quantile(0.95, LATENESS_BOUNDS_S) == 0.001
    assert state.quantile(0.96, LATENESS_BOUNDS_S) == 0.06
    assert observed(3.0).state().quantile(0.5, LATENESS_BOUNDS_S) == 1.0
    assert Buckets((0,) * 11).quantile(0.5, LATENESS_BOUNDS_S) is None


def test_traffic_adds_up() -> None:
    one = Traffic(packets_received=95, packets_missing=10, packets_late=5, concealed_s=0.1)
    assert (one.packets_lost, one.loss) == (5, 0.05)
    one.add(Traffic(packets_received=5, concealed_s=0.2))
    assert (one.packets_received, one.packets_missing) == (100, 10)
    assert one.concealed_s == pytest.approx(0.3)
    assert Traffic().loss == 0


def test_this_process_holds_memory() -> None:
    assert resident_bytes() > 1_000_000
