"""Which clients get in, and whether the one that is in is still there, away for a while, or gone for good."""

from typing import Protocol

from oneinbox.live.media.leg import AbsenceListener, LegListener

JOINING_GRACE_S = 10.0
"""How long a client may be away that never had two-way audio."""


GOODBYE_GRACE_S = 10.0
"""How long a client whose path is broken may take to join anew after a goodbye: LiveKit's try again every 5 s at least."""


class Attendance:
    """Keeps time for one leg's client. Times are those of the event loop, in seconds.

    ``grace_s``: how long one that had two-way audio may take to come back, after a reload for instance.
    """

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._signal_lost_at_s = 0.0
        self._broken_at_s: float | None = None
        self.said_goodbye = False
        """Whether whoever is away said so."""

    def begin(self) -> None:
        """A client joins: what became of the one before does not count."""
        self._broken_at_s = None
        self.said_goodbye = False

    def resume(self) -> None:
        """The client has another signalling socket."""
        self.said_goodbye = False

    def signal_lost(self, now_s: float) -> None:
        """Its signalling socket has gone."""
        self._signal_lost_at_s = now_s

    def is_final(self, connection: "Connection | None", now_s: float, *, was_active: bool) -> bool:
        """Whether a goodbye means what it says. If not, there is :data:`GOODBYE_GRACE_S` to join.

        LiveKit's clients say goodbye also when they give a broken connection up and join anew, in the same words; after a
        blackout of everything it arrives just before they do. One whose path stands, or who closed it, does mean it.
        """
        self.said_goodbye = True
        return not was_active or (connection is not None and (connection.down or connection.is_alive(now_s)))

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
            if self.said_goodbye:
                grace_s = min(grace_s, GOODBYE_GRACE_S)
        elif self._broken_at_s is not None:
            grace_s, since_s = self._grace_s, self._broken_at_s
        else:
            return False
        return now_s - since_s >= grace_s


class Connection(Protocol):
    """A peer, or a pair of them."""

    @property
    def down(self) -> bool:
        """Whether the client closed it, or it failed."""
        ...

    def is_alive(self, now_s: float) -> bool:
        """Whether media can flow."""
        ...

    def is_sending(self, now_s: float) -> bool:
        """Whether the microphone's packets come at this moment."""
        ...


class Presence:
    """Whether the client hears and is heard at this moment, from its first being there on; the listener is told of changes."""

    def __init__(self, listener: LegListener) -> None:
        self._listener = listener
        self.begun = self.here = False

    def begin(self) -> None:
        """It is there for the first time."""
        self.begun = self.here = True

    def watch(self, connection: Connection | None, now_s: float, *, has_signal: bool) -> None:
        """Look whether it is there; ``has_signal``: its socket stands.

        One whose socket has gone has to be heard all the time: a page that is being reloaded falls silent at once, and
        the agent must not go on talking to nobody.
        """
        if not self.begun:
            return
        if connection is None:
            here = False
        else:
            here = connection.is_alive(now_s) if has_signal else connection.is_sending(now_s)
        if here is self.here:
            return
        self.here = here
        if isinstance(self._listener, AbsenceListener):
            (self._listener.on_back if here else self._listener.on_away)()


class Tokens:
    """Which tokens lead into one call."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def use(self, token_id: str, *, rejoin: bool, joined: bool, held: bool) -> str | None:
        """Use a token up; return why it is refused, or ``None``. ``joined``: somebody was let in; ``held``: and stays.

        The token of whoever is gone before its audio stood may be used again: a page that was reloaded while it joined
        need not have been given another one.
        """
        if rejoin:
            return None if joined else "a rejoin token cannot start a call"
        if token_id in self._used:
            return "token already used" if held else None
        if joined:
            return "this call was joined with another token"
        self._used.add(token_id)
        return None
