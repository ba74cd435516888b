"""The recording of one call: caller left, agent right, in step with the call's clock to the sample.

- Right is what went to the caller, packet for packet: ducked, cut and silent where it was, encoded once for both.
- Left is what was heard of the caller, with what was concealed, at the time at which it was heard. It is placed by the
  sender's own time stamps, so that jitter, losses and late packets move nothing; only where these run away from the
  clock (a new path, a clock that drifts) is it placed anew.

The call's loop only collects; encoding and writing is done for all calls on one thread, in batches. Whatever happens,
at most the last 0.6 s are not in the file. A recording that cannot be written ends with its reason; the call goes on.
"""

import asyncio
import logging
import math
import os
import secrets
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple

from oneinbox.core import ogg
from oneinbox.live.audio.opus import SILENCE_20_MS, OpusEncoder, OpusError

_log = logging.getLogger(__name__)

SLOT_S = 0.02
RATE_HZ = 16_000
"""Of the caller's sound."""

_SLOT_BYTES = RATE_HZ // 50 * 2
_SILENT_SLOT = bytes(_SLOT_BYTES)
_LAG_SLOTS = 10
"""How late the caller's sound may come and still be placed."""
_BATCH_SLOTS = 20
_ENCODER_DELAY = ogg.RATE_HZ * 13 // 2000
"""6.5 ms: by so much what libopus encodes for speech comes out later than it went in (RFC 6716, 2)."""
_LEAD_OUT_SLOTS = 2
_TIMESTAMP_HZ = 48_000  # RFC 7587, 4.1
_EARLY_SAMPLES, _LATE_SAMPLES = RATE_HZ // 50, RATE_HZ * 3 // 100
_LOST_SAMPLES = RATE_HZ * 18 // 100
"""Sound that comes later than this would miss its place: it stands where it was heard."""
_WINDOW_PACKETS = 100
_MAX_WAITING = 50
"""Batches: a disk that is 20 s behind is not going to catch up."""
_MAX_SKIPPED = 3_000


class Heard(NamedTuple):
    """Sound of the caller, as it was decoded or concealed."""

    pcm: bytes
    """16 kHz."""
    timestamp: int
    """The RTP time stamp of its first sample."""
    stream: object
    """The same object for all that one sender's clock counts."""
    at_s: float
    """When it was heard: its packet's arrival."""


class TapeEnd(NamedTuple):
    """What became of a recording."""

    duration_s: float
    size_bytes: int
    error: str | None


