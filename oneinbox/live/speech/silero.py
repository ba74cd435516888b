"""Voice activity by Silero, one ONNX session for every call of the process.

Windows of all calls that are due go through the model as one batch: input [N, 576], state [2, N, 128]. A batch gives
exactly what its rows would give one by one, and costs a third of it per call. A small batch is judged on the event loop,
where a hop to a thread would cost more than it saves; a large one in a thread of its own, one at a time, while the loop goes
on with other calls (onnxruntime releases the GIL). Model: https://github.com/snakers4/silero-vad
(MIT), the 16 kHz variant with a free batch dimension; each window of 512 samples is preceded by the last 64 of the
window before it.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oneinbox.live.speech.onnx import Floats, open_model

_log = logging.getLogger(__name__)

_WINDOW = 512
_CONTEXT = 64
_WINDOW_BYTES = _WINDOW * 2
_STATE_WIDTH = 128
_SCALE = np.float32(1 / 32768)
_RATE = np.array(16_000, dtype=np.int64)
_TICK_S = 0.01
_FEW = 4
"""With so few open streams each window is judged at once; with more, windows wait up to a tick to share a batch."""
_SMALLEST = 8
MOST_INLINE = 40
"""Windows of a batch that is judged on the event loop: those of some 100 calls, and 1-2 ms."""


class SileroStream:
    """One call's ear. Made by :meth:`SileroVad.open`."""

    __slots__ = ("_on_probability", "_vad", "closed", "pending", "slot")

    def __init__(self, vad: "SileroVad", slot: int, on_probability: Callable[[float], None]) -> None:
        self._vad = vad
        self._on_probability = on_probability
        self.slot = slot
        self.pending = bytearray()
        self.closed = False

    def push(self, pcm: bytes) -> None:
        """Take 16 kHz audio of any length; windows are judged within 10 ms of being full."""
        if self.closed:
            return
        self.pending += pcm
        if len(self.pending) >= _WINDOW_BYTES:
            self._vad.stream_ready(self)

    def close(self) -> None:
        """Stop; no callback comes after this, not even for a batch that is being handed out."""
        if not self.closed:
            self.closed = True
            self._vad.stream_closed(self)

    def hand_out(self, probability: float) -> None:
        """Give one window's result to the call; what its callback raises stays with that call."""
        if self.closed:
            return
        try:
            self._on_probability(probability)
        except Exception:  # noqa: BLE001 - one call's bug must not cost the other calls of the batch their windows
            _log.exception("a voice activity callback failed")


