"""The link between the server and one worker: typed messages over a byte stream.

Frames are a 4-byte big-endian length and a MessagePack body. The stream is a socket pair made by the parent, so
nobody else can speak on it, and the death of either side is seen at once by the other as end of file.
"""

import asyncio
import struct
from types import UnionType
from typing import Generic, TypeVar

import msgspec

from oneinbox.core.errors import LinkClosedError
from oneinbox.core.events import AnyCallEvent, EndReason
from oneinbox.core.instructions import Instruction
from oneinbox.core.load import LoopLoad, MediaLoad
from oneinbox.core.spec import CallSpec

Incoming = TypeVar("Incoming")
Outgoing = TypeVar("Outgoing")

_LENGTH = struct.Struct("!I")
MAX_FRAME_BYTES = 8 * 1024 * 1024


class IceServer(msgspec.Struct, frozen=True, kw_only=True):
    """A STUN or TURN server that clients are told of.

    A TURN server wants ``username`` and ``credential``, which every client may read; better is ``secret``, which it shares with
    us (coturn: ``use-auth-secret``) and from which each client is given credentials of its own that soon expire.
    """

    urls: tuple[str, ...]
    username: str = ""
    credential: str = ""
    secret: str = ""

    def __repr__(self) -> str:
        return f"IceServer(urls={self.urls!r}, ***)"


class MediaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a worker's media endpoint listens and what it tells clients."""

    bind_host: str = "127.0.0.1"
    """Addresses by commas: a socket for each."""
    port: int = 7882
    """UDP and ICE-TCP, both on this number."""
    announced_addresses: tuple[str, ...] = ()
    """IP addresses that clients are told of; empty: the bind address, or every address of the machine."""
    ice_servers: tuple[IceServer, ...] = ()
    rejoin_grace_s: float = 30.0
    """How long a participant that vanished may take to come back into its call."""


# ---- down: from the server to the worker ------------------------------------------------------------------------


class Configure(msgspec.Struct, frozen=True, kw_only=True, tag="configure"):
    """The first message: who the worker is and what it needs to run."""

    worker_id: str
    media: MediaSettings
    models_dir: str
    recordings_dir: str
    token_secret: str
    token_issuer: str
    turn_logs: int = 0
    """Of how many calls the log of turns is kept; 0: none is written."""
    turn_logs_dir: str = ""
    warm: tuple[str, ...] = ()
    """Providers whose shared parts are made right after the start, so that the first call need not wait."""
    allowed_networks: tuple[str, ...] = ()
    """Private networks that URLs of users may lead to."""
    log_level: str = "INFO"


class StartCall(msgspec.Struct, frozen=True, kw_only=True, tag="start_call"):
    """Prepare this call and wait for its participant."""

    spec: CallSpec


class StopCall(msgspec.Struct, frozen=True, kw_only=True, tag="stop_call"):
    """End this call for ``reason``."""

    call_id: str
    reason: EndReason


class TellCall(msgspec.Struct, frozen=True, kw_only=True, tag="tell_call"):
    """Tell this call something."""

    call_id: str
    instruction: Instruction


class OpenSocket(msgspec.Struct, frozen=True, kw_only=True, tag="open_socket"):
    """A client opened the signalling WebSocket with a token that was found valid."""

    socket_id: int
    room_name: str
    identity: str
    token_id: str
    rejoin: bool
    probe: bool = False
    """No call's: the room is made for whoever checks whether the media can be reached."""
    origin: str | None = None
    """The browser origin that the token is bound to; what it is given to come back with is bound to it too."""
    path: str
    """``/rtc/v1`` (single PeerConnection) or ``/rtc`` (dual)."""
    query: dict[str, str]
    """The query without the token."""


class SocketData(msgspec.Struct, frozen=True, kw_only=True, tag="socket_data"):
    """One binary WebSocket message, in either direction."""

    socket_id: int
    data: bytes


