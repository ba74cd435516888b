"""Ogg pages and their mending, read back by FFmpeg's own reader and decoder."""

import io
import random
from pathlib import Path

import av
import pytest

from oneinbox.core import ogg
from oneinbox.live.audio.opus import SILENCE_20_MS, OpusEncoder
from tests.support.media_signal import tone

PRE_SKIP = 312


def pages(count: int = 10, *, ended: bool = True) -> list[bytes]:
    """A file of 20 packets a page."""
    encoder = OpusEncoder()
    packets = [ogg.joined(encoder.encode(tone(440, 0.02, 24_000)), SILENCE_20_MS) for _ in range(20 * count)]
    made = [
        ogg.page([ogg.head_packet(PRE_SKIP)], serial=7, number=0, position=0),
        ogg.page([ogg.tags_packet("x")], serial=7, number=1, position=0),
    ]
    for n in range(count):
        mine = packets[20 * n : 20 * n + 20]
        position = 960 * 20 * (n + 1)
        made.append(ogg.page(mine, serial=7, number=n + 2, position=position, last=ended and n == count - 1))
    return made


def decoded_s(data: bytes) -> float:
    with av.open(io.BytesIO(data)) as container:
        return sum(frame.samples for frame in container.decode(audio=0)) / 48_000


def test_the_checksum_is_oggs() -> None:
    assert ogg.checksum(b"") == 0
    assert ogg.checksum(b"123456789") == 0x89A1897F  # CRC-32 with 0x04C11DB7, from 0, neither mirrored nor inverted


def test_a_file_is_stereo_and_as_long_as_it_says() -> None:
    data = b"".join(pages())
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.name, stream.channels, stream.rate) == ("opus", 2, 48_000)
    assert decoded_s(data) == pytest.approx(4.0 - PRE_SKIP / 48_000, abs=1e-6)


def test_a_whole_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    path.write_bytes(data := b"".join(pages()))
    assert ogg.mend(path) == (round(4.0 - PRE_SKIP / 48_000, 3), len(data))
    assert path.read_bytes() == data


@pytest.mark.parametrize("seed", range(20))
def test_a_file_that_breaks_off_anywhere_plays_up_to_its_last_whole_page(tmp_path: Path, seed: int) -> None:
    made = pages(ended=False)
    data, path = b"".join(made), tmp_path / "a.ogg"
    cut = random.Random(seed).randrange(len(made[0]) + len(made[1]) + len(made[2]), len(data))
    path.write_bytes(data[:cut])
    whole = 0
    while sum(map(len, made[: whole + 1])) <= cut:
        whole += 1
    found = ogg.mend(path)
    assert found.size_bytes == path.stat().st_size == sum(map(len, made[:whole]))
    assert found.duration_s == pytest.approx((whole - 2) * 0.4 - PRE_SKIP / 48_000, abs=0.001)
    assert decoded_s(path.read_bytes()) == pytest.approx(found.duration_s, abs=0.001)
    assert ogg.mend(path) == found  # and mended once more it is the same


def test_rubbish_behind_the_last_page_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    made = pages(ended=False)
    spoilt = bytearray(made[-1])
    spoilt[100] ^= 1
    path.write_bytes(b"".join(made[:-1]) + spoilt)
    assert ogg.mend(path).size_bytes == sum(map(len, made[:-1]))


@pytest.mark.parametrize("data", [b"", b"OggS", b"x" * 5000, b"".join(pages()[:2])])
def test_where_there_is_nothing_to_hear_that_is_said(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.ogg"
    path.write_bytes(data)
    with pytest.raises(ogg.BadOggError):
        ogg.mend(path)


def test_only_single_frames_can_come_first() -> None:
    with pytest.raises(ValueError, match="one frame"):
        ogg.joined(b"\x4b\x02ab", SILENCE_20_MS)
    for size in (0, 1, 251, 252, 255, 256, 600, 1274):
        packet = ogg.joined(b"\x48" + bytes(size), b"\xf8")
        first, *rest = packet[1:3]
        told = first if first < 252 else first + 4 * rest[0]
        assert told == size


def test_a_page_refuses_more_than_its_table_can_hold() -> None:
    with pytest.raises(ValueError, match="fit"):
        ogg.page([bytes(2550)] * 25, serial=1, number=0, position=0)
