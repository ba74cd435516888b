"""Memory goes back to the system although something still lies above it."""

import ctypes
import os
import platform

import pytest

from oneinbox.core.spare_memory import give_back
from tests.support.memory import anonymous_mb

BLOCK, BLOCKS = 64 * 1024, 1600  # small enough to lie in the heap, not in mappings of their own


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
    before_mb = anonymous_mb(os.getpid())
    give_back()
    after_mb = anonymous_mb(os.getpid())
    libc.free(survivor)
    assert after_mb < before_mb - 0.8 * BLOCK * BLOCKS / 1e6
