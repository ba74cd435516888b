"""pocketsphinx restricted to what can be said just now, with a second opinion that rejects everything else.

A grammar alone turns any speech into some allowed phrase. So two decoders hear the same audio: one follows the grammar
of the present state, the other any sequence of English phones. Where the grammar explains the speech much worse than
free phones do (acoustic log-likelihood per frame of speech), something else was said. Silence is left out of the
comparison: it fits both, and would dilute it.

Everything here blocks: see :mod:`oneinbox.live.providers.demo.ear` for the threads it runs in.
"""

import functools
import math
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pocketsphinx

from oneinbox.live.providers.demo.flow import UNCLEAR, sayable
from oneinbox.live.providers.demo.intents import INTENTS
from oneinbox.live.providers.demo.script import STATES

THRESHOLD = -3.7
"""A phrase counts when the grammar is at most this much worse per frame than free phones (fitted on flite's voices)."""
MIN_LOUD_FRAMES = 30
"""A sound of fewer loud frames (10 ms) than this that is no phrase is a cough or a click, not a sentence."""
_FRAME_SAMPLES = 160
_LOUD_OVER_FLOOR = 3.0  # 10 dB
_LOUD_AT_LEAST = 60.0  # of 32768: quieter than any voice at a microphone
_UNEXPLAINED_COST = 5.0
"""What speech costs that the grammar takes for silence: a phrase found inside a longer sentence was not said."""
_SCORE_SCALE = 1024
"""pocketsphinx gives scores as a probability whose logarithm is 1/1024 of the acoustic log-likelihood."""
_CONFIDENCE_SLOPE = 1.5
_FIRST_MEAN = "40,3,-1,0,0,0,0,0,0,0,0,0,0"
"""The cepstral mean a call begins with, before anything is known of its microphone: pocketsphinx's own."""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What an utterance was: a phrase, speech that is none (``UNCLEAR``), or no speech at all (empty)."""

    text: str
    confidence: float
    score: float | None
    """Grammar less free phones, per frame; ``None`` where the grammar found nothing."""
    loud_frames: int
    """How long it was clearly louder than the background, in frames of 10 ms."""


class _Word(msgspec.Struct, frozen=True):
    """A word, or a phone, and where it lies; ``score`` is its acoustic log-likelihood."""

    text: str
    first: int
    last: int
    score: float

    @property
    def spoken(self) -> bool:
        return not self.text.startswith(("<", "[", "+", "(")) and self.text != "SIL"


class Recogniser:
    """One pair of decoders. It listens to one utterance at a time, from any thread."""

    def __init__(self) -> None:
        pocketsphinx.set_loglevel("FATAL")
        model = Path(pocketsphinx.get_model_path("en-us"))
        with tempfile.TemporaryDirectory() as folder:
            dictionary = Path(folder) / "demo.dict"
            dictionary.write_text(_pronunciations(model / "cmudict-en-us.dict"), encoding="utf-8")
            self._grammar = pocketsphinx.Decoder(
                hmm=str(model / "en-us"),
                dict=str(dictionary),
                lm=None,
                loglevel="FATAL",
                cmn="live",
                bestpath=False,  # the best path through a lattice may stop in the middle of a phrase
                beam=1e-80,
                wbeam=1e-60,
                pbeam=1e-80,
            )
            self._phones = pocketsphinx.Decoder(
                hmm=str(model / "en-us"),
                dict=str(dictionary),
                lm=None,
                allphone=str(model / "en-us-phone.lm.bin"),
                loglevel="FATAL",
                cmn="live",
                beam=1e-20,
                pbeam=1e-20,
                lw=2.0,
                pip=0.3,
            )
        for state in STATES:
            self._grammar.add_jsgf_string(state, _jsgf(sayable(state)))
        self._allowed: dict[str, str] = {}
        self._running = False
        self._levels: list[npt.NDArray[np.float64]] = []

    def start(self, state: str, mean: str | None) -> None:
        """Begin an utterance in ``state``; ``mean`` is what the last one of the same call gave."""
        if self._running:
            self._end()
        self._allowed = sayable(state)
        self._levels = []
        self._grammar.activate_search(state)
        for decoder in (self._grammar, self._phones):
            decoder.start_stream()  # forget the background noise of whoever was heard before
            decoder.set_cmn(mean or _FIRST_MEAN)
            decoder.start_utt()
        self._running = True

    def feed(self, pcm: bytes) -> str:
        """Take 16 kHz audio; return the words so far, empty while it is not at all certain that it is they."""
        self._grammar.process_raw(pcm)
        self._phones.process_raw(pcm)
        self._levels.append(_levels(pcm))
        hypothesis = self._grammar.hyp()
        if hypothesis is None or not hypothesis.hypstr:
            return ""
        score = self._compare()
        return hypothesis.hypstr if score is not None and score >= THRESHOLD else ""

    def finish(self) -> tuple[Heard, str]:
        """End the utterance; return what it was, and the mean for the call's next one."""
        self._end()
        hypothesis = self._grammar.hyp()
        score = self._compare()
        loud = self._loud_frames()
        text = hypothesis.hypstr if hypothesis is not None else ""
        if text not in self._allowed:
            score = None
        confidence = 0.0 if score is None else 1 / (1 + math.exp(-_CONFIDENCE_SLOPE * (score - THRESHOLD)))
        if score is None or score < THRESHOLD:
            text = UNCLEAR if loud >= MIN_LOUD_FRAMES else ""
        heard = Heard(text=text, confidence=round(confidence, 3), score=score, loud_frames=loud)
        return heard, self._grammar.get_cmn(update=True)

    def _loud_frames(self) -> int:
        levels = np.concatenate([*self._levels, np.zeros(0)])
        if not len(levels):
            return 0
        floor = float(np.percentile(levels, 10))
        return int(np.count_nonzero(levels > max(_LOUD_OVER_FLOOR * floor, _LOUD_AT_LEAST)))

    def _end(self) -> None:
        self._running = False
        self._grammar.end_utt()
        self._phones.end_utt()

    def _compare(self) -> float | None:
        """Return how much better than free phones the grammar explains the speech, per frame (it is never positive)."""
        free: dict[int, float] = {}
        spoken: set[int] = set()
        for phone in _words(self._phones):
            frames = range(phone.first, phone.last + 1)
            free.update(dict.fromkeys(frames, phone.score / len(frames)))
            if phone.spoken:
                spoken.update(frames)
        difference = 0.0
        explained: set[int] = set()
        for word in _words(self._grammar):
            if word.spoken:
                frames = range(word.first, word.last + 1)
                difference += word.score - sum(free.get(frame, 0.0) for frame in frames)
                explained.update(frames)
        if not spoken & explained:
            return None
        unexplained = len(spoken - explained) / len(spoken)
        return difference / len(spoken & explained) - _UNEXPLAINED_COST * unexplained


