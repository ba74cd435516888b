"""Endpointing: deciding that the caller's turn has ended.

Two things must agree: it has been silent for long enough, and the recogniser has given its final transcript of what was
said. Where the final does not come, a cap decides with the words at hand; a later one where they hold nothing of what
was said last. How much silence is enough depends on who else
has an opinion:

=====================================================  ======================  ==================================
who                                                    silence that is enough  at the default
=====================================================  ======================  ==================================
the recogniser itself says that the turn has ended     ``signalled_s``         0.1 s
the end-of-turn model: complete (``complete_at``)      ``complete_s``          0.41 s
nobody, or the model is not sure                       ``silence_s``           0.49 s
the end-of-turn model: incomplete (``incomplete_at``)  ``incomplete_s``        1.2 s
=====================================================  ======================  ==================================

``responsiveness`` r of 0-1 sets ``silence_s``, from patient to quick, in even ratios: ``1.2 s * (1/6) ** r``, that is 1.2 s at
0, 0.49 s at 0.5 and 0.2 s at 1. ``complete_s`` is 0.84 of it and ``incomplete_s`` 2.5 times it, at most 1.2 s.
"""

import unicodedata
from enum import Enum

import msgspec

PATIENT_SILENCE_S = 1.2
QUICK_SILENCE_S = 0.2
_JUDGED_IN_S = 0.1
"""The end-of-turn model takes as long, in a process that has other things to do."""
_COMPLETE_SHARE = 0.84
_INCOMPLETE_SHARE = 2.5


class Verdict(Enum):
    """What endpointing says of a pause."""

    WAIT = "wait"
    ENDED = "ended"
    """The turn has ended, and these are its words."""
    EMPTY = "empty"
    """The recogniser says that there were no words: a cough, a door."""
    STALLED = "stalled"
    """There was speech, and the recogniser has never said what."""


class Pause(msgspec.Struct, frozen=True, gc=False):
    """What is known of a pause in the caller's speech, besides its length."""

    words: bool
    """There are words."""
    final: bool
    """They are the recogniser's last."""
    signalled: bool = False
    """The recogniser says that the turn has ended."""
    told: bool = True
    """The recogniser has told something of the last stretch of speech."""
    complete: float | None = None
    """The end-of-turn model's probability that it has; ``None``: it has not said."""


class Endpointing(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of one call, in seconds, and the rule that uses them."""

    voice_at: float = 0.5
    """Probability at which silence becomes sound ..."""
    silence_at: float = 0.35
    """... and below which sound becomes silence."""
    start_s: float = 0.064
    """Sound this long is speech, and the recogniser is told."""
    fade_s: float = 0.1
    """Sound that was not yet speech is forgotten after this much silence."""
    pause_s: float = 0.2
    """After this much silence the recogniser is told to finish the utterance."""
    silence_s: float = 0.49
    """After this much silence, and with the final transcript, the turn has ended."""
    signalled_s: float = 0.1
    """The same, where the recogniser says so itself."""
    complete_at: float = 0.9
    """Probability from which the model's word that the turn is complete is taken ..."""
    complete_s: float = 0.41
    """... and the silence that is then enough."""
    incomplete_at: float = 0.5
    """Probability below which its word that the turn is not complete is taken ..."""
    incomplete_s: float = 1.2
    """... and the silence that is then needed."""
    final_cap_s: float = 1.2
    """After this much silence the partial transcript is taken where the final has not come."""
    untold_cap_s: float = 1.8
    """The same, where it holds nothing of what was said last (a recogniser without partial transcripts)."""
    stall_s: float = 4.5
    """After this much silence without any word or final the recogniser is held to have failed."""
    stable_s: float = 0.25
    """A partial that has not changed for this long is stable enough to prepare a reply to."""

    @classmethod
    def from_responsiveness(cls, responsiveness: float) -> "Endpointing":
        """Return the parameters for a ``responsiveness`` of 0-1 (values outside are cut to it)."""
        share = min(1.0, max(0.0, responsiveness))
        silence_s = PATIENT_SILENCE_S * (QUICK_SILENCE_S / PATIENT_SILENCE_S) ** share
        return cls(
            silence_s=silence_s,
            pause_s=min(0.2, silence_s),
            complete_s=max(min(0.2, silence_s), _COMPLETE_SHARE * silence_s),
            incomplete_s=max(silence_s, min(PATIENT_SILENCE_S, _INCOMPLETE_SHARE * silence_s)),
        )

    @property
    def asked_s(self) -> float:
        """The silence after which the end-of-turn model is asked: no sooner than needed, for most pauses are short."""
        return max(self.pause_s, self.complete_s - _JUDGED_IN_S)

    def judge(self, quiet_s: float, pause: Pause) -> Verdict:
        """Judge a pause that has lasted ``quiet_s``."""
        if pause.final and not pause.words:
            return Verdict.EMPTY
        if quiet_s < self.judged_after_s(pause):
            return Verdict.WAIT
        return Verdict.ENDED if pause.words else Verdict.STALLED

    def judged_after_s(self, pause: Pause) -> float:
        """Return the silence after which ``judge`` will no longer say ``WAIT``, if nothing else happens."""
        if not pause.words:
            return 0.0 if pause.final else self.stall_s
        if pause.final:
            return self._enough_s(pause)
        return max(self.final_cap_s, self._enough_s(pause)) if pause.told else self.untold_cap_s

    def _enough_s(self, pause: Pause) -> float:
        if pause.signalled:
            return min(self.signalled_s, self.silence_s)
        if pause.complete is None or self.incomplete_at <= pause.complete < self.complete_at:
            return self.silence_s
        return self.complete_s if pause.complete >= self.complete_at else self.incomplete_s


def normalised(text: str) -> str:
    """Return ``text`` as its words alone: case folded, without punctuation, single spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = (
        "" if char in "'\u2019" else char if char.isalnum() or unicodedata.combining(char) else " " for char in folded
    )
    return " ".join("".join(kept).split())


def ends_call(text: str, phrases: tuple[str, ...]) -> bool:
    """Whether ``text`` is one of ``phrases``, or ends with one, as whole words."""
    said = f" {normalised(text)}"
    return any(said.endswith(f" {phrase}") for phrase in map(normalised, phrases) if phrase)
