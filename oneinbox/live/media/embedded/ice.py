"""ICE-lite (RFC 8445, 2.5): one session for each peer. Clients check paths to us; we answer, and use what they use.

Every address that we announce can be reached by clients, or nobody could connect: so there is nothing for us to
check, no STUN or TURN server to ask, and no packet goes to an address that has not first proved that it knows the
session's password or holds its SRTP keys. A client that moves to another network, or whose NAT gives it another port, is
followed without a word of signalling: by its next packet of media.
"""

import secrets
import string
from collections.abc import Callable
from typing import ClassVar, Protocol

from oneinbox.live.media.embedded import stun

_ALPHABET = string.ascii_letters + string.digits
_MAX_PATHS = 24
"""Pairs of a client's addresses and ours that one session keeps; more than any honest client makes."""
_MEDIA_STALE_S = 3.0
"""A path that brought media more recently than this is not given up for one that the client only names."""

Address = tuple[str, int]


def new_credentials() -> tuple[str, str]:
    """Return a fresh user fragment and password (RFC 8445, 5.3: at least 24 and 128 bits)."""
    return (
        "".join(secrets.choice(_ALPHABET) for _ in range(8)),
        "".join(secrets.choice(_ALPHABET) for _ in range(24)),
    )


class Path(Protocol):
    """One way to a client: an address over the UDP port, or one TCP connection."""

    transport: ClassVar[str]
    """``udp`` or ``tcp``."""

    @property
    def address(self) -> Address:
        """Where the client's packets come from."""
        ...

    def send(self, data: bytes) -> None:
        """Send one packet; dropped in silence where the network does not take it."""
        ...

    def forget(self) -> None:
        """Stop delivering what comes this way; a TCP connection is closed."""
        ...


class IceSession:
    """The ICE state of one peer.

    ``on_packet(data, now_s)`` gets every packet that is not STUN and came by a path that was checked.
    ``on_selected`` is called when the first path can be used, ``on_moved`` when the client's media comes by another one.
    """

    def __init__(
        self,
        on_packet: Callable[[bytes, float], None],
        on_selected: Callable[[], None],
        on_moved: Callable[[], None] | None = None,
    ) -> None:
        self.ufrag, self.password = new_credentials()
        self.remote_ufrag: str | None = None
        self._on_packet = on_packet
        self._on_selected = on_selected
        self._on_moved = on_moved
        self._paths: dict[Path, None] = {}
        self._selected: Path | None = None
        self._came_by: Path | None = None
        self._media_at_s = float("-inf")
        self.changes = 0
        """How often another path was taken after the first."""
        self.heard_at_s: float | None = None
        """When anything last came by a checked path: by it, whether the client is still there."""

    @property
    def selected(self) -> Path | None:
        """The path in use."""
        return self._selected

    def restart(self) -> None:
        """Take new credentials (RFC 8445, 2.4). Media goes on by the old path until a new one is checked."""
        self.ufrag, self.password = new_credentials()
        self.remote_ufrag = None
        self._media_at_s = float(
            "-inf"
        )  # the path that the client chooses now is the one, whatever the old one brought

    def check(self, request: stun.BindingRequest, path: Path, now_s: float) -> bool:
        """Answer a check that names this session; whether it was authentic, so that ``path`` may deliver to it."""
        ours, _, theirs = request.username.partition(":")
        if ours != self.ufrag or self.remote_ufrag not in (None, theirs) or not request.is_authentic(self.password):
            return False
        if request.claims_controlled:
            path.send(stun.build_role_conflict(request, self.password))
            return True
        path.send(stun.build_success(request, path.address, self.password))
        self.heard_at_s = now_s
        self._remember(path)
        if self._selected is None or (request.nominates and now_s - self._media_at_s > _MEDIA_STALE_S):
            self._select(path)
        return True

    def receive(self, data: bytes, path: Path, now_s: float) -> None:
        """Take a packet that came by a path that was checked before."""
        self.heard_at_s = now_s
        self._came_by = path
        self._on_packet(data, now_s)

    def receive_from_stranger(self, data: bytes, path: Path, now_s: float) -> bool:
        """Take what looks like this client's media but came from an address that proved nothing; whether it was.

        Media is authentic to itself (SRTP), and as good a proof as a check: nobody without the keys can make it, and a copy
        of a packet is not accepted twice.
        """
        self._came_by = path
        self._on_packet(data, now_s)
        if path not in self._paths:
            self._came_by = None
            return False
        self.heard_at_s = now_s
        return True

    def confirm(self, now_s: float) -> None:
        """The packet just received was authentic media: what the client sends by is where it wants to be sent to."""
        self._media_at_s = now_s
        if self._came_by is not None and self._came_by is not self._selected:
            self._remember(self._came_by)
            moved = self._selected is not None
            self._select(self._came_by)
            if moved and self._on_moved is not None:
                self._on_moved()

    def lose(self, path: Path) -> None:
        """A TCP connection ended."""
        self._paths.pop(path, None)
        if self._came_by is path:
            self._came_by = None
        if self._selected is path:
            self._selected = next(reversed(self._paths), None)

    def send(self, data: bytes) -> None:
        """Send by the path in use; dropped where there is none."""
        if self._selected is not None:
            self._selected.send(data)

    def close(self) -> None:
        """Forget every path."""
        for path in list(self._paths):
            path.forget()
        self._paths.clear()
        self._selected = self._came_by = None

    def _remember(self, path: Path) -> None:
        self._paths.pop(path, None)
        self._paths[path] = None
        if len(self._paths) > _MAX_PATHS:
            oldest = next(kept for kept in self._paths if kept is not self._selected)
            del self._paths[oldest]
            oldest.forget()

    def _select(self, path: Path) -> None:
        first = self._selected is None
        self.changes += not first and self._selected is not path
        self._selected = path
        if first:
            self._on_selected()
