"""Ogg Opus files (RFC 3533, RFC 7845) of two voices that were encoded one by one: caller left, agent right.

Each packet holds two mono Opus streams of 20 ms (mapping family 1 with two uncoupled streams, RFC 7845, 5.1.1.2), the
first self-delimited (RFC 6716, appendix B). So what went over the wire can be laid into the file without being decoded.

A file that ends in the middle of a page (its writer was killed) plays up to its last whole page; :func:`mend` cuts it
there and marks the end.
"""

import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

RATE_HZ = 48_000
"""What positions count, whatever rate the voices were encoded at."""
PACKET_SAMPLES = RATE_HZ // 50

_PAGE = struct.Struct("<4sBBqIIIB")
_CRC_AT = 22
_FIRST, _LAST = 0x02, 0x04
_HEAD = struct.Struct("<8sBBHIhB")
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class BadOggError(ValueError):
    """This file is no recording of ours, or none of it was written."""


class Length(NamedTuple):
    """What a file holds."""

    duration_s: float
    size_bytes: int


def head_packet(pre_skip: int) -> bytes:
    """Return the first packet of a stereo file whose first ``pre_skip`` samples (48 kHz) are not to be heard."""
    return _HEAD.pack(b"OpusHead", 1, 2, pre_skip, RATE_HZ, 0, 1) + bytes((2, 0, 0, 1))


def tags_packet(vendor: str) -> bytes:
    """Return the second packet: who wrote it, and no comments (RFC 7845, 5.2)."""
    name = vendor.encode()
    return b"OpusTags" + struct.pack("<I", len(name)) + name + struct.pack("<I", 0)


def joined(first: bytes, second: bytes) -> bytes:
    """Return one packet of both streams. ``first`` has to hold a single frame, as encoders make it of 20 ms."""
    if not first or first[0] & 0x03:
        raise ValueError("the first stream's packet does not hold exactly one frame")
    size = len(first) - 1
    length = bytes((size,)) if size < 252 else bytes((252 + (size & 3), size - 252 - (size & 3) >> 2))
    return first[:1] + length + first[1:] + second


def page(packets: Sequence[bytes], *, serial: int, number: int, position: int, last: bool = False) -> bytes:
    """Return one page. ``position``: where its last packet ends, in samples from the file's very beginning.

    Raises ``ValueError`` where the packets need more entries than a page's table has: 255, one for each begun 255 bytes.
    """
    table = bytearray()
    for packet in packets:
        table += b"\xff" * (len(packet) // 255) + bytes((len(packet) % 255,))
    if len(table) > 255:
        raise ValueError(f"{len(packets)} packets do not fit on one page")
    kind = (_FIRST if number == 0 else 0) | (_LAST if last else 0)
    whole = bytearray(_PAGE.pack(b"OggS", 0, kind, position, serial, number, 0, len(table)))
    whole += table
    for packet in packets:
        whole += packet
    return _sealed(whole)


def _sealed(whole: bytearray) -> bytes:
    whole[_CRC_AT : _CRC_AT + 4] = bytes(4)
    whole[_CRC_AT : _CRC_AT + 4] = struct.pack("<I", checksum(bytes(whole)))
    return bytes(whole)


def checksum(data: bytes) -> int:
    """Return Ogg's CRC: zlib's polynomial, but the other way round, from zero and not inverted (RFC 3533, 6)."""
    found = zlib.crc32(data.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(found.to_bytes(4, "little").translate(_MIRRORED), "big")


def mend(path: Path) -> Length:
    """Cut the file behind its last whole page, mark that as the end, and return what the file holds.

    A file that ends as it should is left alone. Raises :class:`BadOggError` where there is nothing to hear, and
    ``OSError``.
    """
    with path.open("r+b") as file:
        pre_skip, at, end, position = 0, 0, 0, 0
        while (found := _read_page(file, end)) is not None:
            header, body = found
            if end == 0:
                pre_skip = _pre_skip(body)
            at, end, position = end, end + len(header) + len(body), _PAGE.unpack_from(header)[3]
        if position <= pre_skip:
            raise BadOggError(f"{path.name} holds no sound")
        if path.stat().st_size != end:
            file.truncate(end)
        file.seek(at)
        whole = bytearray(file.read(end - at))
        if not whole[5] & _LAST:
            whole[5] |= _LAST
            file.seek(at)
            file.write(_sealed(whole))
            file.flush()
            os.fsync(file.fileno())
    return Length(round((position - pre_skip) / RATE_HZ, 3), end)


def _read_page(file: BinaryIO, at: int) -> tuple[bytes, bytes] | None:
    """Return the header and the body of the page that begins at ``at``; ``None`` where there is no whole one."""
    file.seek(at)
    header = file.read(_PAGE.size)
    if len(header) < _PAGE.size or header[:4] != b"OggS":
        return None
    table = file.read(header[-1])
    body = file.read(sum(table))
    if len(table) < header[-1] or len(body) < sum(table):
        return None
    whole = header + table + body
    blank = whole[:_CRC_AT] + bytes(4) + whole[_CRC_AT + 4 :]
    if struct.unpack_from("<I", whole, _CRC_AT)[0] != checksum(blank):
        return None
    return header + table, body


def _pre_skip(body: bytes) -> int:
    if len(body) < _HEAD.size or body[:8] != b"OpusHead":
        raise BadOggError("this is no Ogg Opus file")
    pre_skip: int = _HEAD.unpack_from(body)[3]
    return pre_skip
