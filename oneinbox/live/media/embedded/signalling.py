"""LiveKit's signalling as messages: what a client asks in its join, and what it is told.

Wire types: https://github.com/livekit/protocol (``livekit_rtc.proto``, ``livekit_models.proto``). Only bytes and
protobuf here; :mod:`session` holds the conversation. Names and numbers that clients insist on stand here too.
"""

import base64
import binascii
import time
import zlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc

from oneinbox import __version__
from oneinbox.core.link import IceServer
from oneinbox.live.media.embedded.names import AGENT_IDENTITY, RoomNames

PATH_V1 = "/rtc/v1"
"""One PeerConnection: the client offers."""
PATH_V0 = "/rtc"
"""Two: the client offers one, we offer the other."""
MAX_MESSAGE_BYTES = 64 * 1024
_MAX_JOIN_BYTES = 256 * 1024
_COMPATIBLE_VERSION = "1.9.0"
"""The release of LiveKit's server whose behaviour clients may expect. Clients refuse features to older ones (RPC below
1.8.0), so this cannot be our own number; ``node_id`` and ``debug_info`` say who we are."""
_PROTOCOL = 16
_PING_INTERVAL_S, _PING_TIMEOUT_S = 10, 20
_MIME = "audio/opus"
_GZIP_WINDOW = 31
_MAX_ATTRIBUTES = 64
_MAX_SELF_BYTES = 16 * 1024
_OUR_ATTRIBUTES = "oi."


class BadSignalError(ValueError):
    """A client's message cannot be understood."""


# ---- what the client says


def parse_join_request(query: Mapping[str, str]) -> rtc.JoinRequest:
    """Return the join request of a ``/rtc/v1`` URL; raises :class:`BadSignalError`."""
    encoded = query.get("join_request", "")
    if not encoded or len(encoded) > MAX_MESSAGE_BYTES:
        raise BadSignalError("no join_request, or one that is too long")
    bare = encoded.rstrip("=")
    try:
        packed = base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
        wrapped = rtc.WrappedJoinRequest.FromString(packed)
        inner = wrapped.join_request
        if wrapped.compression == rtc.WrappedJoinRequest.GZIP:
            unpacker = zlib.decompressobj(_GZIP_WINDOW)
            inner = unpacker.decompress(inner, _MAX_JOIN_BYTES)
            if unpacker.unconsumed_tail:
                raise BadSignalError("the join_request unpacks to too much")
        return rtc.JoinRequest.FromString(inner)
    except (binascii.Error, ValueError, zlib.error, DecodeError) as error:
        raise BadSignalError(f"the join_request cannot be read: {error}") from None


def parse_flat_join(query: Mapping[str, str]) -> rtc.JoinRequest:
    """Return what the query of a ``/rtc`` URL says, as a join request."""
    return rtc.JoinRequest(
        client_info=models.ClientInfo(version=query.get("version", "")),
        reconnect=query.get("reconnect") in ("1", "true"),
        participant_sid=query.get("sid", ""),
    )


def parse_request(data: bytes) -> rtc.SignalRequest:
    """Return one message of a client; raises :class:`BadSignalError`."""
    if len(data) > MAX_MESSAGE_BYTES:
        raise BadSignalError(f"a signalling message of {len(data)} bytes")
    try:
        return rtc.SignalRequest.FromString(data)
    except DecodeError:
        raise BadSignalError("a signalling message that is not one") from None


# ---- what it is told


def agent_info(names: RoomNames, attributes: Mapping[str, str], version: int) -> models.ParticipantInfo:
    """Describe the agent. ``version`` counts up with every change, or clients ignore it."""
    return models.ParticipantInfo(
        sid=names.agent_sid,
        identity=AGENT_IDENTITY,
        name=names.agent_name,
        state=models.ParticipantInfo.ACTIVE,
        kind=models.ParticipantInfo.AGENT,
        is_publisher=True,
        joined_at=int(time.time()),
        version=version,
        attributes=dict(attributes),
        permission=models.ParticipantPermission(can_subscribe=True, can_publish=True, can_publish_data=True),
        tracks=[
            models.TrackInfo(
                sid=names.agent_track_sid,
                type=models.AUDIO,
                name="agent",
                source=models.MICROPHONE,
                mime_type=_MIME,
                disable_red=True,
                stream=names.agent_sid,
            )
        ],
    )


