"""What the callers say: Debian's human Asterisk prompts, cut by energy, and sounds that are not words.

Prompts: one speaker (Allison Smith), recorded at 8 kHz, brought to 16 kHz. The end of speech is the last 10 ms above 2 % of
the clip's loudest 10 ms. Not words: "cough" is synthetic (noise and glottal pulses through formants, four of them; without
the pulses Silero hears nothing in it) or flite's "ahem" (three voices); "noise" is a second of a recording of screaming monkeys
(Asterisk's ``tt-monkeys``, four places of it), as hard a noise as there is, because a voice makes it; "mm-hm" is flite's hum.
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


def _formant(sound: Samples, hz: float, width_hz: float) -> Samples:
    """Ring at ``hz``, as a throat does."""
    radius = np.exp(-np.pi * width_hz / HEARD_RATE_HZ)
    one, two = 2 * radius * np.cos(2 * np.pi * hz / HEARD_RATE_HZ), -(radius**2)
    rung, before, last = np.zeros_like(sound), 0.0, 0.0
    for at, value in enumerate(sound):
        rung[at] = value + one * last + two * before
        before, last = last, rung[at]
    return rung


def _cough(seed: int) -> Samples:
    """Two bursts of noise and glottal pulses through three formants, sharp at first, fading out."""
    dice = np.random.default_rng(seed)
    bursts: list[Samples] = []
    for seconds, tail_s in ((0.28, 0.09), (0.32, 0.12)):
        at_s = np.arange(int(seconds * HEARD_RATE_HZ)) / HEARD_RATE_HZ
        phase = np.cumsum(dice.uniform(140, 220) * (1 - 0.3 * at_s / seconds)) / HEARD_RATE_HZ
        pulses = np.where(np.diff(np.floor(phase), prepend=0) > 0, 12.0, 0.0)
        source = 0.2 * dice.normal(size=len(at_s)) + 0.8 * pulses
        sound = _formant(source, 700, 130) + 0.6 * _formant(source, 1250, 150) + 0.3 * _formant(source, 2600, 250)
        sound *= np.minimum(1, at_s / 0.01) * np.exp(-at_s / tail_s)
        bursts += [12_000 * sound / np.abs(sound).max(), np.zeros(int(0.08 * HEARD_RATE_HZ))]
    return np.concatenate(bursts[:-1])


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
        cough = _cough(number)
        keep(Clip(f"cough-{number}", "cough", len(cough) / HEARD_RATE_HZ), cough)
    for voice in ("slt", "rms", "awb"):
        ahem = _speech(flite("ahem", voice))
        keep(Clip(f"cough-ahem-{voice}", "cough", len(ahem) / HEARD_RATE_HZ), ahem)
    monkeys = np.frombuffer(prompt("tt-monkeys"), np.int16).astype(np.float64)
    for at_s in (4, 6, 10, 12):
        piece = monkeys[at_s * HEARD_RATE_HZ : (at_s + 1) * HEARD_RATE_HZ]
        keep(Clip(f"noise-{at_s}", "noise", 1.0), piece)
    for voice in ("slt", "rms", "awb"):
        samples = _speech(flite("mm hmm", voice))
        seconds = len(samples) / HEARD_RATE_HZ
        keep(Clip(f"mm-hm-{voice}", "mm-hm", seconds, [(0.0, seconds, "Mm-hm.")]), samples)
    (folder / "clips.json").write_text(json.dumps([asdict(clip) for clip in clips], indent=1))
