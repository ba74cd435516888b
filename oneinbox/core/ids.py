"""Public identifiers: a prefix that names the kind, then a part that sorts by time.

The part after the prefix is a ULID (48 bits of Unix milliseconds, 80 random bits) in lower-case Crockford
base 32, so ids made later sort later, and no id can be guessed from another. Callers treat them as opaque.
"""

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS = 80
_LENGTH = 26
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
"""What stands for ten bits: two characters at once halve the work."""


def new_id(prefix: str) -> str:
    """Return a new id such as ``call_01jd...``; ``prefix`` comes without the underscore."""
    number = (time.time_ns() // 1_000_000 << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
    pairs = [_PAIRS[number >> shift & 1023] for shift in range(5 * (_LENGTH - 2), -1, -10)]
    return f"{prefix}_{''.join(pairs)}"


def new_room_name() -> str:
    """Return a room name for a web call: ``web-`` and eight hex digits."""
    return f"web-{secrets.token_hex(4)}"
