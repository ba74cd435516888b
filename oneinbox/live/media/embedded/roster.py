"""Who is in the room, as clients are told: the agent, and the participant as it describes itself."""

from collections.abc import Mapping

from livekit.protocol import models, rtc

from oneinbox.live.media.embedded import signalling
from oneinbox.live.media.embedded.names import RoomNames, new_names, new_sid


class Roster:
    """The two of one room. What is told of them counts up with every change, or clients would not take it."""

    def __init__(self, room_name: str, user_identity: str, agent_name: str) -> None:
        self.names: RoomNames = new_names(room_name, user_identity, agent_name)
        self._attributes: dict[str, str] = {}
        self._said_of_itself = signalling.SelfDescription()
        self._version = 1

    def changed(self) -> None:
        """Something that is told of either has changed."""
        self._version += 1

    def user_joined(self) -> None:
        """The participant joins, for the first time or again: under another name each time."""
        self.names = self.names._replace(user_sid=new_sid("PA"))

    def set_attributes(self, attributes: Mapping[str, str]) -> None:
        """Merge into the agent's attributes."""
        self._attributes.update(attributes)
        self.changed()

    def describe(self, request: rtc.SignalRequest) -> rtc.SignalResponse | None:
        """Take what the participant says of itself; return why it is refused, or ``None``."""
        try:
            self._said_of_itself = self._said_of_itself.changed(request.update_metadata)
        except signalling.BadSignalError as error:
            return signalling.refusal(request, "update_metadata", rtc.RequestResponse.LIMIT_EXCEEDED, str(error))
        self.changed()
        return None

    def agent(self) -> models.ParticipantInfo:
        """Describe the agent."""
        return signalling.agent_info(self.names, self._attributes, self._version)

    def user(self, microphone: models.TrackInfo | None, *, up: bool) -> models.ParticipantInfo:
        """Describe the participant; ``up``: its transport stands."""
        tracks = [] if microphone is None else [microphone]
        return signalling.user_info(self.names, self._said_of_itself, active=up, tracks=tracks, version=self._version)
