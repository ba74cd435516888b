"""What becomes of a leg's sound beside being heard: it is recorded, and a microphone that delivers nothing is noticed.

Nothing means no noise and no hum, only zeros: a dead device, a switch on the headset.
"""

import numpy as np

from oneinbox.live.audio.tape import Heard, Tape
from oneinbox.live.media.leg import LegListener, MicrophoneListener

SILENT_AFTER_S = 3.0
"""So much sound without any sound in it, from the track's beginning on."""

_FLICKER = 2
"""What Opus makes of zeros may be off by one step, and at a stream's beginning by two."""
_NEARLY_ZERO = b"\x00\x01\x02\xfe\xff"
"""The bytes of such samples."""
_BYTES_PER_S = 16_000 * 2
_MOST_KEPT = 1_000
"""Ticks: 20 s, in which a microphone that works is heard."""


class SoundLine:
    """The sound of one leg, through all its connections."""

    def __init__(self, listener: LegListener) -> None:
        self._tape: Tape | None = None
        self._kept: list[tuple[float, int, bytes | None]] | None = None
        """What was played that a tape may still ask for."""
        self._listener = listener
        self._watch = MicrophoneWatch()

    def begin_microphone(self) -> None:
        """Another microphone is published."""
        self._watch = MicrophoneWatch()

    def keep(self) -> None:
        """Keep what is played from now on for a tape, until :meth:`forget`."""
        self._kept = []

    def forget(self) -> None:
        """There is a tape by now, or there will be none."""
        self._kept = None

    def record(self, tape: Tape) -> None:
        """Record both sides from now on, and of the agent's what was kept."""
        self._tape = tape
        for tick in self._kept or ():
            tape.played(*tick)
        self._kept = None

    def played(self, now_s: float, skipped: int, packet: bytes | None) -> None:
        """Take what went to the caller in one tick, as :meth:`Tape.played` does."""
        if self._tape is not None:
            self._tape.played(now_s, skipped, packet)
        elif self._kept is not None and len(self._kept) < _MOST_KEPT:
            self._kept.append((now_s, skipped, packet))

    def heard(self, sound: Heard, *, muted: bool) -> None:
        """Take sound of the caller; ``muted``: it is meant to be silent."""
        if self._tape is not None:
            self._tape.heard(sound)
        if not muted and self._watch.take(sound.pcm) and isinstance(self._listener, MicrophoneListener):
            self._listener.on_microphone(silent=self._watch.silent)


class MicrophoneWatch:
    """One published microphone. A track that was heard once is never called silent: many gate what is no speech."""

    def __init__(self) -> None:
        self.silent = False
        """Whether it seems dead."""
        self._was_heard = False
        self._silence_s = 0.0

    def take(self, pcm: bytes) -> bool:
        """Look at sound (16 kHz) that really came; return whether :attr:`silent` has changed."""
        if self._was_heard:
            return False
        if _is_zero(pcm):
            self._silence_s += len(pcm) / _BYTES_PER_S
            if self.silent or self._silence_s < SILENT_AFTER_S:
                return False
            self.silent = True
            return True
        self._was_heard = True
        was_silent, self.silent = self.silent, False
        return was_silent


def _is_zero(pcm: bytes) -> bool:
    if pcm.translate(None, _NEARLY_ZERO):
        return False
    return bool((np.abs(np.frombuffer(pcm, dtype="<i2")) <= _FLICKER).all())
