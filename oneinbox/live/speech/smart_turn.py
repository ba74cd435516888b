"""Whether a caller's turn sounds complete, by smart-turn v3.2: one ONNX session and one thread for every call.

The model hears up to 8 s of the turn, the end of it at the end, and gives the probability that the speaker has finished.
Model: https://github.com/pipecat-ai/smart-turn (BSD-2-Clause). One judgement costs some 30 ms of CPU, most of them
outside the GIL, so it is asked once a pause at most, never on the event loop. A second thread would answer sooner only where two
calls pause at once, and would double the model's work space of 30 MB.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from oneinbox.live.engine.ports import FRAME_MS
from oneinbox.live.speech.log_mel import RATE_HZ, Floats, log_mel
from oneinbox.live.speech.onnx import open_model

_log = logging.getLogger(__name__)

HEARD_S = 8.0
_HEARD_SAMPLES = int(HEARD_S * RATE_HZ)
_MOST_FRAMES = int((HEARD_S + 1.5) * 1000 / FRAME_MS)
"""A pause is judged while it lasts: what came of it is kept beside the 8 s before."""
_BEFORE_FRAMES = 500 // FRAME_MS
"""Kept between turns: speech is noticed late."""
_OVER_FRAMES = 3000 // FRAME_MS
"""After as much silence no pause is judged any more."""
_MOST_WAITING = 8
"""With so many judgements under way another would come too late to be of use: it is not made."""


class SmartTurnStream:
    """What one call said last: up to 8 s of a turn, and next to nothing between turns. Made by :meth:`SmartTurn.open`."""

    def __init__(self, model: "SmartTurn", on_complete: Callable[[int, float], None]) -> None:
        self._model = model
        self._on_complete = on_complete
        self._heard: deque[bytes] = deque(maxlen=_MOST_FRAMES)  # the frames as they came: nothing is copied
        self._speech = False
        self._quiet_frames = 0
        self._closed = False
        self._loop = asyncio.get_running_loop()

    def push(self, pcm: bytes) -> None:
        """Take a frame of 16 kHz audio."""
        self._heard.append(pcm)
        if self._speech:
            return
        self._quiet_frames += 1
        if self._quiet_frames > _OVER_FRAMES:
            while len(self._heard) > _BEFORE_FRAMES:
                self._heard.popleft()

    def hear_speech(self, *, speech: bool) -> None:
        """Note that speech begins or ends."""
        self._speech = speech
        self._quiet_frames = 0

    def judge(self, pause: int, turn_s: float, ago_s: float) -> None:
        """Judge ``turn_s`` seconds that ended ``ago_s`` ago; ``on_complete`` gets ``pause`` and the probability, or nothing."""
        heard = b"".join(self._heard)
        end = max(0, len(heard) - 2 * int(ago_s * RATE_HZ))
        heard = heard[max(0, end - 2 * min(_HEARD_SAMPLES, int(turn_s * RATE_HZ))) : end]
        future = self._model.submit(heard) if heard else None
        if future is not None:
            future.add_done_callback(partial(self._hand_over, pause))

    def close(self) -> None:
        """Stop; nothing comes after this."""
        self._closed = True

    def _hand_over(self, pause: int, future: "Future[float]") -> None:
        """(In the model's thread.) Bring the result to the event loop."""
        if self._closed or future.cancelled():
            return
        if (error := future.exception()) is not None:
            _log.error("the end-of-turn model failed", exc_info=error)
            return
        try:
            self._loop.call_soon_threadsafe(self._tell, pause, future.result())
        except RuntimeError:
            pass  # the loop has closed meanwhile

    def _tell(self, pause: int, probability: float) -> None:
        if not self._closed:
            self._on_complete(pause, probability)


class SmartTurn:
    """The ``EndOfTurn`` port. Raises ``FileNotFoundError`` where the model is missing."""

    def __init__(self, model_path: Path) -> None:
        if not model_path.is_file():
            raise FileNotFoundError(
                f"no model at {model_path}: run `python scripts/fetch_models.py {model_path.parent}`"
            )
        self._session = open_model(model_path)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="end-of-turn")
        self._waiting = 0

    def open(self, on_complete: Callable[[int, float], None]) -> SmartTurnStream:
        """Start listening to a call, on the running event loop."""
        return SmartTurnStream(self, on_complete)

    def submit(self, heard: bytes) -> "Future[float] | None":
        """Judge ``heard`` in the thread; ``None`` where that is behind."""
        if self._waiting >= _MOST_WAITING:
            return None
        self._waiting += 1
        future = self._pool.submit(self.probability, heard)
        future.add_done_callback(self._done)
        return future

    def probability(self, heard: bytes) -> float:
        """Return the probability, 0-1, that the turn which ``heard`` (16 kHz, at most 8 s) ends with is complete."""
        samples: Floats = np.zeros(_HEARD_SAMPLES, np.float32)
        sound = np.frombuffer(heard, "<i2")[-_HEARD_SAMPLES:]
        samples[_HEARD_SAMPLES - len(sound) :] = sound
        samples /= 32_768
        (logits,) = self._session.run(None, {"input_features": log_mel(samples)[None]})
        return float(logits[0, 0])

    def close(self) -> None:
        """Stop the thread; what waits is not judged."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _done(self, _: "Future[float]") -> None:
        self._waiting -= 1
