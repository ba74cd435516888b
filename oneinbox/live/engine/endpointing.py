"""Endpointing: deciding that the caller's turn has ended.

Two things must agree: it has been silent for long enough, and the recogniser has given its final transcript of what was
said. Where the final does not come, a cap decides with the words at hand. (Models that judge from the sound whether a
turn is complete will shorten or stretch ``silence_s`` here; the machine asks nobody else.)

``responsiveness`` r of 0-1 sets the silence, from patient to quick, in even ratios: ``1.2 s * (1/6) ** r``, that is
1.2 s at 0, 0.49 s at 0.5 and 0.2 s at 1.
"""

import unicodedata
from enum import Enum

import msgspec

PATIENT_SILENCE_S = 1.2
QUICK_SILENCE_S = 0.2


class Verdict(Enum):
    """What endpointing says of a pause."""

    WAIT = "wait"
    ENDED = "ended"
    """The turn has ended, and these are its words."""
    EMPTY = "empty"
    """The recogniser says that there were no words: a cough, a door."""
    STALLED = "stalled"
    """There was speech, and the recogniser has never said what."""


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
    final_cap_s: float = 2.0
    """After this much silence the partial transcript is taken where the final has not come."""
    stall_s: float = 4.5
    """After this much silence without any word or final the recogniser is held to have failed."""
    stable_s: float = 0.25
    """A partial that has not changed for this long is stable enough to prepare a reply to."""

    @classmethod
    def from_responsiveness(cls, responsiveness: float) -> "Endpointing":
        """Return the parameters for a ``responsiveness`` of 0-1 (values outside are cut to it)."""
        share = min(1.0, max(0.0, responsiveness))
        silence_s = PATIENT_SILENCE_S * (QUICK_SILENCE_S / PATIENT_SILENCE_S) ** share
        return cls(silence_s=silence_s, pause_s=min(0.2, silence_s))

    def judge(self, *, quiet_s: float, words: bool, final: bool) -> Verdict:
        """Judge a pause of ``quiet_s`` after speech, by whether there are ``words`` and the ``final`` transcript is in."""
        if final and not words:
            return Verdict.EMPTY
        if words and quiet_s >= (self.silence_s if final else self.final_cap_s):
            return Verdict.ENDED
        return Verdict.STALLED if not words and quiet_s >= self.stall_s else Verdict.WAIT

    def judged_after_s(self, *, words: bool, final: bool) -> float:
        """Return the silence after which ``judge`` will no longer say ``WAIT``, if nothing else happens."""
        if words:
            return self.silence_s if final else self.final_cap_s
        return 0.0 if final else self.stall_s


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
