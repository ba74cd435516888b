"""Signals to send through media and to know again: tones, speech-like noise, and how alike two sounds are."""

import asyncio
import heapq

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float64]


def tone(hz: float, seconds: float, rate_hz: int, level: float = 8000) -> bytes:
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return (level * np.sin(2 * np.pi * hz * t)).astype("<i2").tobytes()


def babble(seconds: float, rate_hz: int, seed: int = 1) -> bytes:
    """Return speech-like sound that never repeats: low-passed noise with the loudness of syllables."""
    rng = np.random.default_rng(seed)
    count = round(seconds * rate_hz)
    spectrum = np.fft.rfft(rng.standard_normal(count))
    hz = np.fft.rfftfreq(count, 1 / rate_hz)
    spectrum *= (hz > 150) / (1 + (hz / 900) ** 4)
    sound = np.fft.irfft(spectrum, count)
    syllables = rng.uniform(0.1, 1, round(seconds * 8) + 2)
    envelope = np.interp(np.arange(count), np.arange(len(syllables)) * (rate_hz // 8), syllables)
    sound *= envelope
    return (6000 * sound / np.abs(sound).std()).clip(-32000, 32000).astype("<i2").tobytes()


def samples(pcm: bytes | bytearray) -> Samples:
    return np.frombuffer(bytes(pcm), dtype="<i2").astype(np.float64)


def likeness(heard: bytes | bytearray | Samples, source: bytes | Samples) -> float:
    """Return the peak of the normalised cross-correlation: 1 is the same sound, wherever in ``heard`` it begins."""
    long = heard if isinstance(heard, np.ndarray) else samples(heard)
    short = source if isinstance(source, np.ndarray) else samples(source)
    size = 1 << (len(long) + len(short) - 1).bit_length()
    cross = np.fft.irfft(np.fft.rfft(long, size) * np.conj(np.fft.rfft(short, size)), size)[: len(long)]
    energy = np.concatenate(([0.0], np.cumsum(long**2)))
    ends = np.minimum(np.arange(len(long)) + len(short), len(long))
    local = np.sqrt((energy[ends] - energy[: len(long)]).clip(1e-9)) * np.sqrt((short**2).sum() + 1e-9)
    enough = ends - np.arange(len(long)) >= min(len(short), len(long)) * 0.95
    return float((np.abs(cross) / local)[enough].max())


def peak_hz(sound: Samples, rate_hz: int) -> float:
    """Return the loudest frequency."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(spectrum.argmax() * rate_hz / len(sound))


def quiet_ms(sound: Samples, rate_hz: int, level: float = 1000) -> float:
    """Return how much of ``sound`` lies below ``level``, looked at in steps of 10 ms."""
    step = rate_hz // 100
    steps = sound[: len(sound) // step * step].reshape(-1, step)
    return float(10 * (np.sqrt((steps**2).mean(axis=1)) < level).sum())


def rms(sound: Samples) -> float:
    return float(np.sqrt((sound**2).mean()))


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to whatever is due next: hours of timers pass in no time."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0
        real_select = self._selector.select  # type: ignore[attr-defined]  # asyncio's own selector loop has it

        def select(timeout: float | None) -> object:
            if timeout is not None and timeout > 0:
                self.now_s = max(self.now_s, heapq.nsmallest(1, self._scheduled)[0].when() if self._scheduled else 0)  # type: ignore[attr-defined]
            return real_select(0)

        self._selector.select = select  # type: ignore[attr-defined]

    def time(self) -> float:
        return self.now_s
