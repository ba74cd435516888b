"""Passwords: hashed with scrypt (RFC 7914) of the standard library. See docs/decisions/0025-passwords.md."""

import asyncio
import base64
import hashlib
import hmac
import secrets

_N, _R, _P = 2**15, 8, 3
"""32 MiB and about 0.25 s of one core: OWASP's figures for scrypt."""
_SALT_BYTES, _HASH_BYTES = 16, 32
_MAX_MEMORY = 64 * 1024 * 1024
_AT_ONCE = 2


class Passwords:
    """Hashes and compares. Hashing is what a flood of sign-ins would keep us busy with: two at once, the rest waits."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def hash(self, password: str) -> str:
        """Return what is kept of a password: ``scrypt$n$r$p$salt$hash``."""
        salt = secrets.token_bytes(_SALT_BYTES)
        derived = await self._derive(password, salt, (_N, _R, _P))
        return f"scrypt${_N}${_R}${_P}${_text(salt)}${_text(derived)}"

    async def match(self, password: str, kept: str | None) -> bool:
        """Whether this is the password. Without one on record it takes as long, and it is not."""
        if kept is None:
            await self._derive(password, b"\0" * _SALT_BYTES, (_N, _R, _P))
            return False
        _, n, r, p, salt, expected = kept.split("$")
        derived = await self._derive(password, base64.b64decode(salt), (int(n), int(r), int(p)))
        return hmac.compare_digest(derived, base64.b64decode(expected))

    async def _derive(self, password: str, salt: bytes, cost: tuple[int, int, int]) -> bytes:
        n, r, p = cost
        async with self._turn:
            return await asyncio.to_thread(
                hashlib.scrypt, password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MAX_MEMORY, dklen=_HASH_BYTES
            )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