class SelfDescription(NamedTuple):
    """What a participant says of itself."""

    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = {}

    def changed(self, request: rtc.UpdateParticipantMetadata) -> "SelfDescription":
        """Return it with what ``request`` changes: an empty attribute is taken away, an empty name or metadata kept.

        Raises :class:`BadSignalError` where it gets too long, or where it takes a name that is ours.
        """
        merged = {**self.attributes, **request.attributes}
        described = SelfDescription(
            request.name or self.name,
            request.metadata or self.metadata,
            {key: value for key, value in merged.items() if value},
        )
        words = [described.name, described.metadata, *described.attributes, *described.attributes.values()]
        if len(described.attributes) > _MAX_ATTRIBUTES or sum(len(word.encode()) for word in words) > _MAX_SELF_BYTES:
            raise BadSignalError(f"more than {_MAX_ATTRIBUTES} attributes, or {_MAX_SELF_BYTES} bytes in all")
        if any(key.startswith(_OUR_ATTRIBUTES) for key in request.attributes):
            raise BadSignalError(f"attributes that begin with {_OUR_ATTRIBUTES} are the server's")
        return described


def user_info(
    names: RoomNames, said: SelfDescription, *, active: bool, tracks: Iterable[models.TrackInfo], version: int
) -> models.ParticipantInfo:
    """Describe the participant to itself."""
    return models.ParticipantInfo(
        sid=names.user_sid,
        identity=names.user_identity,
        name=said.name,
        metadata=said.metadata,
        attributes=said.attributes,
        state=models.ParticipantInfo.ACTIVE if active else models.ParticipantInfo.JOINED,
        joined_at=int(time.time()),
        version=version,
        tracks=tracks,
        permission=models.ParticipantPermission(
            can_subscribe=True,
            can_publish=True,
            can_publish_data=True,
            can_publish_sources=[models.MICROPHONE],
            can_update_metadata=True,
        ),
    )


def microphone_info(request: rtc.AddTrackRequest, sid: str) -> models.TrackInfo:
    """Describe the microphone that a client asked to publish."""
    return models.TrackInfo(
        sid=sid,
        type=models.AUDIO,
        name=request.name,
        muted=request.muted,
        source=models.MICROPHONE,
        stream=request.stream,
        mime_type=_MIME,
        disable_dtx=True,
        disable_red=True,
    )


def join_response(
    names: RoomNames,
    user: models.ParticipantInfo,
    agent: models.ParticipantInfo,
    ice_servers: Iterable[IceServer],
    *,
    dual: bool,
) -> rtc.SignalResponse:
    """Return the first message of a session; ``dual``: we shall offer the connection that carries the agent's voice."""
    return rtc.SignalResponse(
        join=rtc.JoinResponse(
            room=models.Room(sid=names.room_sid, name=names.room_name, num_participants=2),
            participant=user,
            other_participants=[agent],
            server_version=_COMPATIBLE_VERSION,
            server_info=_server_info(),
            ice_servers=_ice_servers(ice_servers),
            subscriber_primary=dual,
            fast_publish=True,
            ping_interval=_PING_INTERVAL_S,
            ping_timeout=_PING_TIMEOUT_S,
            enabled_publish_codecs=[models.Codec(mime=_MIME)],
        )
    )


def reconnect_response(ice_servers: Iterable[IceServer], last_message: int) -> rtc.SignalResponse:
    """Return the first message of a session that goes on where another broke off.

    ``last_message``: the sequence of the last reliable data packet that arrived, so that none is sent again.
    """
    return rtc.SignalResponse(
        reconnect=rtc.ReconnectResponse(
            ice_servers=_ice_servers(ice_servers), server_info=_server_info(), last_message_seq=last_message
        )
    )


def _server_info() -> models.ServerInfo:
    return models.ServerInfo(
        edition=models.ServerInfo.Standard,
        version=_COMPATIBLE_VERSION,
        protocol=_PROTOCOL,
        node_id="oneinbox",
        debug_info=f"OneInbox {__version__}",
    )


