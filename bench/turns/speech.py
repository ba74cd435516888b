"""What the callers say: Debian's human Asterisk prompts, cut by energy, and sounds that are not words.

Prompts: one speaker (Allison Smith), recorded at 8 kHz, brought to 16 kHz. The end of speech is the last 10 ms above 2 % of
the clip's loudest 10 ms. Noise is synthesised: a cough is two bursts of low-passed noise with a sharp onset and a fading
tail; a knock is three such bursts of 60 ms; "mm-hm" is flite's voice humming it.
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.turns.clips import Clip
from bench.turns.script import HEARD_RATE_HZ
from tests.support.speech import flite, prompt

Samples = npt.NDArray[np.float64]

SHORT_QUESTIONS = {
    "vm-enter-num-to-call": "please enter the number you wish to call",
    "confbridge-invalid": "you have entered an invalid option",
    "vm-nobodyavail": "nobody is available to take your call at the moment",
    "pls-hold-while-try": "please hold while we try to connect you",
}
LONG_QUESTIONS = {
    "conf-placeintoconf": "you will now be placed into the conference",
    "confbridge-only-participant": "you are currently the only participant in the conference",
    "conf-waitforleader": "the conference will begin when the leader arrives",
}
INTERRUPTIONS = {
    "please-try-call-later": "please try your call again later",
    "vm-reachoper": "press zero to reach an operator",
    "transfer": "please hold while I try that extension",
}
BROKEN_IN_TWO = {  # a sentence, and its words before and after the pause
    "vm-nobodyavail": ("nobody is available to take", "your call at the moment"),
    "pls-hold-while-try": ("please hold while we", "try to connect you"),
    "vm-dialout": ("please wait while I", "connect your call"),
    "vm-enter-num-to-call": ("please enter the number", "you wish to call"),
}
PAUSES_S = (0.4, 0.8)
_FADE = 80


def _speech(pcm: bytes) -> Samples:
    """Cut silence off both ends."""
    samples = np.frombuffer(pcm, np.int16).astype(np.float64)
    step = HEARD_RATE_HZ // 100
    level = np.sqrt((samples[: len(samples) // step * step].reshape(-1, step) ** 2).mean(axis=1))
    voiced = np.flatnonzero(level > 0.02 * level.max())
    return samples[voiced[0] * step : (voiced[-1] + 1) * step]


def _quietest(samples: Samples, share: float) -> int:
    """Return where near ``share`` of the clip 40 ms are the quietest: between two words."""
    width = HEARD_RATE_HZ // 25
    power = np.convolve(samples**2, np.ones(width) / width, "same")
    first, last = int((share - 0.1) * len(samples)), int((share + 0.1) * len(samples))
    return first + int(power[first:last].argmin())


def _burst(dice: np.random.Generator, seconds: float, tail: float, level: float) -> Samples:
    noise = np.convolve(dice.normal(size=int(seconds * HEARD_RATE_HZ)), np.ones(6) / 6, "same")
    rise = np.minimum(1.0, np.arange(len(noise)) / (0.008 * HEARD_RATE_HZ))
    return level * noise * rise * np.exp(-np.arange(len(noise)) / (tail * HEARD_RATE_HZ))


def _cough(dice: np.random.Generator) -> Samples:
    gap = np.zeros(int(0.09 * HEARD_RATE_HZ))
    return np.concatenate((_burst(dice, 0.25, 0.06, 9000), gap, _burst(dice, 0.3, 0.08, 7000)))


def _knock(dice: np.random.Generator) -> Samples:
    gap = np.zeros(int(0.12 * HEARD_RATE_HZ))
    one = _burst(dice, 0.06, 0.015, 15_000)
    return np.concatenate((one, gap, one, gap, one))


def make(folder: Path) -> None:
    """Write every clip as raw 16 kHz PCM, and ``clips.json`` that describes them."""
    clips: list[Clip] = []

    def keep(clip: Clip, samples: Samples) -> None:
        (folder / f"{clip.name}.raw").write_bytes(np.clip(samples, -32768, 32767).astype("<i2").tobytes())
        clips.append(clip)

    for kind, texts in (("short", SHORT_QUESTIONS), ("long", LONG_QUESTIONS), ("interruption", INTERRUPTIONS)):
        for name, text in texts.items():
            samples = _speech(prompt(name))
            seconds = len(samples) / HEARD_RATE_HZ
            keep(Clip(f"{kind}-{name}", kind, seconds, [(0.0, seconds, text)]), samples)
    for pause_s in PAUSES_S:
        for name, (head, tail) in BROKEN_IN_TWO.items():
            samples = _speech(prompt(name))
            cut = _quietest(samples, len(head) / (len(head) + len(tail)))
            fade = np.linspace(1.0, 0.0, _FADE)
            before, after = samples[:cut].copy(), samples[cut:].copy()
            before[-_FADE:] *= fade
            after[:_FADE] *= fade[::-1]
            before_s, seconds = len(before) / HEARD_RATE_HZ, len(samples) / HEARD_RATE_HZ + pause_s
            stretches = [(0.0, before_s, head), (before_s + pause_s, seconds, tail)]
            kind = f"pause{int(pause_s * 1000)}"
            silence = np.zeros(int(pause_s * HEARD_RATE_HZ))
            keep(Clip(f"{kind}-{name}", kind, seconds, stretches), np.concatenate((before, silence, after)))
    for number in range(4):
        dice = np.random.default_rng(number)
        for kind, noise in (("cough", _cough(dice)), ("knock", _knock(dice))):
            keep(Clip(f"{kind}-{number}", kind, len(noise) / HEARD_RATE_HZ), noise)
    for voice in ("slt", "rms", "awb"):
        samples = _speech(flite("mm hmm", voice))
        seconds = len(samples) / HEARD_RATE_HZ
        keep(Clip(f"mm-hm-{voice}", "mm-hm", seconds, [(0.0, seconds, "Mm-hm.")]), samples)
    (folder / "clips.json").write_text(json.dumps([asdict(clip) for clip in clips], indent=1))
