"""How good a connection is, in the four steps that LiveKit's clients show."""

from typing import NamedTuple

from livekit.protocol import models

from oneinbox.live.media.embedded.rtp import CLOCK_HZ, ReceptionReport

_POOR_LOSS, _GOOD_LOSS = 0.10, 0.03
_POOR_JITTER_S, _GOOD_JITTER_S = 0.1, 0.04


class Reception(NamedTuple):
    """What was received of a stream since it began."""

    expected: int
    received: int
    jitter: int
    """In ticks of the RTP clock."""


def quality_of(loss: float, jitter_s: float) -> models.ConnectionQuality:
    """Return what a stream with this share of packets lost and this jitter sounds like."""
    if loss >= _POOR_LOSS or jitter_s >= _POOR_JITTER_S:
        return models.POOR
    if loss >= _GOOD_LOSS or jitter_s >= _GOOD_JITTER_S:
        return models.GOOD
    return models.EXCELLENT


class QualityWatch:
    """Tells when the quality of either side of a call changes."""

    def __init__(self) -> None:
        self._before = Reception(0, 0, 0)
        self._told: tuple[models.ConnectionQuality, models.ConnectionQuality] | None = None

    def update(
        self, *, alive: bool, heard: Reception | None, reported: ReceptionReport | None
    ) -> tuple[models.ConnectionQuality, models.ConnectionQuality] | None:
        """Return the quality of (the caller's stream, the agent's), or ``None`` where neither changed.

        ``heard``: what came of the caller's stream, in all. ``reported``: the client's latest report on the agent's.
        """
        user = agent = models.LOST
        if alive:
            user = models.EXCELLENT if heard is None else self._of_heard(heard)
            agent = models.EXCELLENT
            if reported is not None:
                agent = quality_of(reported.fraction_lost / 256, reported.jitter / CLOCK_HZ)
        changed = (user, agent) != self._told
        self._told = (user, agent)
        return self._told if changed else None

    def _of_heard(self, heard: Reception) -> models.ConnectionQuality:
        before, self._before = self._before, heard
        if heard.expected < before.expected:  # a new stream
            before = Reception(0, 0, 0)
        expected, received = heard.expected - before.expected, heard.received - before.received
        loss = max(0.0, 1 - received / expected) if expected > 0 else 0.0
        return quality_of(loss, heard.jitter / CLOCK_HZ)
