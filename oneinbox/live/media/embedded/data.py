"""What goes over the data channel: captions and events to the page, typed text from it.

Text streams (a header, chunks, a trailer) as LiveKit's clients know them; one stream for each state of a caption, the whole
text in it, ``lk.segment_id`` saying which caption it replaces.
"""

import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import msgspec
from google.protobuf.message import DecodeError
from livekit.protocol import models

from oneinbox.live.engine.ports import Caption
from oneinbox.live.media.embedded.names import AGENT_IDENTITY, RoomNames

_log = logging.getLogger(__name__)

_CAPTION_TOPIC = "lk.transcription"
_EVENT_TOPIC = "oi.event"
_CHAT_TOPIC = "lk.chat"
_CHUNK_BYTES = 15_000
_MAX_TEXT_BYTES = 64 * 1024
_DIGITS = "0123456789*#ABCD"
_MAX_OPEN_STREAMS = 8
_MAX_EVENT_BYTES = 60 * 1024
_MAX_QUEUED = 256
_MAX_BUFFERED_BYTES = 256 * 1024


# ---- to the page


def caption_packets(caption: Caption, names: RoomNames, microphone_sid: str | None) -> list[bytes]:
    """Return the data packets of one state of a caption."""
    track_sid = names.agent_track_sid if caption.from_agent else microphone_sid
    attributes = {
        "lk.segment_id": caption.segment_id,
        "lk.transcription_final": "true" if caption.final else "false",
    }
    if track_sid is not None:
        attributes["lk.transcribed_track_id"] = track_sid
    stream_id = f"STR_{secrets.token_hex(8)}"
    content = caption.text.encode()
    header = models.DataStream.Header(
        stream_id=stream_id,
        timestamp=time.time_ns() // 1_000_000,
        topic=_CAPTION_TOPIC,
        mime_type="text/plain",
        total_length=len(content),
        attributes=attributes,
        text_header=models.DataStream.TextHeader(operation_type=models.DataStream.CREATE),
    )
    identity, sid = (AGENT_IDENTITY, names.agent_sid) if caption.from_agent else (names.user_identity, names.user_sid)
    packets = [packet(identity, sid, stream_header=header)]
    for index, piece in enumerate(_split_text(content)):
        chunk = models.DataStream.Chunk(stream_id=stream_id, chunk_index=index, content=piece)
        packets.append(packet(identity, sid, stream_chunk=chunk))
    packets.append(packet(identity, sid, stream_trailer=models.DataStream.Trailer(stream_id=stream_id)))
    return packets


def event_packet(kind: str, data: Mapping[str, Any], names: RoomNames) -> bytes:
    """Return the data packet of one event of topic ``oi.event``; raises ``ValueError`` where it is too long to send."""
    payload = msgspec.json.encode({"type": kind, **data})
    if len(payload) > _MAX_EVENT_BYTES:
        raise ValueError(f"an event of {len(payload)} bytes; {_MAX_EVENT_BYTES} is the most")
    user = models.UserPacket(
        participant_sid=names.agent_sid, participant_identity=AGENT_IDENTITY, payload=payload, topic=_EVENT_TOPIC
    )
    return packet(AGENT_IDENTITY, names.agent_sid, user=user)


def packet(identity: str, sid: str, **value: Any) -> bytes:
    """Return a reliable data packet of a participant that holds ``value``: one field of LiveKit's ``DataPacket``."""
    made = models.DataPacket(
        kind=models.DataPacket.RELIABLE, participant_identity=identity, participant_sid=sid, **value
    )
    return made.SerializeToString()


