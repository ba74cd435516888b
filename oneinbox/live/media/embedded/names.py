"""What the participants of a room are called on the wire. A room holds one agent and one user."""

import secrets
from typing import NamedTuple

AGENT_IDENTITY = "agent"


def new_sid(prefix: str) -> str:
    """Return a server-side id in LiveKit's form: ``RM_``, ``PA_`` or ``TR_`` and what nobody can guess."""
    return f"{prefix}_{secrets.token_hex(8)}"


class RoomNames(NamedTuple):
    """The names of one leg's room. The user's ``user_sid`` is new at every join; the rest stays."""

    room_name: str
    room_sid: str
    agent_name: str
    agent_sid: str
    agent_track_sid: str
    user_identity: str
    user_sid: str

    @property
    def agent_stream_id(self) -> str:
        """The media stream id by which clients find whose track it is."""
        return f"{self.agent_sid}|{self.agent_track_sid}"


def new_names(room_name: str, user_identity: str, agent_name: str) -> RoomNames:
    """Return fresh names for a room."""
    return RoomNames(room_name, new_sid("RM"), agent_name, new_sid("PA"), new_sid("TR"), user_identity, new_sid("PA"))
