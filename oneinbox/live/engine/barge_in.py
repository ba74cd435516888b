"""Barge-in: the caller speaks while the agent does.

In steps that can be taken back: at the first sound the agent ducks (goes on, quietly); sound of ``confirm_s`` makes it
yield (it stops at that sample and keeps what it had to say); words end what it was saying. When no words come it
goes on at the very sample where it stopped, at full level. So a cough costs a dip, and a caller who has no partial transcripts
still silences the agent at once.

Words are not all alike. An acknowledgement ("mm-hm", "okay") is a listener's, and the agent goes on. A phrase that means
"stop" ends its speech at once. Any other words do when there are ``least_words`` of them.

``interruption_sensitivity`` s of 0-1 sets ``confirm_s`` in even ratios on either side of the middle, ``0.128 s * 5 ** (1 - 2 s)``
below and ``0.128 s * 2 ** (1 - 2 s)`` above (0.64 s at 0, 0.128 s at 0.5, 0.064 s at 1), and ``least_words``: 3 below 0.2, 2 below
0.4, else 1.
"""

from collections.abc import Iterable
from enum import Enum

import msgspec

from oneinbox.live.engine.endpointing import normalised
from oneinbox.live.engine.phrasebook import ENGLISH

_MIDDLE_CONFIRM_S = 0.128


class Remark(Enum):
    """What words of the caller are to an agent that speaks."""

    NONE = "none"
    """Nothing yet: no words, or too few to stop for."""
    ACKNOWLEDGEMENT = "acknowledgement"
    STOP = "stop"
    """The caller wants the floor."""


class BargeIn(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of one call, in seconds, and the rules that use them. Phrases are ``normalised``."""

    confirm_s: float = _MIDDLE_CONFIRM_S
    """Sound this long makes the agent yield."""
    least_words: int = 1
    duck_gain: float = 0.2
    """The level at which a ducked agent goes on."""
    speech_s: float = 0.6
    """Sound this long surely is speech: its transcript is waited for ..."""
    speech_wait_s: float = 2.0
    """... for this long, at most."""
    shortest_wait_s: float = 0.25
    longest_wait_s: float = 1.0
    """A shorter sound is given this long, at least and at most, to turn out to be words."""
    answer_s: float = 1.0
    """An acknowledgement may turn out to be an answer when the agent falls silent within this time."""
    acknowledgements: tuple[str, ...] = ()
    interruptions: tuple[str, ...] = ()

    @classmethod
    def from_sensitivity(
        cls,
        sensitivity: float,
        *,
        acknowledgements: Iterable[str] = ENGLISH.acknowledgements,
        interruptions: Iterable[str] = ENGLISH.interruptions,
    ) -> "BargeIn":
        """Return the parameters for an ``interruption_sensitivity`` of 0-1 (values outside are cut to it)."""
        share = min(1.0, max(0.0, sensitivity))
        return cls(
            confirm_s=_MIDDLE_CONFIRM_S * (5 if share < 0.5 else 2) ** (1 - 2 * share),
            least_words=3 if share < 0.2 else 2 if share < 0.4 else 1,
            acknowledgements=_phrases(acknowledgements),
            interruptions=_phrases(interruptions),
        )

    def judge(self, text: str) -> Remark:
        """Judge the caller's words of the open turn, said while the agent speaks."""
        said = normalised(text)
        if not said:
            return Remark.NONE
        if any(f" {phrase} " in f" {said} " for phrase in self.interruptions):
            return Remark.STOP
        if self._acknowledges(said):
            return Remark.ACKNOWLEDGEMENT
        return Remark.STOP if len(said.split()) >= self.least_words or _unspaced(said) else Remark.NONE

    def wait_s(self, *, sound_s: float, final_delay_s: float, partials: bool) -> float:
        """Return how long after a sound of ``sound_s`` a yielded agent waits for words before it goes on.

        ``final_delay_s`` is how long this call's recogniser has been taking. One that gives ``partials`` would have
        given some by the end of the sound: it is not waited for.
        """
        if sound_s >= self.speech_s:
            return self.speech_wait_s
        if partials:
            return self.shortest_wait_s
        return min(self.longest_wait_s, max(self.shortest_wait_s, 1.25 * final_delay_s))

    def _acknowledges(self, said: str) -> bool:
        """Whether the words are acknowledgements and nothing else, however many."""
        rest = said
        while rest:
            longest = max(
                (phrase for phrase in self.acknowledgements if f"{rest} ".startswith(f"{phrase} ")), key=len, default=""
            )
            if not longest:
                return False
            rest = rest[len(longest) :].lstrip()
        return True


def _phrases(phrases: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, map(normalised, phrases))))


def _unspaced(text: str) -> bool:
    """Whether the text is of a language that puts no spaces between words, where counting them means nothing."""
    return any("\u3040" <= char <= "\u9fff" or "\u0e00" <= char <= "\u0eff" for char in text)
