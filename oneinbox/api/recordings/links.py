"""Addresses of recordings that hold for four hours, for whoever has them."""

import base64
import hmac
import time

from oneinbox.api.config import ApiConfig
from oneinbox.api.db.tables import Recording
from oneinbox.api.recordings.repo import RecordingStatus
from oneinbox.api.recordings.store import S3Store
from oneinbox.core.errors import AppError, ErrorKind

VALID_S = 4 * 3600
PATH = "/v1/recordings"
_MAX_DIGITS = 12


class RecordingLinks:
    """Makes and checks the addresses. A recording in a store is fetched from there, all others from this server."""

    def __init__(self, config: ApiConfig) -> None:
        self._key = hmac.digest(config.session_secret.encode(), b"recording links", "sha256")
        self._store = None if config.recordings_store is None else S3Store(config.recordings_store)

    def url(self, recording: Recording | None, base_url: str) -> str | None:
        """Return the recording's address, made now; ``None`` where there is nothing to hear (yet)."""
        if recording is None or recording.status != RecordingStatus.AVAILABLE:
            return None
        if self._store is not None and recording.store == self._store.url:
            return self._store.link(recording.name, VALID_S)
        if not recording.on_disk:
            return None  # it is in a store that is set up no more
        expires = int(time.time()) + VALID_S
        return (
            f"{base_url}{PATH}/{recording.call_id}?expires={expires}&signature={self._sign(recording.call_id, expires)}"
        )

    def check(self, call_id: str, expires: str, signature: str) -> None:
        """Raise ``AppError`` where the address is not one of ours, or has expired."""
        plain = expires.isascii() and expires.isdecimal() and len(expires) <= _MAX_DIGITS
        expected = self._sign(call_id, int(expires)) if plain else ""
        if not plain or not hmac.compare_digest(expected.encode(), signature.encode()):
            raise AppError(
                "recording_link_invalid",
                "this address was not made by this server, or was changed: take `recording_url` from the call's record",
                ErrorKind.FORBIDDEN,
            )
        if int(expires) < time.time():
            raise AppError(
                "recording_link_expired",
                "this address held for four hours: fetch the call again for a fresh one",
                ErrorKind.GONE,
            )

    def _sign(self, call_id: str, expires: int) -> str:
        signed = hmac.digest(self._key, f"{expires} {call_id}".encode(), "sha256")
        return base64.urlsafe_b64encode(signed).decode().rstrip("=")