class CloseSocket(msgspec.Struct, frozen=True, kw_only=True, tag="close_socket"):
    """The WebSocket is closed (down: by the client, or lost; up: by the worker)."""

    socket_id: int
    code: int = 1000


class KnowledgeFound(msgspec.Struct, frozen=True, kw_only=True, tag="knowledge_found"):
    """The answer to a :class:`SearchKnowledge`."""

    request_id: int
    text: str | None
    """Passages for a language model to read; ``None`` where the search failed."""


class Drain(msgspec.Struct, frozen=True, kw_only=True, tag="drain"):
    """End every call for ``reason`` and exit."""

    reason: EndReason = EndReason.SERVER_SHUTDOWN


Down = Configure | StartCall | StopCall | TellCall | OpenSocket | SocketData | CloseSocket | Drain | KnowledgeFound

# ---- up: from the worker to the server --------------------------------------------------------------------------


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """The worker can take calls."""

    pid: int
    media_port: int


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """The worker could not start (a port in use, a model file missing), and why."""

    message: str


class CallHappened(msgspec.Struct, frozen=True, kw_only=True, tag="event"):
    """A call event, to be recorded."""

    event: AnyCallEvent


class SearchKnowledge(msgspec.Struct, frozen=True, kw_only=True, tag="search_knowledge"):
    """A call looks something up in the knowledge bases its agent has; :class:`KnowledgeFound` answers."""

    request_id: int
    """Counts up in each worker."""
    org_id: str
    knowledge_base_ids: tuple[str, ...]
    query: str


class SocketAccepted(msgspec.Struct, frozen=True, kw_only=True, tag="socket_accepted"):
    """The worker takes the socket: complete the WebSocket handshake."""

    socket_id: int


class SocketRefused(msgspec.Struct, frozen=True, kw_only=True, tag="socket_refused"):
    """The worker does not take the socket: answer the upgrade with this HTTP status."""

    socket_id: int
    status: int
    message: str


class Load(msgspec.Struct, frozen=True, kw_only=True, tag="load"):
    """Sent every second: how busy the worker is. Its absence means the worker hangs."""

    calls: int
    """How many the worker holds, whether their participant has joined or not."""
    active_calls: int
    """Those with two-way audio."""
    tick_late_ms: float
    """Of the latest tick since the last such message."""
    cpu_s: float
    """What the process used since it started."""
    resident_bytes: int
    media: MediaLoad
    loop: LoopLoad


Up = Ready | Refused | CallHappened | SearchKnowledge | SocketAccepted | SocketRefused | SocketData | CloseSocket | Load


class Link(Generic[Incoming, Outgoing]):
    """One end of the link. Messages arrive in the order they were sent.

    ``incoming`` is the union of message types this end accepts; anything else on the wire is an error, because both
    ends are always of the same release.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        incoming: type[Incoming] | UnionType,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: msgspec.msgpack.Decoder[Incoming] = msgspec.msgpack.Decoder(incoming)

    def send(self, message: Outgoing) -> None:
        """Queue one message; never blocks. Silently drops it where the other end has gone: ``receive`` tells."""
        if self._writer.is_closing():
            return
        body = self._encoder.encode(message)
        self._writer.write(_LENGTH.pack(len(body)) + body)

    async def receive(self) -> Incoming:
        """Return the next message; raises :class:`LinkClosedError` when the other end has gone."""
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            if length > MAX_FRAME_BYTES:
                raise LinkClosedError(f"a frame of {length} bytes is over the limit of {MAX_FRAME_BYTES}")
            return self._decoder.decode(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise LinkClosedError("the other end of the link has gone") from error

    async def drain(self) -> None:
        """Wait until what was sent has been handed to the operating system."""
        try:
            await self._writer.drain()
        except ConnectionError as error:
            raise LinkClosedError("the other end of the link has gone") from error

    async def aclose(self) -> None:
        """Close this end."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            pass  # the other end was quicker