class Tape:
    """Records one call. All methods are called on the worker's event loop and never raise; none but ``finish`` waits."""

    def __init__(self, path: Path, started_s: float, thread: Executor) -> None:
        """``started_s``: the loop's time at which the call's clock began. ``thread`` does one thing after the other."""
        self._started_s = started_s
        self._thread = thread
        self._writer = _Writer(path)
        self._waiting = 0
        self._agent: list[bytes] = []
        """From the first slot that is not handed over on."""
        self._caller = _CallerTrack()
        self._handed_over = 0
        self._begun = False
        self._finished = False

    @property
    def error(self) -> str | None:
        """Why there is no more of it, where that is so."""
        return self._writer.error

    def played(self, now_s: float, skipped: int, packet: bytes | None) -> None:
        """Take what went to the caller in a tick of 20 ms: an Opus packet, or nothing. ``skipped`` ticks were left out."""
        if self._finished or self.error is not None:
            return
        if not self._begun:
            self._begin(min(max(now_s - self._started_s, 0.0), SLOT_S))
        self._agent += [SILENCE_20_MS] * min(skipped, _MAX_SKIPPED)
        self._agent.append(packet or SILENCE_20_MS)
        while len(self._agent) >= _LAG_SLOTS + _BATCH_SLOTS:
            self._hand_over(_BATCH_SLOTS)

    def _begin(self, phase_s: float) -> None:
        """One slot stands before the first tick; of it so much is skipped as the tick came after the clock's start."""
        self._begun = True
        self._writer.pre_skip = _ENCODER_DELAY + round((SLOT_S - phase_s) * ogg.RATE_HZ)
        self._caller.origin_s = self._started_s + phase_s - SLOT_S
        self._agent.append(SILENCE_20_MS)

    def heard(self, sound: Heard) -> None:
        """Take sound of the caller. What came before the first tick is no part of the call's sound."""
        if self._begun and not self._finished and self.error is None:
            self._caller.place(sound)

    async def finish(self, duration_s: float) -> TapeEnd:
        """Write the rest, cut to the call's length, and close the file."""
        if not self._finished:
            if not self._begun:
                self._begin(SLOT_S)
            self._finished = True
            self._finish_at(self._writer.pre_skip + round(duration_s * ogg.RATE_HZ))
        await asyncio.wrap_future(self._thread.submit(self._writer.close))
        length_s = 0.0 if self.error is not None else duration_s
        return TapeEnd(round(length_s, 3), self._writer.size_bytes, self.error)

    def _finish_at(self, position: int) -> None:
        missing = math.ceil(position / ogg.PACKET_SAMPLES) - self._handed_over - len(self._agent)
        if missing < 0:
            del self._agent[max(1, len(self._agent) + missing) :]
        self._agent += [SILENCE_20_MS] * missing
        while self._agent:
            count = min(len(self._agent), _BATCH_SLOTS)
            self._hand_over(count, position if count == len(self._agent) else None)

    def _hand_over(self, count: int, last_position: int | None = None) -> None:
        if self._waiting >= _MAX_WAITING:
            self._writer.error = self._writer.error or "the disk is too slow"
        packets, self._agent = self._agent[:count], self._agent[count:]
        self._handed_over += count
        sound = self._caller.take(count)
        position = self._handed_over * ogg.PACKET_SAMPLES if last_position is None else last_position
        self._waiting += 1
        job = self._thread.submit(self._writer.write, packets, sound, position, last=last_position is not None)
        job.add_done_callback(self._written)

    def _written(self, _: "Future[None]") -> None:
        self._waiting -= 1  # on the writing thread: an estimate is enough


class TapeDeck:
    """Makes the tapes of a worker's calls, all in one directory, all written by one thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tapes")

    def open(self, name: str, started_s: float) -> Tape:
        """Return a new tape; ``name`` is its file's path below the directory."""
        return Tape(self._directory / name, started_s, self._thread)

    def close(self) -> None:
        """Stop when everything that was handed over is written."""
        self._thread.shutdown(wait=False)


class _CallerTrack:
    """The caller's sound from the first slot on that was not taken yet."""

    def __init__(self) -> None:
        self.origin_s = 0.0
        """The time of the first sample of all."""
        self._first = 0
        """Samples that were taken."""
        self._pcm = bytearray()
        self._stream: object = None
        self._start: int = 0
        """Where the sample stands that the stream's clock counts as ``_timestamp``."""
        self._timestamp = 0
        self._earliest: int = 0
        self._packets = 0

    def place(self, sound: Heard) -> None:
        """Put sound where it belongs."""
        count = len(sound.pcm) // 2
        arrived = round((sound.at_s - self.origin_s) * RATE_HZ) - count
        if sound.stream is not self._stream:
            self._stream, self._start, self._timestamp = sound.stream, arrived, sound.timestamp
            self._forget_delays()
        ahead = (sound.timestamp - self._timestamp + (1 << 31) & 0xFFFFFFFF) - (1 << 31)
        at = self._start + ahead * RATE_HZ // _TIMESTAMP_HZ
        self._start, self._timestamp = at, sound.timestamp
        at += self._correction(arrived - at)
        self._start = at
        self._lay(at - self._first, sound.pcm)

    def _correction(self, delay: int) -> int:
        """Return by how many samples to move: nothing is heard before it came, nor for long much later than it was put."""
        if delay < -_EARLY_SAMPLES or delay > _LOST_SAMPLES:
            self._forget_delays()
            return delay
        self._earliest = min(self._earliest, delay)
        self._packets += 1
        if self._packets < _WINDOW_PACKETS:
            return 0
        earliest = self._earliest
        self._forget_delays()
        return earliest if earliest > _LATE_SAMPLES else 0

    def _forget_delays(self) -> None:
        self._earliest, self._packets = 1 << 31, 0

    def _lay(self, at: int, pcm: bytes) -> None:
        if at < 0:  # too late for the slots that were taken
            pcm, at = pcm[-2 * at :], 0
        if not pcm or at > RATE_HZ * 60:
            return
        if len(self._pcm) < 2 * at:
            self._pcm += bytes(2 * at - len(self._pcm))
        self._pcm[2 * at : 2 * at + len(pcm)] = pcm

    def take(self, slots: int) -> bytes:
        """Return the next slots' sound, silent where there is none."""
        size = slots * _SLOT_BYTES
        taken = bytes(self._pcm[:size]).ljust(size, b"\0")
        del self._pcm[:size]
        self._first += size // 2
        return taken


