"""How keys look, and how they are kept.

``oi_sk_live_`` or ``oi_pk_live_``, 32 random base-62 characters (190 bits), 6 characters of checksum. The fixed
beginning lets secret scanners find leaked keys; the checksum lets them, and us, tell a typing error without asking the
database. Kept are the SHA-256 (the key is random: nothing slower is needed), the beginning and the last four characters.
"""

import hashlib
import hmac
import secrets
import zlib
from dataclasses import dataclass, field

SECRET = "oi_sk_live_"  # noqa: S105 - what secret keys begin with
PUBLISHABLE = "oi_pk_live_"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_LENGTH = 32
_CHECKSUM_LENGTH = 6
_SHOWN_RANDOM = 4


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """A key that has just been made; ``text`` is shown once and never kept."""

    text: str = field(repr=False)
    hash: str
    prefix: str
    last4: str


def make_key(kind: str) -> NewKey:
    """Return a new key; ``kind`` is :data:`SECRET` or :data:`PUBLISHABLE`."""
    random = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_LENGTH))
    text = kind + random + _checksum(kind + random)
    return NewKey(text=text, hash=hash_of(text), prefix=text[: len(kind) + _SHOWN_RANDOM], last4=text[-4:])


def is_well_formed(text: str, kind: str) -> bool:
    """Whether ``text`` could be a key of this kind: the right beginning, length and checksum."""
    if len(text) != len(kind) + _RANDOM_LENGTH + _CHECKSUM_LENGTH or not text.startswith(kind):
        return False
    return text.isascii() and hmac.compare_digest(text[-_CHECKSUM_LENGTH:], _checksum(text[:-_CHECKSUM_LENGTH]))


def hash_of(text: str) -> str:
    """Return what is kept of a key."""
    return hashlib.sha256(text.encode()).hexdigest()


def _checksum(text: str) -> str:
    number = zlib.crc32(text.encode())
    digits: list[str] = []
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
