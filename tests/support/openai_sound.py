"""The ear and the voice of the local OpenAI-wire server.

The ear is no recogniser: it compares how ten bands of the sound rise and fall with recordings whose words are known. That survives Opus,
resampling, other levels and pauses before, between and after, and tells recordings apart; it knows no other words.
"""

import io
import itertools
import shutil
import struct
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.support import speech

RATE_HZ = 16_000
HOP = 320
_FRAME = 640
_EDGES_HZ = np.geomspace(200, 6_000, 11)
_LOUD = 250.0
"""RMS of a 20 ms window that counts as speech (full scale is 32768)."""
_SAME = 0.6
"""Similarity from which on it is the recording; another one's best place in it reaches about half of that."""

Bands = npt.NDArray[np.float64]


class NotWavError(ValueError):
    """The file is not what the recogniser takes."""


def read_wav(file: bytes) -> bytes:
    """Return the audio of a WAV file; raises ``NotWavError`` unless it is whole, 16 kHz mono 16 bit."""
    try:
        with wave.open(io.BytesIO(file)) as wav:
            shape = (wav.getnchannels(), wav.getsampwidth(), wav.getframerate())
            frames, pcm = wav.getnframes(), wav.readframes(wav.getnframes())
    except (wave.Error, EOFError) as error:
        raise NotWavError(f"not a WAV file: {error}") from None
    if shape != (1, 2, RATE_HZ):
        raise NotWavError(f"channels, bytes, rate are {shape}, not (1, 2, {RATE_HZ})")
    if len(pcm) != 2 * frames or not frames:
        raise NotWavError(f"the header says {frames} samples, there are {len(pcm) // 2}")
    return pcm


def speech_s(pcm: bytes) -> float:
    """Return for how long there is sound as loud as speech."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    windows = samples[: len(samples) // HOP * HOP].reshape(-1, HOP)
    loud = np.sqrt((windows**2).mean(axis=1)) > _LOUD if len(windows) else np.zeros(0)
    return float(loud.sum()) * HOP / RATE_HZ


@dataclass(frozen=True)
class Recording:
    """A recording whose words are known, without the silence around it."""

    text: str
    bands: Bands

    @classmethod
    def of(cls, text: str, pcm: bytes) -> "Recording":
        samples = np.frombuffer(pcm, "<i2")
        loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > _LOUD)
        if not len(loud):
            raise ValueError(f"the recording of {text!r} is silent")
        return cls(text, _bands(samples[loud[0] : loud[-1] + 1].tobytes()))


def recognise(pcm: bytes, known: Sequence[Recording]) -> str | None:
    """Return the words of the known recordings in the audio, in the order they are heard; None where there is none."""
    bands = _bands(pcm)
    found: list[tuple[int, int, str]] = []
    candidates: list[tuple[float, int, Recording]] = [
        (score, at, recording)
        for recording in known
        for score, at in [_best_place(recording.bands, bands)]
        if score >= _SAME
    ]
    for _, at, recording in sorted(candidates, key=lambda candidate: -candidate[0]):
        end = at + len(recording.bands)
        if all(min(end, other_end) - max(at, other_at) < 10 for other_at, other_end, _ in found):  # 200 ms
            found.append((at, end, recording.text))
    return " ".join(text for _, _, text in sorted(found)) or None


def _best_place(recording: Bands, bands: Bands) -> tuple[float, int]:
    """Return how alike they are at best, -1..1, and where. The audio may lack a little at both ends of the recording."""
    spare = len(recording) // 5
    bands = np.pad(bands, ((spare, spare), (0, 0)), constant_values=bands.min() if bands.size else 0.0)
    best = (-1.0, 0)
    shape = recording - recording.mean(axis=0)
    size = np.sqrt((shape**2).sum())
    for at in range(len(bands) - len(recording) + 1):
        window = bands[at : at + len(recording)]
        window = window - window.mean(axis=0)
        score = float((shape * window).sum() / (size * np.sqrt((window**2).sum()) + 1e-9))
        if score > best[0]:
            best = (score, at - spare)
    return best


def _bands(pcm: bytes) -> Bands:
    """Return the loudness of ten bands every 20 ms, on a logarithmic scale with a floor."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    count = max(0, (len(samples) - _FRAME) // HOP + 1)
    if not count:
        return np.zeros((0, len(_EDGES_HZ) - 1))
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[::HOP][:count] * np.hanning(_FRAME)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    edges = (_EDGES_HZ * _FRAME / RATE_HZ).astype(int)
    bands = np.stack([power[:, low:high].mean(axis=1) for low, high in itertools.pairwise(edges)], axis=1)
    return np.log10(bands + 1e6)


def voiced(text: str, rate_hz: int) -> bytes:
    """Return ``text`` spoken by flite; tones of a like length where there is no flite."""
    if shutil.which("flite") is not None:
        return speech.flite(text, "slt", rate_hz)
    return tones(max(0.4, 0.065 * len(text)), rate_hz)


def tones(seconds: float, rate_hz: int = RATE_HZ) -> bytes:
    """Return a sound as loud as speech, and with its rhythm, for what needs no words."""
    at = np.arange(int(rate_hz * seconds))
    sound = np.sin(2 * np.pi * 220 * at / rate_hz) * np.sin(2 * np.pi * 4 * at / rate_hz)
    return (8_000 * sound).astype("<i2").tobytes()


def recorded(known: dict[str, str]) -> bytes:
    if "prompt" in known:
        return speech.prompt(known["prompt"])
    if "wav" in known:
        return speech.read_wav(Path(known["wav"]))
    return speech.flite(known["text"], known.get("voice", "slt"))


def wav_header(rate_hz: int) -> bytes:
    """Return the header of a WAV file whose length is not known yet."""
    form = struct.pack("<HHIIHH", 1, 1, rate_hz, 2 * rate_hz, 2, 16)
    extra = b"LIST" + struct.pack("<I", 4) + b"INFO"
    return b"RIFF\xff\xff\xff\xffWAVEfmt " + struct.pack("<I", 16) + form + extra + b"data\xff\xff\xff\xff"