def _levels(pcm: bytes) -> npt.NDArray[np.float64]:
    """Return the root mean square of each whole 10 ms."""
    samples = np.frombuffer(pcm, dtype="<i2")
    whole = len(samples) // _FRAME_SAMPLES * _FRAME_SAMPLES
    frames: npt.NDArray[np.float64] = samples[:whole].reshape(-1, _FRAME_SAMPLES).astype(np.float64)
    return np.sqrt(np.mean(frames**2, axis=1))


def _words(decoder: pocketsphinx.Decoder) -> Iterable[_Word]:
    """Return the segments of the decoder's present best path."""
    return [
        _Word(
            segment.word,
            segment.start_frame,
            segment.end_frame,
            math.log(segment.ascore) * _SCORE_SCALE if segment.ascore > 0 else -1e5,
        )
        for segment in decoder.seg() or ()
        if segment.end_frame >= segment.start_frame
    ]


def _jsgf(phrases: Iterable[str]) -> str:
    """Return a grammar of the phrases that the dictionary has every word of, in the JSpeech Grammar Format."""
    return f"#JSGF V1.0; grammar demo; public <phrase> = {' | '.join(phrases)} ;"


@functools.cache
def _pronunciations(dictionary: Path) -> str:
    """Return the lines of the dictionary that the demo needs: a few hundred words load in a tenth of the time.

    Raises ``ValueError`` for a word of the script that cannot be spoken.
    """
    wanted = {word for intent in INTENTS.values() for phrase in intent.phrases for word in phrase.split()}
    lines: list[str] = []
    found: set[str] = set()
    with dictionary.open(encoding="utf-8") as file:
        for line in file:
            word = line.split(maxsplit=1)[0].partition("(")[0]
            if word in wanted:
                found.add(word)
                lines.append(line)
    if missing := wanted - found:
        raise ValueError(f"the demo's script has words without a pronunciation: {', '.join(sorted(missing))}")
    return "".join(lines)
