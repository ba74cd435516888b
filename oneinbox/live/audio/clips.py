"""Speech that is kept, with the Opus packets that it is sent as: heard again, it costs neither a voice nor an encoder."""

from collections import OrderedDict
from typing import TypeVar

from oneinbox.live.audio.opus import OpusEncoder

RATE_HZ = 24_000
FRAME_BYTES = RATE_HZ // 50 * 2
MAX_KEPT_BYTES = 64 * 1024 * 1024
"""A bound of some twenty minutes of speech."""

Key = TypeVar("Key")


class PreparedFrame(bytes):
    """20 ms of sound and the packet that it is sent as."""

    packet: bytes


class Clip(bytes):
    """Sound of whole frames of 20 ms, each with its packet."""

    frames: tuple[PreparedFrame, ...]


def make_clip(pcm: bytes) -> Clip:
    """Encode speech (24 kHz), silence being added up to a whole frame. Takes some 5 ms of CPU time a second."""
    clip = Clip(pcm.ljust(-(-len(pcm) // FRAME_BYTES) * FRAME_BYTES, b"\0"))
    encoder = OpusEncoder(RATE_HZ)
    frames: list[PreparedFrame] = []
    for at in range(0, len(clip), FRAME_BYTES):
        frame = PreparedFrame(clip[at : at + FRAME_BYTES])
        frame.packet = encoder.encode(frame)
        frames.append(frame)
    encoder.close()
    clip.frames = tuple(frames)
    return clip


class ClipShelf:
    """Clips by what they are of; those that nobody asked for lately make room for new ones."""

    def __init__(self, max_bytes: int = MAX_KEPT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._clips: OrderedDict[bytes, Clip] = OrderedDict()
        self.size_bytes = 0

    def get(self, key: bytes) -> Clip | None:
        """Return the clip, if it is there."""
        clip = self._clips.get(key)
        if clip is not None:
            self._clips.move_to_end(key)
        return clip

    def put(self, key: bytes, clip: Clip) -> None:
        """Keep a clip. One that would take a quarter of the room or more is not kept."""
        if key in self._clips or _size(clip) * 4 >= self._max_bytes:
            return
        self._clips[key] = clip
        self.size_bytes += _size(clip)
        while self.size_bytes > self._max_bytes:
            _, dropped = self._clips.popitem(last=False)
            self.size_bytes -= _size(dropped)


def _size(clip: Clip) -> int:
    """The sound is held twice: whole, and by frames."""
    return 2 * len(clip) + sum(len(frame.packet) for frame in clip.frames)
