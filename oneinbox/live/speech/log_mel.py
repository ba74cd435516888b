"""The log-mel spectrogram that Whisper's models, and smart-turn with them, are fed.

Of 16 kHz sound: Hann windows of 25 ms every 10 ms, power spectra, 80 triangular mel bands of equal area (Slaney's scale) from
0 to 8 kHz, log10, cut to 8 below the maximum and scaled to about -1..1. Source: A. Radford et al., "Robust Speech
Recognition via Large-Scale Weak Supervision" (2022), section 2.2; M. Slaney, "Auditory Toolbox" (1998).
"""

import functools

import numpy as np
import numpy.typing as npt

from oneinbox.live.speech.onnx import Floats

RATE_HZ = 16_000
BANDS = 80
HOP = 160
_WINDOW = 400
_FLOOR = 1e-10
_RANGE = 8.0


def log_mel(samples: Floats) -> Floats:
    """Return ``[80, len(samples) // 160]`` of ``samples`` (any scale: they are brought to mean 0 and variance 1)."""
    sound = samples.astype(np.float64)
    sound = (sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)
    padded = np.pad(sound, _WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::HOP][: len(samples) // HOP]
    spectra = np.abs(np.fft.rfft(frames * _hann(), axis=1)) ** 2
    bands = np.log10(np.maximum(_FLOOR, spectra @ _mel_filters())).T
    bands = np.maximum(bands, bands.max() - _RANGE)
    return ((bands + 4.0) / 4.0).astype(np.float32)


@functools.cache
def _hann() -> npt.NDArray[np.float64]:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)


@functools.cache
def _mel_filters() -> npt.NDArray[np.float64]:
    """Return ``[bins, bands]``: triangles between neighbours on the mel scale, each of area 1 in Hz."""
    edges = _to_hz(np.linspace(0.0, _to_mel(RATE_HZ / 2), BANDS + 2))
    bins = np.arange(_WINDOW // 2 + 1) * RATE_HZ / _WINDOW
    rising = (bins[:, None] - edges[None, :-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[None, 2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))


# Slaney's scale: 15 mel a kHz up to 1 kHz, from there 27 mel for each factor of 6.4
_STEP_HZ = 200 / 3
_KNEE_HZ = 1000.0
_KNEE_MEL = _KNEE_HZ / _STEP_HZ
_LOG_STEP = np.log(6.4) / 27.0


def _to_mel(hz: float) -> float:
    return float(_KNEE_MEL + np.log(hz / _KNEE_HZ) / _LOG_STEP) if hz >= _KNEE_HZ else hz / _STEP_HZ


def _to_hz(mels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(mels < _KNEE_MEL, mels * _STEP_HZ, _KNEE_HZ * np.exp(_LOG_STEP * (mels - _KNEE_MEL)))
