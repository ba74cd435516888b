"""Has a file read by a process of its own (:mod:`oneinbox.api.knowledge.documents`), with limits."""

import asyncio
import os
import sys

from oneinbox.api.knowledge.documents import MAX_TEXT_CHARS, UNREADABLE
from oneinbox.api.knowledge.reading import UnreadableError

READ_LIMIT_S = 240.0
_MAX_OUTPUT_BYTES = 4 * MAX_TEXT_CHARS
_PIECE_BYTES = 64 * 1024


async def read_in_process(suffix: str, data: bytes, *, limit_s: float = READ_LIMIT_S) -> str:
    """Return the text of a document. Raises :class:`UnreadableError`; cancelling it ends the process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "oneinbox.api.knowledge.documents",
        suffix,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        # Nothing of the server's own environment, which holds its secrets, goes to who reads foreign files.
        env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        async with asyncio.timeout(limit_s):
            said = await _converse(process, data)
            status = await process.wait()
    except TimeoutError:
        raise UnreadableError("it takes too long to read: divide it") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if status == 0:
        return said
    if status == UNREADABLE:
        raise UnreadableError(said)
    raise UnreadableError("it takes more time or memory than a file may: divide it")


async def _converse(process: asyncio.subprocess.Process, data: bytes) -> str:
    to_it, from_it = process.stdin, process.stdout
    if to_it is None or from_it is None:
        raise RuntimeError("the process was started without pipes")
    to_it.write(data)
    try:
        await to_it.drain()
        to_it.close()
    except ConnectionError:
        pass  # it ended before it had read all: its status tells why
    said = bytearray()
    while piece := await from_it.read(_PIECE_BYTES):
        said += piece
        if len(said) > _MAX_OUTPUT_BYTES:
            raise UnreadableError("it holds more text than can be read: divide it")
    return said.decode(errors="replace")
