"""Changes to bytes that are likely to find where a parser trusts them. Seeded: the same seed gives the same inputs."""

import random
from collections.abc import Iterator, Sequence

_MAX_BYTES = 4_096
_EDGES = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\x00\x00",
    b"\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xff",
    b"\r\n",
    b":",
)


def mutations(seeds: Sequence[bytes], seed: int) -> Iterator[bytes]:
    """Yield the seeds, then changed ones for ever. An input is a seed with up to eight changes, or two seeds joined."""
    chance = random.Random(seed)
    yield b""
    yield from seeds
    while True:
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.choice((1, 1, 2, 4, 8))):
            _change(data, chance, seeds)
        yield bytes(data[:_MAX_BYTES])


def _change(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    end = min(len(data), at + chance.choice((1, 1, 2, 4, 16, 64)))
    match chance.randrange(7):
        case 0 if at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        case 1 if at < len(data):
            data[at] = chance.randrange(256)
        case 2:
            edge = chance.choice(_EDGES)
            data[at : at + len(edge)] = edge
        case 3:
            del data[at:end]
        case 4:
            data[at:at] = data[at:end] * chance.choice((1, 2, 16))
        case 5:
            data[at:at] = chance.randbytes(chance.choice((1, 2, 8, 64)))
        case _:
            other = chance.choice(seeds)
            data[at:] = other[chance.randrange(len(other) + 1) :]
