"""Whether a client is still there, away for a while, or gone for good."""

from oneinbox.live.media.leg import AbsenceListener, LegListener

JOINING_GRACE_S = 10.0
"""How long a client may be away that never had two-way audio."""


class Attendance:
    """Keeps time for one leg's client. Times are those of the event loop, in seconds.

    ``grace_s``: how long one that had two-way audio may take to come back, after a reload for instance.
    """

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._signal_lost_at_s = 0.0
        self._broken_at_s: float | None = None

    def begin(self) -> None:
        """A client joins: what became of the one before does not count."""
        self._broken_at_s = None

    def signal_lost(self, now_s: float) -> None:
        """Its signalling socket has gone."""
        self._signal_lost_at_s = now_s

    def is_gone(self, now_s: float, *, alive: bool, has_signal: bool, was_active: bool) -> bool:
        """Whether it has been away for too long. ``alive``: media can flow; ``has_signal``: its socket stands.

        To be asked every second or so: a path that breaks is noticed by this.
        """
        if alive:
            self._broken_at_s = None
        elif self._broken_at_s is None:
            self._broken_at_s = now_s
        if not has_signal:
            grace_s, since_s = self._grace_s if was_active else JOINING_GRACE_S, self._signal_lost_at_s
        elif self._broken_at_s is not None:
            grace_s, since_s = self._grace_s, self._broken_at_s
        else:
            return False
        return now_s - since_s >= grace_s


class Presence:
    """Whether the client hears and is heard at this moment, from its first being there on; the listener is told of changes."""

    def __init__(self, listener: LegListener) -> None:
        self._listener = listener
        self.here = False
        """False before :meth:`begin`."""

    def begin(self) -> None:
        """It is there for the first time."""
        self.here = True

    def note(self, *, here: bool) -> None:
        """It is there, or not, at this moment."""
        if here is self.here:
            return
        self.here = here
        if isinstance(self._listener, AbsenceListener):
            (self._listener.on_back if here else self._listener.on_away)()
