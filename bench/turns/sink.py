"""A mouth that plays 20 ms a tick, for engines that bring none of their own."""

import asyncio
from collections.abc import Callable

from bench.turns import script
from bench.turns.caller import Heard
from bench.turns.script import FRAME_S, RATE_HZ

FRAME_BYTES = int(FRAME_S * RATE_HZ) * 2


class PacedSink:
    """Plays what is written from the moment it comes; ``drained(seconds)`` after the end of a segment."""

    def __init__(self, heard: Heard, drained: Callable[[float], None]) -> None:
        self._heard = heard
        self._drained = drained
        self._queue = bytearray()
        self._played_s = 0.0
        self._paused = False
        self._ended = False
        self._timer: asyncio.TimerHandle | None = None
        self._next_s = 0.0
        self._loop = asyncio.get_running_loop()

    def write(self, pcm: bytes) -> None:
        self._queue += pcm
        self._wake()

    def end(self) -> None:
        """The segment is whole."""
        self._ended = True
        self._wake()

    def clear(self) -> float:
        """Drop what is queued; return how much of the segment was played."""
        played_s, self._played_s = self._played_s, 0.0
        self._queue.clear()
        self._ended = self._paused = False
        return played_s

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._wake()

    def _wake(self) -> None:
        if self._timer is None and not self._paused and (len(self._queue) >= FRAME_BYTES or self._ended):
            now_s = self._loop.time()
            self._next_s = max(self._next_s, now_s)
            self._timer = self._loop.call_at(self._next_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._paused:
            return
        if len(self._queue) >= FRAME_BYTES:
            level = script.level(bytes(self._queue[:FRAME_BYTES]))
            del self._queue[:FRAME_BYTES]
            self._played_s += FRAME_S
            self._heard.play(FRAME_S, level)
            self._next_s += FRAME_S
            if self._next_s < self._loop.time() - FRAME_S:
                self._next_s = self._loop.time()
        elif self._ended:
            self._drained(self.clear())
            return
        self._wake()
