"""The one track that a client may publish: its microphone, from being announced to its first sound."""

from livekit.protocol import models, rtc

from oneinbox.live.media.embedded import signalling
from oneinbox.live.media.embedded.names import new_sid

MUTED_START_S = 3.0
"""A microphone that is published muted may send nothing: the call starts without it after this."""


class Microphone:
    """What one client publishes; a client that joins anew begins with none."""

    def __init__(self) -> None:
        self.info: models.TrackInfo | None = None
        """As it is published; ``None`` where none is."""
        self._offered = False
        self._heard = False
        self._published_at_s = 0.0

    def ask(self, request: rtc.SignalRequest, now_s: float) -> rtc.SignalResponse:
        """Publish what is asked for where it is the first microphone, else refuse; return what the client is told."""
        asked = request.add_track
        if asked.type != models.AUDIO or asked.source not in (models.MICROPHONE, models.UNKNOWN):
            reason, message = rtc.RequestResponse.NOT_ALLOWED, "only a microphone can be published here"
        elif self.info is not None:
            reason, message = rtc.RequestResponse.LIMIT_EXCEEDED, "one microphone is published already"
        else:
            self.info = signalling.microphone_info(asked, new_sid("TR"))
            self._published_at_s = now_s
            return signalling.track_published(asked.cid, self.info)
        return signalling.refusal(request, "add_track", reason, message)

    def offered(self, *, sends: bool) -> None:
        """Take from the client's latest offer whether it sends: where it did and does not any more, it has stopped.

        Before it began, an offer without it proves nothing: one may be under way as it is announced.
        """
        if self._offered and not sends:
            self.info = None
        self._offered = sends

    def mute(self, track_sid: str, *, muted: bool) -> None:
        """The client muted or unmuted a track."""
        if self.info is not None and self.info.sid == track_sid:
            self.info.muted = muted

    @property
    def muted(self) -> bool:
        """Whether nothing is meant to be heard of it."""
        return self.info is None or self.info.muted

    def sounds(self) -> bool:
        """Note that sound came of it; whether it is the first."""
        first, self._heard = not self._heard, True
        return first

    def is_proven(self, now_s: float) -> bool:
        """Whether it is published and known to work, or known to be silent on purpose."""
        if self.info is None:
            return False
        return self._heard or (self.info.muted and now_s - self._published_at_s >= MUTED_START_S)
