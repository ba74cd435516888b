"""Memory goes back to the system although something still lies above it."""

import ctypes
import platform
from pathlib import Path

import pytest

from oneinbox.core.spare_memory import give_back

BLOCK, BLOCKS = 64 * 1024, 1600  # small enough to lie in the heap, not in mappings of their own


def resident_mb() -> float:
    return int(Path("/proc/self/status").read_text().partition("RssAnon:")[2].split()[0]) / 1000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to give memory back")
def test_what_lies_below_a_survivor_goes_back() -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    give_back()
    blocks: list[int] = [libc.malloc(BLOCK) for _ in range(BLOCKS)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK)
    *others, survivor = blocks
    for block in others:
        libc.free(block)
    before_mb = resident_mb()
    give_back()
    after_mb = resident_mb()
    libc.free(survivor)
    assert after_mb < before_mb - 0.8 * BLOCK * BLOCKS / 1e6
