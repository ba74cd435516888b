"""Participant tokens: HS256 JWTs with LiveKit's claims, so that LiveKit's clients and servers accept them.

Claims after https://docs.livekit.io/home/get-started/authentication/: ``iss``, ``sub`` (identity), ``nbf``, ``exp``,
``jti``, ``video`` {room, roomJoin, canPublish, canSubscribe, canPublishData, canPublishSources}. A token can be read
by whoever holds it: no prompt, variable or metadata goes into it.
"""

import base64
import hmac
import time

import jwt
import msgspec

from oneinbox.core.ids import new_id

_ALGORITHM = "HS256"
_HEADER = b"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
"""``{"alg":"HS256","typ":"JWT"}`` in base64url."""
_LEEWAY_S = 5


class InvalidTokenError(Exception):
    """The token is not one of ours, or its time has passed. The message is safe to show."""


class ParticipantToken(msgspec.Struct, frozen=True, kw_only=True):
    """What a valid participant token says."""

    token_id: str
    identity: str
    room_name: str
    origin: str | None
    """The browser origin the token was given to; a WebSocket from another is refused. None: any."""
    rejoin: bool
    """Delivered inside a running call: lets its holder come back into it, never start it."""
    probe: bool = False
    """Leads into no call but into a room that is made for it, to check whether the media can be reached."""


def mint_participant_token(
    *,
    secret: str,
    issuer: str,
    room_name: str,
    identity: str,
    ttl_s: float,
    origin: str | None = None,
    rejoin: bool = False,
    probe: bool = False,
) -> str:
    """Return a token that lets ``identity`` join ``room_name`` within ``ttl_s`` seconds."""
    now = int(time.time())
    attributes = {name: "true" for name, given in (("oi.rejoin", rejoin), ("oi.probe", probe)) if given}
    if origin is not None:
        attributes["oi.origin"] = origin
    claims = {
        "iss": issuer,
        "sub": identity,
        "nbf": now,
        "exp": now + int(ttl_s),
        "jti": new_id("tok"),
        "video": {
            "room": room_name,
            "roomJoin": True,
            "canPublish": True,
            "canPublishSources": ["microphone"],
            "canSubscribe": True,
            "canPublishData": True,
        },
        "attributes": attributes,
    }
    signed = _HEADER + b"." + _base64url(msgspec.json.encode(claims))
    signature = hmac.digest(secret.encode(), signed, "sha256")  # RFC 7515, section 3.1; RFC 7518, section 3.2
    return (signed + b"." + _base64url(signature)).decode("ascii")


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def read_participant_token(token: str, *, secret: str, issuer: str) -> ParticipantToken:
    """Check a token's signature, algorithm, issuer and time; return what it says.

    Raises :class:`InvalidTokenError` with the reason.
    """
    try:
        claims = jwt.decode(
            token,
            secret,
            algorithms=[_ALGORITHM],
            issuer=issuer,
            leeway=_LEEWAY_S,
            options={"require": ["exp", "nbf", "iss", "sub", "jti"]},
        )
        video = claims["video"]
        attributes = claims.get("attributes", {})
        if video["roomJoin"] is not True:
            raise InvalidTokenError("the token does not allow joining")
        return msgspec.convert(
            {
                "token_id": claims["jti"],
                "identity": claims["sub"],
                "room_name": video["room"],
                "origin": attributes.get("oi.origin"),
                "rejoin": attributes.get("oi.rejoin") == "true",
                "probe": attributes.get("oi.probe") == "true",
            },
            ParticipantToken,
        )
    except jwt.ExpiredSignatureError:
        raise InvalidTokenError("the token has expired: make a new call") from None
    except (jwt.InvalidTokenError, KeyError, TypeError, AttributeError, UnicodeError, msgspec.ValidationError):
        raise InvalidTokenError("the token is not valid") from None
