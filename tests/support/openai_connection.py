"""One client's HTTP/1.1 connection, for the local OpenAI-wire server: written by hand, so that it can be written wrong."""

import asyncio
import json
import math
import socket
import struct
from collections.abc import Mapping
from typing import Any

from tests.support.openai_sound import read_wav


class GoneError(Exception):
    """The client has closed the connection."""


class Connection:
    """HTTP/1.1 of one client, as far as it is needed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read_request(self) -> tuple[str, str, dict[str, str], bytes] | None:
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            line, *rest = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rest) if name}
            body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        method, target, _ = line.split(" ", 2)
        return method, target.partition("?")[0], headers, body

    async def pause(self, seconds: float = math.inf) -> None:
        """Wait; raises ``GoneError`` as soon as the client goes."""
        until = asyncio.get_running_loop().time() + seconds
        while True:
            if self._reader.at_eof() or self._reader.exception() is not None:
                raise GoneError
            left = until - asyncio.get_running_loop().time()
            if left <= 0:
                return
            await asyncio.sleep(min(0.01, left))

    async def write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError:
            raise GoneError from None

    async def write_head(self, status: int, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} Answer", *(f"{name}: {value}" for name, value in headers.items())]
        await self.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def write_chunk(self, data: bytes) -> None:
        await self.write(b"%x\r\n%s\r\n" % (len(data), data))

    async def write_whole(self, status: int, content_type: str, body: bytes, **headers: str) -> None:
        fields = {"Content-Type": content_type, "Content-Length": str(len(body)), **headers}
        await self.write_head(status, fields)
        await self.write(body)

    async def write_json(self, status: int, body: Any, **headers: str) -> None:
        await self.write_whole(status, "application/json", json.dumps(body).encode(), **headers)

    def reset(self) -> None:
        """Close with an RST."""
        sock: socket.socket = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


def read_form(content_type: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the fields and the audio of a multipart form."""
    kind, _, boundary = content_type.partition("boundary=")
    if not kind.startswith("multipart/form-data") or not boundary:
        raise ValueError(f"multipart/form-data is needed, not {content_type!r}")
    fields: dict[str, Any] = {}
    audio: bytes | None = None
    for part in body.split(b"--" + boundary.strip('"').encode())[1:-1]:
        head, _, value = part.removeprefix(b"\r\n").removesuffix(b"\r\n").partition(b"\r\n\r\n")
        names = dict(item.strip().split("=", 1) for item in head.decode().split("\r\n")[0].split(";")[1:])
        name = names["name"].strip('"')
        if name != "file":
            fields[name] = value.decode()
        elif not names.get("filename", "").strip('"').endswith(".wav"):
            raise ValueError("the file's name has to tell its format")
        else:
            audio = read_wav(value)
    if audio is None:
        raise ValueError("there is no file")
    return fields, audio
