"""Time-limited credentials for TURN servers (draft-uberti-behave-turn-rest-00; coturn's ``use-auth-secret``)."""

import base64
import hashlib
import hmac
from collections.abc import Iterable

import msgspec

from oneinbox.core.link import IceServer

CREDENTIALS_LAST_S = 4 * 3600
"""Longer than any call; a client that reconnects is given new ones."""


def servers_for(servers: Iterable[IceServer], identity: str, now_s: float) -> list[IceServer]:
    """Return ``servers`` as one client may see them: no shared secret, but credentials made from it.

    ``now_s``: seconds since the epoch. The user name is ``<expiry>:<identity>``, its password the base64 of the HMAC-SHA1 of it.
    """
    return [_personal(server, f"{int(now_s) + CREDENTIALS_LAST_S}:{identity}") for server in servers]


def _personal(server: IceServer, username: str) -> IceServer:
    if not server.secret:
        return server
    signature = hmac.new(server.secret.encode(), username.encode(), hashlib.sha1).digest()
    return msgspec.structs.replace(
        server, username=username, credential=base64.b64encode(signature).decode(), secret=""
    )
