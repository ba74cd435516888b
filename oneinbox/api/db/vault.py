"""Secrets of our users at rest: AES-256-GCM, bound to the row they stand in, with keys that can be changed.

What is stored is ``<key id>.<base64url of nonce and ciphertext>``. The associated data names the row, so that a value
copied into another row does not open there.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES = 12
_INFO = b"oneinbox stored credentials v1"


class SealedError(Exception):
    """A stored secret does not open: its key is gone, or it was not sealed for this row."""


class Vault:
    """Seals and opens. ``keys`` tells the keys as they are now, the newest first: a rotation needs no restart."""

    def __init__(self, keys: Callable[[], Sequence[str]]) -> None:
        self._keys = keys
        self._ciphers: dict[str, AESGCM] = {}

    def seal(self, secret: str, *row: str) -> str:
        """Return ``secret`` sealed for the row that ``row`` names, with the newest key.

        Call it inside the transaction that writes it: whoever rotates the keys meanwhile then finds it.
        """
        newest = self._load()[0]
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[newest].encrypt(nonce, secret.encode(), _bound_to(row))
        return f"{newest}.{base64.urlsafe_b64encode(nonce + sealed).decode('ascii')}"

    def open(self, stored: str, *row: str) -> str:
        """Return what was sealed for this row. Raises :class:`SealedError`."""
        key_id, _, text = stored.partition(".")
        if key_id not in self._ciphers:
            self._load()
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SealedError("a stored secret needs a key that secrets.json does not have")
        try:
            sealed = base64.urlsafe_b64decode(text)
            return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound_to(row)).decode()
        except (InvalidTag, binascii.Error, ValueError):
            raise SealedError("a stored secret was not sealed for the row it stands in") from None

    def _load(self) -> list[str]:
        """Read the keys anew and return their ids, the newest first."""
        ids: list[str] = []
        for key in self._keys():
            key_id = hashlib.sha256(key.encode()).hexdigest()[:8]
            if key_id not in self._ciphers:
                derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=_INFO).derive(key.encode())
                self._ciphers[key_id] = AESGCM(derived)
            ids.append(key_id)
        if not ids:
            raise SealedError("there is no key to seal with")
        return ids


def _bound_to(row: Sequence[str]) -> bytes:
    return "\0".join(row).encode()