class SileroVad:
    """The ``Vad`` port. Use from one event loop only.

    Raises ``FileNotFoundError`` where the model is missing.
    """

    def __init__(self, model_path: Path, most_inline: int = MOST_INLINE) -> None:
        if not model_path.is_file():
            raise FileNotFoundError(
                f"no model at {model_path}: run `python scripts/fetch_models.py {model_path.parent}`"
            )
        self._session = open_model(model_path)
        self._streams: list[SileroStream | None] = []
        self._state: Floats = np.zeros((2, 0, _STATE_WIDTH), np.float32)
        self._input: Floats = np.zeros((0, _CONTEXT + _WINDOW), np.float32)
        self._free: list[int] = []
        self._open = 0
        self._due: dict[SileroStream, None] = {}  # a set that keeps its order
        self._ticking = False
        self._most_inline = most_inline
        self._judging = False  # a batch is with the thread
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vad")
        self.batches = 0
        self.threaded_batches = 0
        self.windows = 0
        self._resize(_SMALLEST)

    @property
    def capacity(self) -> int:
        """Streams there is room for without growing."""
        return len(self._streams)

    def open(self, on_probability: Callable[[float], None]) -> SileroStream:
        """Start a stream; ``on_probability`` gets the probability of speech of each 32 ms window, in order."""
        if not self._free:
            self._resize(2 * self.capacity)
        slot = self._free.pop()
        self._state[:, slot] = 0
        self._input[slot] = 0
        stream = SileroStream(self, slot, on_probability)
        self._streams[slot] = stream
        self._open += 1
        return stream

    @property
    def judging(self) -> bool:
        """Whether the thread is at work."""
        return self._judging

    def close(self) -> None:
        """Stop the thread; a batch that it holds is not handed out."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def stream_ready(self, stream: SileroStream) -> None:
        """Note that a stream holds a whole window."""
        self._due[stream] = None
        if not self._ticking and not self._judging:
            self._ticking = True
            loop = asyncio.get_running_loop()
            if self._open <= _FEW:
                loop.call_soon(self._tick)
            else:
                # on a grid, so that calls whose frames come at different moments meet in one batch
                loop.call_at((loop.time() // _TICK_S + 1) * _TICK_S, self._tick)

    def stream_closed(self, stream: SileroStream) -> None:
        """Take back the slot of a stream that was closed."""
        self._due.pop(stream, None)
        self._streams[stream.slot] = None
        self._free.append(stream.slot)
        self._open -= 1
        if self.capacity > _SMALLEST and self._open <= self.capacity // 4:
            self._resize(max(_SMALLEST, self.capacity // 2))

    def _resize(self, capacity: int) -> None:
        """Move the open streams into arrays of ``capacity`` slots."""
        state: Floats = np.zeros((2, capacity, _STATE_WIDTH), np.float32)
        windows: Floats = np.zeros((capacity, _CONTEXT + _WINDOW), np.float32)
        streams: list[SileroStream | None] = [None] * capacity
        for slot, stream in enumerate(stream for stream in self._streams if stream is not None):
            state[:, slot] = self._state[:, stream.slot]
            windows[slot] = self._input[stream.slot]
            stream.slot = slot
            streams[slot] = stream
        self._state, self._input, self._streams = state, windows, streams
        self._free = [slot for slot in range(capacity - 1, -1, -1) if streams[slot] is None]

    def _tick(self) -> None:
        self._ticking = False
        batch = list(self._due)
        self._due.clear()
        if not batch:
            return
        feeds = self._take(batch)
        if len(batch) <= self._most_inline:
            self._give(batch, self._session.run(None, feeds))
            return
        self._judging = True
        self.threaded_batches += 1
        judged = asyncio.get_running_loop().run_in_executor(self._thread, self._session.run, None, feeds)
        judged.add_done_callback(partial(self._on_judged, batch))

    def _on_judged(self, batch: list[SileroStream], judged: "asyncio.Future[Sequence[Floats]]") -> None:
        """Take a batch back from the thread; what has become due meanwhile is next."""
        self._judging = False
        if judged.cancelled():
            return
        if (error := judged.exception()) is not None:
            _log.error("the voice activity model failed", exc_info=error)
            for stream in batch:
                self._look(stream)
        else:
            self._give(batch, judged.result())
        for stream in list(self._due)[:1]:
            self.stream_ready(stream)

    def _take(self, batch: list[SileroStream]) -> dict[str, npt.NDArray[Any]]:
        """Take one window of each stream; return what the model is to be given, in arrays of their own."""
        for stream in batch:
            row = self._input[stream.slot]
            row[:_CONTEXT] = row[_WINDOW:]
            row[_CONTEXT:] = np.frombuffer(stream.pending, "<i2", _WINDOW)
            row[_CONTEXT:] *= _SCALE
            del stream.pending[:_WINDOW_BYTES]
        slots = np.array([stream.slot for stream in batch])
        return {"input": self._input[slots], "state": self._state[:, slots], "sr": _RATE}

    def _give(self, batch: list[SileroStream], judged: Sequence[Floats]) -> None:
        """Keep the model's state and hand the probabilities out; streams may have closed, or moved, since ``_take``."""
        output, state = judged
        rows = [row for row, stream in enumerate(batch) if not stream.closed]
        slots = [batch[row].slot for row in rows]
        self._state[:, slots] = state[:, rows]
        self.batches += 1
        self.windows += len(batch)
        for stream in batch:
            self._look(stream)
        # last, because callbacks may open and close streams
        for stream, probability in zip(batch, output[:, 0].tolist(), strict=True):
            stream.hand_out(probability)

    def _look(self, stream: SileroStream) -> None:
        if len(stream.pending) >= _WINDOW_BYTES and not stream.closed:
            self.stream_ready(stream)
