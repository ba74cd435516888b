"""The embedded endpoint without a socket or a network: what clients would say is said to it directly."""

import base64
import gzip
from typing import Any

from livekit.protocol import models, rtc

from oneinbox.core.link import MediaSettings, OpenSocket
from oneinbox.live.media.embedded import EmbeddedMedia
from oneinbox.live.media.embedded.leg import EmbeddedLeg
from tests.support.media_offers import FULL
from tests.support.media_server import RecordingListener

MICROPHONE = rtc.AddTrackRequest(cid="cid1", name="mic", type=models.AUDIO, source=models.MICROPHONE)


class FakeSocket:
    def __init__(self):
        self.accepted = False
        self.refused: tuple[int, str] | None = None
        self.closed: int | None = None
        self.sent: list[rtc.SignalResponse] = []

    def accept(self) -> None:
        self.accepted = True

    def refuse(self, status: int, message: str) -> None:
        self.refused = (status, message)

    def send(self, data: bytes) -> None:
        assert self.accepted
        assert self.closed is None, "a message after the close"
        self.sent.append(rtc.SignalResponse.FromString(data))

    def close(self, code: int = 1000) -> None:
        self.closed = code

    def kinds(self) -> list[str | None]:
        return [message.WhichOneof("message") for message in self.sent]

    def last(self, kind: str) -> Any:
        return next(getattr(m, kind) for m in reversed(self.sent) if m.WhichOneof("message") == kind)


def _mint(room: str, identity: str, origin: str | None) -> str:
    return "-".join(["rejoin", room, identity, *([] if origin is None else [origin])])


class World:
    """An endpoint that was never started: it has no sockets, only what is said to it."""

    def __init__(self, **settings: Any):
        self.media = EmbeddedMedia(
            MediaSettings(**settings),
            mint_rejoin_token=_mint,
        )
        self.listener = RecordingListener()
        self.leg: EmbeddedLeg = self.media.open_leg(
            room_name="web-1", identity="caller", agent_name="Ann", listener=self.listener
        )
        self._ids = 0

    def join(
        self,
        *,
        join: rtc.JoinRequest | None = None,
        token_id: str = "tok_1",
        rejoin: bool = False,
        zipped: bool = False,
        **changes: Any,
    ) -> tuple[int, FakeSocket]:
        if join is None:
            join = rtc.JoinRequest(publisher_offer=rtc.SessionDescription(type="offer", sdp=FULL, id=3))
        inner = join.SerializeToString()
        wrapped = rtc.WrappedJoinRequest(join_request=inner)
        if zipped:
            wrapped = rtc.WrappedJoinRequest(compression=rtc.WrappedJoinRequest.GZIP, join_request=gzip.compress(inner))
        query = {"join_request": base64.urlsafe_b64encode(wrapped.SerializeToString()).decode().rstrip("=")}
        self._ids += 1
        request = {"room_name": "web-1", "identity": "caller", "path": "/rtc/v1", "query": query, **changes}
        socket = FakeSocket()
        self.media.on_socket_open(OpenSocket(socket_id=self._ids, token_id=token_id, rejoin=rejoin, **request), socket)
        return self._ids, socket

    def say(self, socket_id: int, **message: Any) -> None:
        self.media.on_socket_data(socket_id, rtc.SignalRequest(**message).SerializeToString())
