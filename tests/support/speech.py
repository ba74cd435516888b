"""Speech to test with: flite's voices and Debian's human Asterisk prompts, as 16 kHz mono s16le PCM.

A missing tool skips the test on a user's machine and fails it where ``CI=true``: nothing is left untested unseen.
"""

import gzip
import shutil
import subprocess
import tempfile
import wave
from functools import lru_cache
from pathlib import Path

import numpy as np
import soxr

from tests.support.tools import missing

RATE_HZ = 16_000
FLITE_VOICES = ("slt", "rms", "awb", "kal16")
PROMPTS_DIR = Path("/usr/share/asterisk/sounds/en")
TRANSCRIPTS = Path("/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")


def need_flite() -> None:
    if shutil.which("flite") is None:
        missing("flite")


def need_prompts() -> None:
    if not PROMPTS_DIR.is_dir() or not TRANSCRIPTS.is_file():
        missing("Debian's asterisk-core-sounds-en(-wav)")


def read_wav(path: Path, rate_hz: int = RATE_HZ) -> bytes:
    """Return a mono 16-bit WAV file's audio at ``rate_hz``."""
    with wave.open(str(path)) as file:
        assert file.getnchannels() == 1
        assert file.getsampwidth() == 2
        pcm, from_hz = file.readframes(file.getnframes()), file.getframerate()
    return resample(pcm, from_hz, rate_hz)


def resample(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    if from_hz == to_hz:
        return pcm
    return soxr.resample(np.frombuffer(pcm, np.int16), from_hz, to_hz).astype(np.int16).tobytes()


@lru_cache(maxsize=1024)
def flite(text: str, voice: str = "slt", rate_hz: int = RATE_HZ) -> bytes:
    """Return ``text`` spoken by a flite voice."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True, capture_output=True)
        return read_wav(path, rate_hz)


def silence(seconds: float, rate_hz: int = RATE_HZ) -> bytes:
    return bytes(2 * int(seconds * rate_hz))


def prompt_texts() -> dict[str, str]:
    """Return the transcripts of the human prompts that there is a recording of, by name."""
    texts: dict[str, str] = {}
    for line in gzip.decompress(TRANSCRIPTS.read_bytes()).decode("utf-8", "replace").splitlines():
        name, _, text = line.partition(":")
        if text and not line.startswith(";") and (PROMPTS_DIR / f"{name}.wav").is_file():
            texts[name] = text.strip()
    return texts


def prompt(name: str) -> bytes:
    """Return a human prompt's audio."""
    return read_wav(PROMPTS_DIR / f"{name}.wav")


def frames(pcm: bytes, frame_bytes: int = 640) -> list[bytes]:
    """Cut audio into 20 ms frames, the last one filled with silence."""
    pieces = [pcm[at : at + frame_bytes] for at in range(0, len(pcm), frame_bytes)]
    if pieces:
        pieces[-1] = pieces[-1].ljust(frame_bytes, b"\0")
    return pieces
