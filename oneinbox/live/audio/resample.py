"""Sample-rate conversion of a stream, with a delay of one or two milliseconds.

A polyphase FIR filter: a Kaiser-windowed sinc of 24 input samples (stretched where the rate goes down), aliases at
least 60 dB below. libsoxr's streams are cheaper, but hold back 20-110 ms of a live stream in blocks, and its one quality
that does not lets aliases through: a conversation pays that delay twice a turn.
"""

import functools
import math

import numpy as np
import numpy.typing as npt

_ZERO_CROSSINGS = 12
_KAISER_BETA = 6.5  # stop band of about -65 dB
_PASS_BAND = 0.92  # of the lower rate's band, so that the transition ends near its edge


class Resampler:
    """Mono s16 PCM from ``from_hz`` to ``to_hz``, piece by piece; one stream each.

    The pieces may have any length. Once :meth:`flush` was called, as much time has come out as was put in.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        if from_hz <= 0 or to_hz <= 0:
            raise ValueError(f"sample rates are positive, not {from_hz} and {to_hz}")
        self._from_hz = from_hz
        common = math.gcd(from_hz, to_hz)
        self._up, self._down = to_hz // common, from_hz // common
        self._bank = _filter_bank(self._up, self._down)
        self._half = len(self._bank[0]) // 2
        # The first output is centred on the first input: half a filter of silence stands before it.
        self._held = np.zeros(self._half - 1, dtype=np.float32)
        self._next = 0
        """Where the next output is centred, in ``1 / up`` input samples after the first centre in ``_held``."""
        self._odd = b""

    @property
    def delay_s(self) -> float:
        """How much of a live stream is held back."""
        return 0.0 if self._up == self._down else self._half / self._from_hz

    def push(self, pcm: bytes) -> bytes:
        """Take a piece; return what is ready, which may be nothing. Half a sample waits for its other half."""
        pcm = self._odd + pcm
        whole = len(pcm) & ~1
        self._odd, pcm = pcm[whole:], pcm[:whole]
        if self._up == self._down or not pcm:
            return pcm
        samples: npt.NDArray[np.float32] = np.frombuffer(pcm, dtype="<i2").astype(np.float32)
        return self._run(samples)

    def flush(self) -> bytes:
        """End the stream; return the last of it. Nothing may be pushed after this."""
        return b"" if self._up == self._down else self._run(np.zeros(self._half, dtype=np.float32))

    def _run(self, samples: npt.NDArray[np.float32]) -> bytes:
        held = np.concatenate((self._held, samples))
        taps = 2 * self._half
        centres = len(held) - taps + 1
        """How many positions the whole filter fits at."""
        if centres <= 0:
            self._held = held
            return b""
        steps: npt.NDArray[np.int64] = np.arange(self._next, centres * self._up, self._down, dtype=np.int64)
        windows = np.lib.stride_tricks.sliding_window_view(held, taps)[steps // self._up]
        made = np.einsum("nk,nk->n", windows, self._bank[steps % self._up])
        self._next += len(steps) * self._down - centres * self._up
        self._held = held[centres:]
        return np.clip(np.rint(made), -32_768, 32_767).astype("<i2").tobytes()


@functools.cache
def _filter_bank(up: int, down: int) -> npt.NDArray[np.float32]:
    """Return one row of taps for each of the ``up`` positions that an output can have between two inputs."""
    stretch = max(1.0, down / up)
    half = math.ceil(_ZERO_CROSSINGS * stretch)
    cutoff = _PASS_BAND / stretch
    fractions = np.arange(up) / up
    offsets = np.arange(-half + 1, half + 1)[None, :] - fractions[:, None]
    window = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (offsets / half) ** 2, 0, 1))) / np.i0(_KAISER_BETA)
    bank = cutoff * np.sinc(cutoff * offsets) * window
    return (bank / bank.sum(axis=1, keepdims=True)).astype(np.float32)
