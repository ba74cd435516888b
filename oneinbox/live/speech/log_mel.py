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
_BLOCK = 100


def log_mel(samples: Floats) -> Floats:
    """Return ``[80, len(samples) // 160]`` of ``samples`` (any scale: they are brought to mean 0 and variance 1)."""
    sound = samples.astype(np.float64)
    sound -= sound.mean()
    sound /= np.sqrt(sound.var() + 1e-7)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(sound, _WINDOW // 2, mode="reflect"), _WINDOW)[::HOP]
    count = len(samples) // HOP
    bands = np.empty((BANDS, count))
    for start in range(0, count, _BLOCK):  # block by block, which takes a megabyte less each of five times
        end = min(start + _BLOCK, count)
        spectra = np.fft.rfft(frames[start:end] * _hann(), axis=1).T
        _to_bands(np.ascontiguousarray(spectra.real**2 + spectra.imag**2), bands[:, start:end])
    np.log10(np.maximum(_FLOOR, bands, out=bands), out=bands)
    np.maximum(bands, bands.max() - _RANGE, out=bands)
    return ((bands + 4.0) / 4.0).astype(np.float32)


def _to_bands(spectra: npt.NDArray[np.float64], bands: npt.NDArray[np.float64]) -> None:
    """Sum the power spectra (``[bins, frames]``) up.

    Band by band, because each covers a few bins, and not as the product of two matrices: that is BLAS, whose threads for the
    other cores turn idly for some 25 ms after each, as much CPU as the model itself takes (measured).
    """
    for band, (low, weights) in enumerate(_mel_filters()):
        np.einsum("bf,b->f", spectra[low : low + len(weights)], weights, out=bands[band])


@functools.cache
def _hann() -> npt.NDArray[np.float64]:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)


@functools.cache
def _mel_filters() -> list[tuple[int, npt.NDArray[np.float64]]]:
    """Return of each band its first bin and the weights from there: triangles between neighbours, each of area 1 in Hz."""
    edges = _to_hz(np.linspace(0.0, _to_mel(RATE_HZ / 2), BANDS + 2))
    bins = np.arange(_WINDOW // 2 + 1) * RATE_HZ / _WINDOW
    rising = (bins[:, None] - edges[None, :-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[None, 2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))
    filters: list[tuple[int, npt.NDArray[np.float64]]] = []
    for column in weights.T:
        used = np.flatnonzero(column)
        filters.append((int(used[0]), np.ascontiguousarray(column[used[0] : used[-1] + 1])))
    return filters


# Slaney's scale: 15 mel a kHz up to 1 kHz, from there 27 mel for each factor of 6.4
_STEP_HZ = 200 / 3
_KNEE_HZ = 1000.0
_KNEE_MEL = _KNEE_HZ / _STEP_HZ
_LOG_STEP = np.log(6.4) / 27.0


def _to_mel(hz: float) -> float:
    return float(_KNEE_MEL + np.log(hz / _KNEE_HZ) / _LOG_STEP) if hz >= _KNEE_HZ else hz / _STEP_HZ


def _to_hz(mels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(mels < _KNEE_MEL, mels * _STEP_HZ, _KNEE_HZ * np.exp(_LOG_STEP * (mels - _KNEE_MEL)))