def _ice_servers(servers: Iterable[IceServer]) -> list[rtc.ICEServer]:
    return [
        rtc.ICEServer(urls=server.urls, username=server.username, credential=server.credential) for server in servers
    ]


def answer(sdp: str, offer_id: int, mid_to_track_id: Mapping[str, str]) -> rtc.SignalResponse:
    """Return the answer to an offer; clients drop one whose ``offer_id`` is not their latest."""
    return rtc.SignalResponse(
        answer=rtc.SessionDescription(type="answer", sdp=sdp, id=offer_id, mid_to_track_id=dict(mid_to_track_id))
    )


def voice_wanted() -> rtc.SignalResponse:
    """Ask a client for an offer with room for one more audio track: what it offered can receive none."""
    return rtc.SignalResponse(media_sections_requirement=rtc.MediaSectionsRequirement(num_audios=1))


def leave(
    reason: models.DisconnectReason,
    action: rtc.LeaveRequest.Action = rtc.LeaveRequest.DISCONNECT,
) -> rtc.SignalResponse:
    """Tell a client to go, or (``RECONNECT``) to come back by a full join."""
    again = action == rtc.LeaveRequest.RECONNECT
    return rtc.SignalResponse(leave=rtc.LeaveRequest(can_reconnect=again, reason=reason, action=action))


def update(*participants: models.ParticipantInfo) -> rtc.SignalResponse:
    """Tell what became of participants."""
    return rtc.SignalResponse(update=rtc.ParticipantUpdate(participants=participants))


def track_published(cid: str, track: models.TrackInfo) -> rtc.SignalResponse:
    """Tell a client that its track has a name, so that it may offer it."""
    return rtc.SignalResponse(track_published=rtc.TrackPublishedResponse(cid=cid, track=track))


_ECHOED = {
    "trickle": "trickle",
    "add_track": "add_track",
    "mute": "mute",
    "update_metadata": "update_metadata",
    "update_audio_track": "update_audio_track",
    "update_video_track": "update_video_track",
    "publish_data_track_request": "publish_data_track",
    "unpublish_data_track_request": "unpublish_data_track",
}
"""Requests that a refusal can name, and the name that it has there."""


def refusal(
    request: rtc.SignalRequest, kind: str, reason: rtc.RequestResponse.Reason, message: str
) -> rtc.SignalResponse:
    """Return why the request of ``kind`` was not carried out."""
    return _responded(request, kind, reason, message)


def done(request: rtc.SignalRequest, kind: str) -> rtc.SignalResponse:
    """Return that the request of ``kind`` was carried out."""
    return _responded(request, kind, rtc.RequestResponse.OK, "")


def unknown() -> rtc.SignalResponse:
    """Return that a request was of a kind that this release does not know."""
    message = "a request of a kind that is not known here"
    return rtc.SignalResponse(
        request_response=rtc.RequestResponse(reason=rtc.RequestResponse.UNSUPPORTED_TYPE, message=message)
    )


def qualities(names: RoomNames, user: models.ConnectionQuality, agent: models.ConnectionQuality) -> rtc.SignalResponse:
    """Return how good either side's connection is."""
    told = ((names.user_sid, user), (names.agent_sid, agent))
    updates = [rtc.ConnectionQualityInfo(participant_sid=sid, quality=quality) for sid, quality in told]
    return rtc.SignalResponse(connection_quality=rtc.ConnectionQualityUpdate(updates=updates))


def _responded(
    request: rtc.SignalRequest, kind: str, reason: rtc.RequestResponse.Reason, message: str
) -> rtc.SignalResponse:
    asked = getattr(request, kind)
    response = rtc.RequestResponse(request_id=getattr(asked, "request_id", 0), reason=reason, message=message)
    if kind in _ECHOED:
        getattr(response, _ECHOED[kind]).CopyFrom(asked)
    return rtc.SignalResponse(request_response=response)


def pongs(request: rtc.SignalRequest) -> rtc.SignalResponse:
    """Return the answer to either form of ping."""
    now_ms = time.time_ns() // 1_000_000
    if request.WhichOneof("message") == "ping":
        return rtc.SignalResponse(pong=now_ms)
    return rtc.SignalResponse(pong_resp=rtc.Pong(last_ping_timestamp=request.ping_req.timestamp, timestamp=now_ms))
