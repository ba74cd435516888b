"""Random calls, by seed (``tests/simulate``): whatever the caller does and whichever provider fails, the laws hold.

A failing seed is in the test's name; ``python -m tests.simulate --seed SEED --calls 1`` plays it again and prints it.
"""

import pytest

from tests.simulate.callers import random_scene
from tests.simulate.laws import check
from tests.support.conversation import converse

SEEDS = range(200)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_laws_hold(seed: int) -> None:
    check(converse(random_scene(seed)))
