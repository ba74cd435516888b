"""The sampler that tells benchmarks where the time goes."""

import signal
from collections.abc import Iterator

import pytest

from bench.sampler import Sampler


@pytest.fixture
def sampler() -> Iterator[Sampler]:
    before = signal.getsignal(signal.SIGPROF)
    sampler = Sampler()
    sampler.start()
    yield sampler
    sampler.stop()
    # never the default again: that would end the process, should a last signal still be on its way
    signal.signal(signal.SIGPROF, signal.SIG_IGN if before is signal.SIG_DFL else before)


def interrupted() -> None:
    signal.raise_signal(signal.SIGPROF)


def test_a_sample_counts_for_the_line_it_interrupted(sampler: Sampler) -> None:
    for _ in range(50):
        interrupted()
    sampler.stop()
    shares = sampler.shares(lambda path, line: line if path == __file__ else "elsewhere")
    assert shares["signal.raise_signal(signal.SIGPROF)"] > 0.5


def test_code_without_lines_is_counted_too(sampler: Sampler) -> None:
    """CPython 3.11 knows no line for some instructions, and says so by None."""
    interrupted.__code__, whole = interrupted.__code__.replace(co_linetable=b""), interrupted.__code__
    try:
        for _ in range(50):
            interrupted()
    finally:
        interrupted.__code__ = whole
    sampler.stop()
    shares = sampler.shares(lambda path, line: "here" if path == __file__ else "elsewhere")
    assert shares["here"] > 0.5
    assert "interrupted" in sampler.table(1000)
