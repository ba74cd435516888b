"""Whether a client is still there, away for a while, or gone for good."""

GRACE_S = 30.0
"""How long a client that vanished may take to come back."""
CLOSED_GRACE_S = 10.0
"""The same, where it never had a connection."""


class Attendance:
    """Keeps time for one leg's client. Times are those of the event loop, in seconds."""

    def __init__(self) -> None:
        self._signal_lost_at_s = 0.0
        self._broken_at_s: float | None = None
        self.peer_closed = False
        """The client closed its transport itself."""

    def begin(self) -> None:
        """A client joins: what became of the one before does not count."""
        self.peer_closed = False
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
            grace_s, since_s = CLOSED_GRACE_S if self.peer_closed or not was_active else GRACE_S, self._signal_lost_at_s
        elif self._broken_at_s is not None:
            grace_s, since_s = GRACE_S, self._broken_at_s
        else:
            return False
        return now_s - since_s >= grace_s
