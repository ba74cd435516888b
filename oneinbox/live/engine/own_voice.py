"""The agent's own voice in the caller's microphone: neither its sound nor its words may stop the agent.

A window of voice is looked at only while the agent speaks, and shortly after; a browser that cancels the echo well costs
nothing more. Words are looked at only where the sound of an echo was heard just before: a caller may well repeat what the
agent says.
"""

from difflib import SequenceMatcher

from oneinbox.live.engine.endpointing import normalised
from oneinbox.live.engine.ports import Echo

_AFTER_S = 0.7
"""An echo may be heard this much later than the agent."""
_WORDS_AFTER_S = 4.0
"""A recogniser may tell of it this much later."""
_VOICE_AT = 0.3
"""What is less likely a voice is nobody's."""
_ALIKE = 0.75


class OwnVoice:
    """Judges what one call hears. Without an ``Echo`` nothing is the agent's own."""

    def __init__(self, echo: Echo | None) -> None:
        self._echo = echo
        self._echo_s = float("-inf")

    def heard(self, pcm: bytes) -> None:
        """Take one 20 ms frame of the caller's audio."""
        if self._echo is not None:
            self._echo.heard(pcm)

    def is_voice(self, probability: float, at_s: float, agent_heard_s: float) -> bool:
        """Whether a window with this ``probability`` of voice is the agent's own; it was last heard at ``agent_heard_s``."""
        if self._echo is None or probability < _VOICE_AT or at_s > agent_heard_s + _AFTER_S:
            return False
        if not self._echo.is_echo(at_s):
            return False
        self._echo_s = at_s
        return True

    def are_words(self, text: str, at_s: float, speech: str) -> bool:
        """Whether a transcript is of the agent's own ``speech``."""
        if at_s > self._echo_s + _WORDS_AFTER_S:
            return False
        words, own = normalised(text).split(), normalised(speech).split()
        if not words or not own:
            return False
        matched = sum(block.size for block in SequenceMatcher(None, words, own, autojunk=False).get_matching_blocks())
        return matched >= _ALIKE * len(words)
