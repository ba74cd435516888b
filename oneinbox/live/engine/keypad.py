"""The telephone's keys: what is dialled in one go becomes one entry."""

import asyncio
from collections.abc import Callable

ENTRY_PAUSE_S = 2.0
"""After this long without a key an entry is over; ``#`` ends it at once."""
MOST_KEYS = 64
_END = "#"


class Keypad:
    """Gathers keys. ``entered`` is called with each entry, such as ``1 2 3``, on the running event loop."""

    def __init__(self, entered: Callable[[str], None]) -> None:
        self._entered = entered
        self._keys: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    def press(self, key: str) -> None:
        """Take a key. A ``#`` behind others ends the entry and is no part of it; alone it is one."""
        if self._timer is not None:
            self._timer.cancel()
        if key != _END or not self._keys:
            self._keys.append(key)
        if key == _END or len(self._keys) >= MOST_KEYS:
            self._enter()
        else:
            self._timer = asyncio.get_running_loop().call_later(ENTRY_PAUSE_S, self._enter)

    def close(self) -> None:
        """Forget what was begun; nothing is called any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._keys.clear()

    def _enter(self) -> None:
        keys = " ".join(self._keys)
        self.close()
        self._entered(keys)