class _Writer:
    """The half that works on the writing thread."""

    def __init__(self, path: Path) -> None:
        self.pre_skip = _ENCODER_DELAY
        self.size_bytes = 0
        self.error: str | None = None
        self._path = path
        self._file: BinaryIO | None = None
        self._encoder: OpusEncoder | None = None
        self._serial = secrets.randbits(32)
        self._pages = 0
        self._silent_slots = _LEAD_OUT_SLOTS

    def write(self, packets: list[bytes], sound: bytes, position: int, *, last: bool) -> None:
        """Encode and write one stretch as a page."""
        if self.error is not None:
            return
        try:
            if self._file is None:
                self._open()
            both = [
                ogg.joined(self._encoded(sound[at : at + _SLOT_BYTES]), packet)
                for packet, at in zip(packets, range(0, len(sound), _SLOT_BYTES), strict=True)
            ]
            self._put(both, position, last=last)
        except (OSError, OpusError, ValueError) as error:
            self._fail(error)

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
        self._file = open(descriptor, "wb", buffering=0)  # noqa: SIM115,PTH123 - closed in close(); from a descriptor
        self._encoder = OpusEncoder(RATE_HZ, complexity=0, bitrate_bps=20_000)
        self._put([ogg.head_packet(self.pre_skip)], 0)
        self._put([ogg.tags_packet("OneInbox")], 0)

    def _put(self, packets: list[bytes], position: int, *, last: bool = False) -> None:
        page = ogg.page(packets, serial=self._serial, number=self._pages, position=position, last=last)
        if self._file is None or self._file.write(page) != len(page):
            raise OSError("the page was not written whole")
        self._pages += 1
        self.size_bytes += len(page)

    def _encoded(self, pcm: bytes) -> bytes:
        """Encode what is not silent, and a little behind it, so that it fades as the encoder means it to."""
        if pcm != _SILENT_SLOT:
            self._silent_slots = 0
        elif self._silent_slots >= _LEAD_OUT_SLOTS:
            return SILENCE_20_MS
        else:
            self._silent_slots += 1
        if self._encoder is None:
            raise OpusError("there is no encoder")
        return self._encoder.encode(pcm)

    def close(self) -> None:
        """Close the file. Harmless when called again."""
        try:
            if self._file is not None:
                self._file.close()
        except OSError as error:
            self._fail(error)
        self._file = None
        if self._encoder is not None:
            self._encoder.close()
            self._encoder = None

    def _fail(self, error: Exception) -> None:
        if self.error is None:
            self.error = f"{type(error).__name__}: {error}"[:300]
            _log.error("the recording %s ends: %s", self._path.name, error)
            self.close()
