"""A short run over every parser of bytes from strangers; ``python -m tests.fuzz`` is the long one."""

from itertools import islice

import pytest

from tests.fuzz.mutation import mutations
from tests.fuzz.targets import TARGETS

INPUTS = {"opus": 300, "audio": 300}
"""These decode sound; all others take as many inputs as below."""


@pytest.mark.parametrize("name", TARGETS)
def test_no_bytes_break_a_parser(name: str) -> None:
    target = TARGETS[name]
    for data in islice(mutations(target.seeds, seed=1), INPUTS.get(name, 2_000)):
        try:
            target.take(data)
        except Exception as error:
            raise AssertionError(f"{name} broke on {data.hex()}") from error


def test_a_seed_gives_the_same_inputs_again() -> None:
    first, again, other = (list(islice(mutations([b"hello"], seed), 50)) for seed in (1, 1, 2))
    assert first == again != other
