"""One signalling socket: a client's requests in, our messages out. Whatever it sends, only this socket can end by it."""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from livekit.protocol import models, rtc

from oneinbox.live.media.embedded import signalling
from oneinbox.live.media.embedded.limits import Allowance
from oneinbox.live.media.embedded.sdp import BadOfferError

_log = logging.getLogger(__name__)

_REFRESH_TOKEN_EVERY_S = 60.0
_NORMAL, _UNSUPPORTED_DATA, _POLICY, _TOO_BIG = 1000, 1003, 1008, 1009
_REQUESTS_PER_S, _REQUESTS_AT_ONCE = 20, 200
"""An honest client sends some dozens while it joins, then a ping every few seconds."""

_NO_ANSWER_NEEDED = frozenset(
    {
        "trickle",  # we learn a client's addresses from its checks
        "subscription",  # there is one track to hear, and everybody hears it
        "track_setting",
        "update_layers",
        "subscription_permission",
        "sync_state",
        "update_audio_track",
    }
)
"""Requests that are carried out by doing nothing, and that LiveKit's own server answers with nothing."""


class SignalSocket(Protocol):
    """A WebSocket that somebody else holds."""

    def accept(self) -> None:
        """Complete the handshake."""
        ...

    def refuse(self, status: int, message: str) -> None:
        """Answer the handshake with an HTTP error instead."""
        ...

    def send(self, data: bytes) -> None:
        """Send one binary message; what was sent before ``close`` still arrives."""
        ...

    def close(self, code: int = 1000) -> None:
        """Close the socket."""
        ...


class SignalHandler(Protocol):
    """What a session's requests do."""

    def offered(self, session: "SignalSession", offer: rtc.SessionDescription) -> None:
        """Answer an offer; raises :class:`BadOfferError`."""
        ...

    def answered(self, session: "SignalSession", request: rtc.SignalRequest) -> None:
        """Take the answer to our offer; raises :class:`BadOfferError`."""
        ...

    def track_asked(self, session: "SignalSession", request: rtc.SignalRequest) -> None:
        """Publish a track, or refuse to."""
        ...

    def described(self, session: "SignalSession", request: rtc.SignalRequest) -> None:
        """Take what the client says of itself: name, metadata, attributes."""
        ...

    def muted(self, track_sid: str, *, muted: bool) -> None:
        """The client muted or unmuted a track."""
        ...

    def said_goodbye(self, session: "SignalSession") -> None:
        """The client leaves."""
        ...


class SignalSession:
    """The conversation over one accepted socket."""

    def __init__(
        self,
        socket: SignalSocket,
        handler: SignalHandler,
        *,
        mint_token: Callable[[], str],
        on_end: Callable[["SignalSession"], None],
    ) -> None:
        self._socket = socket
        self._handler = handler
        self._mint_token = mint_token
        self._on_end = on_end
        self._refresh: asyncio.TimerHandle | None = None
        self._allowance = Allowance(per_s=_REQUESTS_PER_S, at_once=_REQUESTS_AT_ONCE)
        self.open = True

    def send(self, message: rtc.SignalResponse) -> None:
        """Send one message, unless the socket has gone."""
        if self.open:
            self._socket.send(message.SerializeToString())

    def start_refreshing(self) -> None:
        """Give the client a token to come back with, now and every minute."""
        if self.open:
            self.send(rtc.SignalResponse(refresh_token=self._mint_token()))
            self._refresh = asyncio.get_running_loop().call_later(_REFRESH_TOKEN_EVERY_S, self.start_refreshing)

    def leave(
        self,
        reason: models.DisconnectReason,
        action: rtc.LeaveRequest.Action = rtc.LeaveRequest.DISCONNECT,
        code: int = _NORMAL,
    ) -> None:
        """Tell the client to go and close the socket."""
        if self.open:
            self.send(signalling.leave(reason, action))
            self.end()
            self._socket.close(code)

    def drop(self, code: int = _NORMAL) -> None:
        """Close the socket without a word: its client has another one."""
        if self.open:
            self.end()
            self._socket.close(code)

    def end(self) -> None:
        """The socket has gone, or is about to: nothing more is sent. Harmless when called again."""
        if self.open:
            self.open = False
            if self._refresh is not None:
                self._refresh.cancel()
                self._refresh = None
            self._on_end(self)

    def receive(self, data: bytes) -> None:
        """Take one message. One that cannot be understood ends the socket, and only the socket."""
        if not self.open:
            return
        if not self._allowance.take(1, asyncio.get_running_loop().time()):
            _log.warning("a client's signalling is closed: too many requests")
            self.leave(models.STATE_MISMATCH, code=_POLICY)
            return
        try:
            self._dispatch(signalling.parse_request(data))
        except (signalling.BadSignalError, BadOfferError) as error:
            _log.warning("a client's signalling is closed: %s", error)
            code = _TOO_BIG if len(data) > signalling.MAX_MESSAGE_BYTES else _UNSUPPORTED_DATA
            self.leave(models.STATE_MISMATCH, code=code)

    def _dispatch(self, request: rtc.SignalRequest) -> None:
        kind = request.WhichOneof("message")
        match kind:
            case "ping" | "ping_req":
                self.send(signalling.pongs(request))
            case "offer":
                self._handler.offered(self, request.offer)
            case "answer":
                self._handler.answered(self, request)
            case "add_track":
                self._handler.track_asked(self, request)
            case "mute":
                self._handler.muted(request.mute.sid, muted=request.mute.muted)
            case "leave":
                self._handler.said_goodbye(self)
            case "update_metadata":
                self._handler.described(self, request)
            case None:
                self.send(signalling.unknown())
            case _ if kind in _NO_ANSWER_NEEDED:
                pass
            case _:
                message = f"this endpoint does not serve {kind}"
                self.send(signalling.refusal(request, kind, rtc.RequestResponse.UNSUPPORTED_TYPE, message))
