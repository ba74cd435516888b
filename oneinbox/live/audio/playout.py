"""The agent's mouth: a queue of speech that a clock takes 20 ms from at each tick.

Rules:

- Only written audio counts as played. Padding, silence and the fade after a cut do not.
- A frame that is only partly there waits while its writer is at work (at most two ticks), so that a writer that is
  just keeping up does not tear its own speech; then it goes out padded, so that the end of speech is never stuck.
- Nothing starts or stops with a step: a cut, a pause and a change of gain are ramps of 5 ms, too short to hear as
  anything but clean.
"""

from collections import deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from oneinbox.live.audio.clips import Clip, PreparedFrame

RATE_HZ = 24_000
FRAME_SAMPLES = RATE_HZ // 50
FRAME_BYTES = FRAME_SAMPLES * 2

_RAMP_SAMPLES = RATE_HZ // 200
_HOLD_TICKS = 2
_LIMIT = 32_767


class PlayoutQueue:
    """Fulfils ``live.engine.ports.Playout``; whoever owns the wire calls :meth:`pull` every 20 ms.

    All on one event loop: nothing here is safe to call from another thread.
    """

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._head = 0
        """Bytes of the first piece that are played already."""
        self._queued_bytes = 0
        self._played = 0
        self._paused = False
        self._gain = 1.0
        self._gain_now = 1.0
        """The gain that the last frame ended with: a ramp leads from here to ``_gain``."""
        self._last_frame = b""
        self._fade = b""
        """The ramp to silence that follows a cut."""
        self._written_since_pull = False
        self._held_ticks = 0
        self._on_frame: Callable[[], None] | None = None
        self._on_ready: Callable[[], None] | None = None
        self._frame_was_written = False
        self._sounding = False
        """Whether the last frame pulled was written audio: only then is there something to fade from."""

    # ---- the engine's side

    def write(self, pcm: bytes) -> None:
        """Queue 24 kHz audio behind what is queued already; raises ``ValueError`` for half a sample."""
        if len(pcm) % 2:
            raise ValueError(f"{len(pcm)} bytes are not whole samples")
        if pcm:
            self._pieces.append(pcm if isinstance(pcm, Clip) else bytes(pcm))
            self._queued_bytes += len(pcm)
            self._written_since_pull = True
            self._tell_ready()

    def clear(self) -> None:
        """Drop all that is queued; what was sounding fades out within 5 ms."""
        self._prepare_fade()
        self._pieces.clear()
        self._head = 0
        self._queued_bytes = 0
        self._held_ticks = 0

    def pause(self) -> None:
        """Stop playing, keep the queue."""
        if not self._paused:
            self._prepare_fade()
            self._paused = True

    def resume(self) -> None:
        """Go on where ``pause`` stopped, from silence up within 5 ms."""
        if self._paused:
            self._paused = False
            self._gain_now = 0.0

    def set_gain(self, gain: float) -> None:
        """Scale what is played from the next frame on: 1 is as written. Too loud is clipped."""
        if not 0.0 <= gain <= 16.0:
            raise ValueError(f"a gain of {gain} is not between 0 and 16")
        self._gain = gain

    @property
    def played_samples(self) -> int:
        """Samples of written audio handed to the wire since the start."""
        return self._played

    @property
    def queued_samples(self) -> int:
        """Samples written and neither played nor cleared."""
        return self._queued_bytes // 2

    @property
    def last_frame(self) -> bytes:
        """The last frame that played written audio, as it was sent."""
        return self._last_frame

    def on_frame(self, callback: Callable[[], None] | None) -> None:
        """Call ``callback`` after each frame that played written audio; ``None`` takes it back."""
        self._on_frame = callback

    # ---- the wire's side

    def when_ready(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once, when there is a whole frame to play: now, or out of the :meth:`write` that makes it whole."""
        self._on_ready = callback
        self._tell_ready()

    def pull(self) -> bytes | None:
        """Return the next 20 ms (960 bytes) to send, or ``None`` where there is only silence.

        Of a clip that sounds as it was made, this is a :class:`PreparedFrame`: its packet need not be encoded.

        Whoever calls this sends the frame and then calls :meth:`frame_sent`.
        """
        self._frame_was_written = self._sounding = False
        if self._fade:
            frame, self._fade = self._fade.ljust(FRAME_BYTES, b"\0"), b""
            return frame
        if self._paused or not self._queued_bytes or self._holds_back():
            return None
        self._held_ticks = 0
        prepared = self._prepared()
        frame = self._take(FRAME_BYTES)
        self._played += len(frame) // 2
        self._frame_was_written = self._sounding = True
        self._last_frame = prepared or self._scaled(frame).ljust(FRAME_BYTES, b"\0")
        return self._last_frame

    def frame_sent(self) -> None:
        """Tell whoever listens, where the frame just pulled held written audio."""
        if self._frame_was_written and self._on_frame is not None:
            self._frame_was_written = False
            self._on_frame()

    # ---- inside

    def _tell_ready(self) -> None:
        if self._on_ready is not None and self._queued_bytes >= FRAME_BYTES:
            callback, self._on_ready = self._on_ready, None
            callback()

    def _prepared(self) -> PreparedFrame | None:
        clip = self._pieces[0]
        if not isinstance(clip, Clip) or self._head % FRAME_BYTES or not self._gain_now == self._gain == 1.0:
            return None
        return clip.frames[self._head // FRAME_BYTES]

    def _holds_back(self) -> bool:
        writing, self._written_since_pull = self._written_since_pull, False
        if self._queued_bytes >= FRAME_BYTES or not writing or self._held_ticks >= _HOLD_TICKS:
            return False
        self._held_ticks += 1
        return True

    def _peek(self, count: int) -> bytes:
        taken, start = bytearray(), self._head
        for piece in self._pieces:
            taken += piece[start : start + count - len(taken)]
            start = 0
            if len(taken) == count:
                break
        return bytes(taken)

    def _take(self, count: int) -> bytes:
        frame = self._peek(count)
        self._queued_bytes -= len(frame)
        left = self._head + len(frame)
        while self._pieces and left >= len(self._pieces[0]):
            left -= len(self._pieces.popleft())
        self._head = left
        return frame

    def _prepare_fade(self) -> None:
        if not self._sounding or not self._queued_bytes:
            return
        tail = _samples(self._peek(_RAMP_SAMPLES * 2))
        self._fade = _pcm(tail * np.linspace(self._gain_now, 0.0, len(tail), dtype=np.float32))

    def _scaled(self, frame: bytes) -> bytes:
        if self._gain_now == self._gain == 1.0:
            return frame
        samples = _samples(frame)
        gains = np.full(len(samples), self._gain, dtype=np.float32)
        ramp = np.linspace(self._gain_now, self._gain, _RAMP_SAMPLES, dtype=np.float32)[: len(samples)]
        gains[: len(ramp)] = ramp
        self._gain_now = self._gain
        return _pcm(samples * gains)


def _samples(pcm: bytes) -> npt.NDArray[np.float32]:
    return np.frombuffer(pcm, dtype="<i2").astype(np.float32)


def _pcm(samples: npt.NDArray[np.float32]) -> bytes:
    return np.clip(np.rint(samples), -_LIMIT - 1, _LIMIT).astype("<i2").tobytes()
