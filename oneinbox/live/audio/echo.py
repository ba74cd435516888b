"""Telling the agent's own voice, come back through the caller's loudspeaker and microphone, from the caller's.

What the microphone heard last is compared with what was played in the half second and a bit before. The delay is found by
cross-correlation with whitened spectra (a sharp peak where one signal is in the other, none between two voices, however
alike their pitch). At that delay the played sound explains a share of what was heard. Much of it: an echo. Little of it:
somebody speaks, perhaps over an echo. Once a delay has been confirmed it is looked at first, because it hardly changes.

Nothing is subtracted: what is judged here is only whether the agent should stop for what it hears.
"""

from collections import deque

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

RATE_HZ = 8_000
"""Both sides are compared at this rate: speech has most of its energy below 4 kHz."""
HEARD_RATE_HZ = 16_000
PLAYED_RATE_HZ = 24_000
MOST_DELAY_S = 0.56
_FRAME = RATE_HZ // 50
_SPAN = int(0.128 * RATE_HZ)
_END = int(0.04 * RATE_HZ)
_LAGS = int(MOST_DELAY_S * RATE_HZ)
_PLAYED = _SPAN + _LAGS
_FFT = 8192
_WHITENING = 0.8
_PEAK = 7.0
"""Standard deviations by which a delay has to stand out; between two voices 5 is rare."""
_EXPLAINED = 0.4
"""Share of what was heard that an echo explains at least."""
_NEAR = 12
"""Samples by which a known delay may be off."""
_LOUDER = 4.0
"""Power by which what is heard may exceed what the known echo path gives."""
_JOINED = 2.0
"""The same for the last 40 ms alone, where a voice has just begun."""
_NO_LOUDER = 0.6
"""... and up to which it may be an echo that cannot be made out."""
_QUIET = 1e-7
"""Power (full scale is 1) below which nothing was played, or heard."""
_GAP_S = 0.03


