"""The collector of a server that has started: most of what there is by then stays for good."""

import gc

_YOUNG_OBJECTS = 10_000
"""A request makes hundreds of objects and few cycles: at the default (700) the collector runs once in a few requests."""


def settle() -> None:
    """Take what there is now out of every later collection, and collect less often. Call it once, when all is up."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)