def _split_text(content: bytes) -> list[bytes]:
    """Cut UTF-8 text into chunks, never inside a character."""
    pieces: list[bytes] = []
    while content:
        end = min(_CHUNK_BYTES, len(content))
        while end < len(content) and content[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(content[:end])
        content = content[end:]
    return pieces


class Channel(Protocol):
    """The part of a data channel in use."""

    @property
    def readyState(self) -> str: ...  # noqa: D102, N802 - WebRTC's name

    @property
    def bufferedAmount(self) -> int: ...  # noqa: D102, N802 - WebRTC's name

    def send(self, data: bytes) -> None: ...  # noqa: D102


class DataQueue:
    """Packets on their way to the page: in order, kept until the channel is open and not full.

    While a caption waits, a later state of it takes its place; beyond 256 waiting things the oldest are dropped.
    """

    def __init__(self) -> None:
        self._channel: Channel | None = None
        self._waiting: OrderedDict[object, list[bytes]] = OrderedDict()

    def attach(self, channel: Channel | None) -> None:
        """Send by ``channel`` from now on; ``None``: keep everything until there is one again."""
        self._channel = channel
        self.flush()

    def put(self, packets: list[bytes], replaces: str | None = None) -> None:
        """Send, or keep, packets that belong together. ``replaces`` names what they take the place of."""
        key: object = object() if replaces is None else replaces
        self._waiting.pop(key, None)
        self._waiting[key] = packets
        self.flush()
        while len(self._waiting) > _MAX_QUEUED:
            self._waiting.popitem(last=False)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    def take_back(self, replaces: str) -> None:
        """Drop what was put under this name, where it still waits."""
        self._waiting.pop(replaces, None)

    def flush(self) -> None:
        """Send what the channel takes."""
        channel = self._channel
        while (
            self._waiting
            and channel is not None
            and channel.readyState == "open"
            and channel.bufferedAmount < _MAX_BUFFERED_BYTES
        ):
            _, packets = self._waiting.popitem(last=False)
            for packet in packets:
                channel.send(packet)


# ---- from the page


RemoteCall = models.RpcRequest | models.RpcAck | models.RpcResponse
"""What belongs to a call of a method, by either side."""


class DialledDigit(NamedTuple):
    """A key of a telephone's keypad."""

    digit: str


class Inbox:
    """Takes in what a participant sends. Typed text is text streams of topic ``lk.chat``, or plain packets of it."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, bytearray] = OrderedDict()
        self.last_sequence = 0
        """Of the last packet of a client that counts them, so that it may send again what it is unsure of."""

    def receive(self, data: bytes) -> str | DialledDigit | RemoteCall | None:
        """Take one data packet; return what it says or completes, text or else. What is not for us is ignored."""
        try:
            packet = models.DataPacket.FromString(data)
        except DecodeError:
            _log.warning("a data message of %d bytes that is not a data packet", len(data))
            return None
        if packet.sequence:
            if packet.sequence <= self.last_sequence:
                return None
            self.last_sequence = packet.sequence
        match packet.WhichOneof("value"):
            case "sip_dtmf" if len(packet.sip_dtmf.digit) == 1 and packet.sip_dtmf.digit in _DIGITS:
                return DialledDigit(packet.sip_dtmf.digit)
            case "rpc_request" | "rpc_ack" | "rpc_response" as kind:
                return getattr(packet, kind)
            case _:
                return self._read_text(packet)

    def _read_text(self, packet: models.DataPacket) -> str | None:
        match packet.WhichOneof("value"):
            case "user" if packet.user.topic == _CHAT_TOPIC:
                return _decode(packet.user.payload)
            case "stream_header":
                return self._begin(packet.stream_header)
            case "stream_chunk":
                self._extend(packet.stream_chunk)
            case "stream_trailer":
                whole = self._open.pop(packet.stream_trailer.stream_id, None)
                return None if whole is None or packet.stream_trailer.reason else _decode(whole)
            case _:
                pass
        return None

    def clear(self) -> None:
        """Forget what was begun: its rest will not come."""
        self._open.clear()
        self.last_sequence = 0

    def _begin(self, header: models.DataStream.Header) -> str | None:
        if header.topic != _CHAT_TOPIC or header.WhichOneof("content_header") != "text_header":
            return None
        if header.compression:
            _log.warning("a text stream in a compression that was not asked for")
            return None
        if header.HasField("inline_content"):
            return _decode(header.inline_content)
        self._open[header.stream_id] = bytearray()
        if len(self._open) > _MAX_OPEN_STREAMS:
            self._open.popitem(last=False)
        return None

    def _extend(self, chunk: models.DataStream.Chunk) -> None:
        begun = self._open.get(chunk.stream_id)
        if begun is None:
            return
        begun += chunk.content
        if len(begun) > _MAX_TEXT_BYTES:
            _log.warning("a text stream of more than %d bytes is dropped", _MAX_TEXT_BYTES)
            del self._open[chunk.stream_id]


def _decode(content: bytes | bytearray) -> str | None:
    if len(content) > _MAX_TEXT_BYTES:
        _log.warning("a text of more than %d bytes is dropped", _MAX_TEXT_BYTES)
        return None
    try:
        return content.decode().strip() or None
    except UnicodeDecodeError:
        _log.warning("a text that is not UTF-8 is dropped")
        return None