class EchoGuard:
    """Both sides of one call. Feed it, then ask ``is_echo`` when a voice is heard."""

    def __init__(self) -> None:
        self._in = np.zeros(_SPAN, np.float32)
        self._out = np.zeros(_PLAYED, np.float32)
        self._played_until_s = -1.0
        # what came since the last question: mostly there is none
        self._new_in: deque[bytes] = deque(maxlen=_SPAN // _FRAME + 1)
        self._new_out: deque[tuple[bytes, float]] = deque(maxlen=_PLAYED // _FRAME + 1)
        self._lag: int | None = None
        self._path = 0.0  # power of the echo path at that delay

    @property
    def delay_s(self) -> float | None:
        """The delay of the echo, once one was heard."""
        return None if self._lag is None else self._lag / RATE_HZ

    def heard(self, pcm: bytes) -> None:
        """Take 20 ms of the caller, 16 kHz."""
        self._new_in.append(pcm)

    def played(self, pcm: bytes, at_s: float) -> None:
        """Take 20 ms that went to the caller, 24 kHz, at ``at_s`` by the clock that ``is_echo`` is asked by."""
        self._new_out.append((pcm, at_s))

    def is_echo(self, at_s: float) -> bool:
        """Whether what was heard last, up to ``at_s``, is what was played."""
        self._take_up(at_s)
        heard = self._in
        power = float(np.mean(heard**2))
        if power < _QUIET or float(np.mean(self._out**2)) < _QUIET:
            return False
        if self._lag is not None and self._explains(self._lag, near=_NEAR):
            return True
        lag = self._find_lag()
        return lag is not None and self._explains(lag, near=2)

    def _explains(self, lag: int, near: int) -> bool:
        """Whether the played sound of ``lag`` before explains what was heard; learns the path where it does."""
        best, at, power = 0.0, lag, 0.0
        heard = self._in[-_SPAN:]
        heard_power = float(heard @ heard)
        for candidate in range(max(0, lag - near), min(_LAGS, lag + near) + 1):
            start = _LAGS - candidate
            played = self._out[start : start + _SPAN]
            played_power = float(played @ played)
            if played_power <= _QUIET * _SPAN:
                continue
            share = float(heard @ played) ** 2 / (played_power * heard_power)
            if share > best:
                best, at, power = share, candidate, played_power
        if best < _EXPLAINED:
            # a faint echo in the noise of the line: no louder than the path gives, so nobody speaks over it
            return self._lag is not None and heard_power <= _NO_LOUDER * self._path * self._loudest(lag, near)
        path = heard_power / power
        if self._lag is not None and abs(at - self._lag) <= near and path > _LOUDER * self._path:
            return False  # as loud as no echo of this call: somebody speaks with it
        if self._lag is not None and self._someone_joins(at):
            return False
        self._path = path if self._lag is None else 0.9 * self._path + 0.1 * path
        self._lag = at
        return True

    def _someone_joins(self, lag: int) -> bool:
        """Whether the very end of what was heard is louder than the echo, and not the echo."""
        heard = self._in[-_END:]
        played = self._out[_PLAYED - lag - _END : _PLAYED - lag]
        heard_power, played_power = float(heard @ heard), float(played @ played)
        around = (
            self._loudest(lag, 0) * _END / _SPAN
        )  # at the end of a word noise is louder than the echo, but not loud
        if heard_power <= _JOINED * self._path * max(played_power, around):
            return False
        return float(heard @ played) ** 2 < _EXPLAINED * heard_power * played_power

    def _loudest(self, lag: int, near: int) -> float:
        """Return the energy of what was played ``lag`` before; of the loudest stretch, because a VAD hears its end late."""
        end = min(_PLAYED, _LAGS - lag + near + _SPAN)
        starts = (max(0, end - earlier - _SPAN - 2 * near) for earlier in (0, _SPAN, 2 * _SPAN))
        stretches = (self._out[start : start + _SPAN + 2 * near] for start in starts)
        return max(float(stretch @ stretch) for stretch in stretches)

    def _find_lag(self) -> int | None:
        """Return the delay at which what was heard stands out in what was played."""
        heard = np.fft.rfft(self._in, _FFT)
        played = np.fft.rfft(self._out, _FFT)
        cross = played * np.conj(heard)
        cross /= np.abs(cross) ** _WHITENING + 1e-12
        found = np.fft.irfft(cross, _FFT)[: _LAGS + 1]
        at = int(np.argmax(found))
        if found[at] < _PEAK * float(np.std(found)):
            return None
        return _LAGS - at

    def _take_up(self, at_s: float) -> None:
        for pcm, played_s in self._new_out:
            self._fill_gap(played_s)
            self._append(_slowed(pcm, PLAYED_RATE_HZ // RATE_HZ))
        self._fill_gap(at_s)
        slowed = [_slowed(pcm, HEARD_RATE_HZ // RATE_HZ) for pcm in self._new_in]
        self._in = np.concatenate((self._in, *slowed))[-_SPAN:]
        self._new_in.clear()
        self._new_out.clear()

    def _fill_gap(self, at_s: float) -> None:
        """Nothing was played between the last piece and ``at_s``."""
        gap_s = at_s - self._played_until_s
        if gap_s > _GAP_S:
            self._append(np.zeros(min(_PLAYED, int(gap_s * RATE_HZ)), np.float32))
            self._played_until_s = at_s

    def _append(self, samples: Floats) -> None:
        self._out = np.concatenate((self._out, samples))[-_PLAYED:]
        self._played_until_s += len(samples) / RATE_HZ


def _slowed(pcm: bytes, factor: int) -> Floats:
    """Return the sound at a ``factor``-th of its rate, as floats of full scale 1."""
    samples = np.frombuffer(pcm, "<i2")
    whole = len(samples) // factor * factor
    return samples[:whole].astype(np.float32).reshape(-1, factor).mean(axis=1) / np.float32(32_768)
