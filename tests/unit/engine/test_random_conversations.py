"""Random calls, by seed (``tests/simulate``): whatever the caller does and whichever provider fails, the laws hold.

A failing seed is in the test's name; ``python -m tests.simulate --seed SEED --calls 1`` plays it again and prints it.
"""

import pytest

from tests.simulate.callers import random_scene
from tests.simulate.laws import check
from tests.support.conversation import converse

ONCE_BROKEN = (147, 9_940, 70_259, 1_001_779, 1_016_719, 4_013_809, 10_011_850, 10_046_422)
"""Calls that found a fault when they were first played."""
SEEDS = (*range(200), *ONCE_BROKEN)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_laws_hold(seed: int) -> None:
    check(converse(random_scene(seed)))
