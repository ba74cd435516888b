"""A store of recordings beside the disk: any that speaks S3, addressed by path (``https://host/bucket/prefix``)."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from pathlib import Path
from urllib.parse import quote

import httpx

from oneinbox.api.config import StoreAddress
from oneinbox.api.recordings.sigv4 import Signer
from oneinbox.core.clock import utc_now

MEDIA_TYPE = "audio/ogg"
_CHUNK_BYTES = 256 * 1024
_TIMEOUT = httpx.Timeout(30.0, write=60.0)
_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
_OK, _NO_CONTENT, _NOT_FOUND = 200, 204, 404


class StoreError(Exception):
    """The store did not do it. The message says what it said, and no secret."""


class S3Store:
    """One bucket, or a part of it."""

    def __init__(self, address: StoreAddress) -> None:
        self.url = address.url.rstrip("/")
        self._public_url = (address.public_url or address.url).rstrip("/")
        self._signer = Signer(key_id=address.key_id, secret=address.secret, region=address.region)

    async def put(self, name: str, path: Path) -> None:
        """Store the file under ``name``, in place of what was there. Raises :class:`StoreError`, and ``OSError``."""
        sha256, size = await asyncio.to_thread(_measure, path)
        headers = {"content-type": MEDIA_TYPE, "content-length": str(size)}
        await self._send("PUT", name, headers, sha256, path)

    async def delete(self, name: str) -> None:
        """Delete what is under ``name``; nothing being there is as good. Raises :class:`StoreError`."""
        await self._send("DELETE", name, {}, _EMPTY_SHA256, None)

    def link(self, name: str, valid_s: int) -> str:
        """Return an address at which whoever has it can fetch ``name``."""
        return self._signer.presigned("GET", self._address(self._public_url, name), valid_s, utc_now())

    async def _send(self, method: str, name: str, headers: dict[str, str], sha256: str, path: Path | None) -> None:
        url = self._address(self.url, name)
        signed = self._signer.signed_headers(method, url, headers, sha256, utc_now())
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT) as client:
                content = None if path is None else _read(path)
                answer = await client.request(method, url, headers=signed, content=content)
        except httpx.HTTPError as error:
            raise StoreError(f"the store cannot be reached: {type(error).__name__}: {error}") from error
        if answer.status_code not in (_OK, _NO_CONTENT) and not (
            method == "DELETE" and answer.status_code == _NOT_FOUND
        ):
            raise StoreError(f"the store answered {answer.status_code}: {answer.text[:300]}")

    @staticmethod
    def _address(base: str, name: str) -> str:
        return f"{base}/{quote(name, safe='/-_.~')}"


def _measure(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()


async def _read(path: Path) -> AsyncGenerator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield chunk
    finally:
        file.close()
