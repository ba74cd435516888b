"""Barge-in: the caller speaks while the agent does.

In steps that can be taken back: at the first sound the agent ducks (goes on, quietly); sound of ``confirm_s`` makes it
yield (it stops at that sample and keeps what it had to say); words end what it was saying. When no words come it
goes on at the very sample where it stopped, at full level. So a cough costs a dip, and a caller who has no partial transcripts
still silences the agent at once.

``interruption_sensitivity`` s of 0-1 sets ``confirm_s`` in even ratios: ``0.6 s * (1/9) ** s``, that is 0.6 s at 0, 0.2 s
at 0.5 and 0.067 s at 1.
"""

import msgspec

SLOW_CONFIRM_S = 0.6
QUICK_CONFIRM_S = SLOW_CONFIRM_S / 9


class BargeIn(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of one call, in seconds, and the rules that use them."""

    confirm_s: float = 0.2
    """Sound this long makes the agent yield."""
    duck_gain: float = 0.2
    """The level at which a ducked agent goes on."""
    speech_s: float = 0.6
    """Sound this long surely is speech: its transcript is waited for."""
    shortest_wait_s: float = 0.3
    longest_wait_s: float = 1.0
    """A shorter sound is given this long, at least and at most, to turn out to be words."""

    @classmethod
    def from_sensitivity(cls, sensitivity: float) -> "BargeIn":
        """Return the parameters for an ``interruption_sensitivity`` of 0-1 (values outside are cut to it)."""
        share = min(1.0, max(0.0, sensitivity))
        return cls(confirm_s=SLOW_CONFIRM_S * (QUICK_CONFIRM_S / SLOW_CONFIRM_S) ** share)

    def stops(self, text: str) -> bool:
        """Whether these words of the caller end the agent's speech."""
        return bool(text)

    def wait_s(self, *, sound_s: float, final_delay_s: float, final_cap_s: float) -> float:
        """Return how long after a sound of ``sound_s`` a yielded agent waits for words before it goes on.

        ``final_delay_s`` is how long this call's recogniser has been taking; ``final_cap_s`` is what endpointing gives it.
        """
        if sound_s >= self.speech_s:
            return final_cap_s
        return min(self.longest_wait_s, max(self.shortest_wait_s, 1.25 * final_delay_s))
