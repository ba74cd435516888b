"""One UDP port and one TCP port of the same number, shared by every call of a worker.

A packet is told apart by what it is and where it comes from: a STUN check names its session by user fragment; once it
proved that it knows that session's password, its address belongs to the session. Anything from an address that
proved nothing is dropped unread, unless it is media that authenticates itself: then its client moved. TCP carries the same packets, each behind its length (RFC 4571), for clients that
cannot send UDP (RFC 6544; we are the passive side).
"""

import asyncio
import contextlib
import logging
import socket
import struct
from typing import cast

from oneinbox.live.media.embedded import stun
from oneinbox.live.media.embedded.ice import Address, IceSession, Path

_log = logging.getLogger(__name__)

_RECEIVE_BUFFER_BYTES = 4 << 20
_MAX_DATAGRAM_BYTES = 2048
_DRAIN_PACKETS = 256
"""Datagrams read in one go, so that a flood cannot keep the loop from everything else."""
_TCP_MAX_FRAME_BYTES = 2048
_TCP_MAX_UNSENT_BYTES = 32 * 1024
"""Beyond this, audio waiting in a slow connection is worth less than the delay it would cause: it is dropped."""
_TCP_PROOF_S = 10.0
_TCP_MAX_UNPROVEN = 128
_PORT_TRIES = 20

_LENGTH = struct.Struct("!H")


class MediaPort:
    """The sockets, and who each packet is for."""

    def __init__(self) -> None:
        self._sessions: dict[str, IceSession] = {}
        self._udp_paths: dict[Address, _UdpPath] = {}
        self._senders: dict[bytes, IceSession] = {}
        """Whose media each SSRC is."""
        self._unproven: dict[_TcpPath, None] = {}
        self._tcp_paths: set[_TcpPath] = set()
        self._udp: socket.socket | None = None
        self._tcp: asyncio.Server | None = None
        self.number = 0
        self.udp_enabled = True
        self.tcp_enabled = True

    async def open(self, host: str, port: int) -> int:
        """Bind both; return the number. ``port`` 0 takes one that is free for both. Raises ``OSError`` naming it."""
        failure = OSError()
        for _ in range(1 if port else _PORT_TRIES):
            try:
                return await self._open_both(host, port)
            except OSError as error:
                failure = error
        taken = f"the media port {host}:{port} (UDP and TCP) cannot be opened: {failure.strerror}"
        raise OSError(failure.errno, taken) from failure

    async def _open_both(self, host: str, port: int) -> int:
        family, address = resolve_host(host)
        udp, tcp = _socket(family, socket.SOCK_DGRAM), _socket(family, socket.SOCK_STREAM)
        try:
            udp.bind((address, port))
            number = int(udp.getsockname()[1])
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tcp.bind((address, number))
            self._tcp = await asyncio.get_running_loop().create_server(lambda: _TcpPath(self), sock=tcp)
        except OSError:
            udp.close()
            tcp.close()
            raise
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        self._udp = udp
        asyncio.get_running_loop().add_reader(udp.fileno(), self._drain, udp)
        self.number = number
        return number

    async def aclose(self) -> None:
        """Close the sockets and every connection."""
        if self._udp is not None:
            asyncio.get_running_loop().remove_reader(self._udp.fileno())
            self._udp.close()
            self._udp = None
        if self._tcp is not None:
            self._tcp.close()
            for path in list(self._tcp_paths):
                path.forget()
            await self._tcp.wait_closed()
            self._tcp = None

    # ---- sessions

    def add(self, session: IceSession) -> None:
        """Let checks that name ``session`` reach it."""
        self._sessions[session.ufrag] = session

    def restart(self, session: IceSession) -> None:
        """Give ``session`` new credentials; checks with the old ones are no longer answered."""
        self._sessions.pop(session.ufrag, None)
        session.restart()
        self.add(session)

    def remove(self, session: IceSession) -> None:
        """Forget ``session`` and every path to it."""
        self._sessions.pop(session.ufrag, None)
        self._senders = {ssrc: owner for ssrc, owner in self._senders.items() if owner is not session}
        session.close()

    def expect(self, ssrc: int, session: IceSession) -> None:
        """Media of ``ssrc`` is ``session``'s, from wherever it comes. Whoever has a number first keeps it."""
        self._senders.setdefault(ssrc.to_bytes(4, "big"), session)

    def holdings(self) -> tuple[int, int]:
        """Return how many sessions and how many paths are known: zero of each where no call is left."""
        return len(self._sessions), len(self._udp_paths) + len(self._tcp_paths)

    def _session_of(self, data: bytes) -> tuple[IceSession, stun.BindingRequest] | None:
        try:
            request = stun.parse_binding_request(data)
        except stun.MalformedStunError as error:
            _log.debug("a malformed STUN message: %s", error)
            return None
        if request is None:
            return None
        session = self._sessions.get(request.username.partition(":")[0])
        return None if session is None else (session, request)

    # ---- UDP

    def _drain(self, udp: socket.socket) -> None:
        now_s = asyncio.get_running_loop().time()
        for _ in range(_DRAIN_PACKETS):
            try:
                data, address = udp.recvfrom(_MAX_DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except OSError as error:  # an ICMP error about a packet sent earlier: nothing of ours to do
                _log.debug("reading UDP: %s", error)
                continue
            if not data or not self.udp_enabled:
                continue
            if data[0] < 4:
                self._udp_check(data, address, now_s)
            elif (path := self._udp_paths.get(address)) is not None:
                path.session.receive(data, path, now_s)
            elif (session := self._senders.get(data[8:12])) is not None and 128 <= data[0] <= 191:
                path = _UdpPath(self, session, address)
                if session.receive_from_stranger(data, path, now_s):
                    self._udp_paths[address] = path

    def _udp_check(self, data: bytes, address: Address, now_s: float) -> None:
        found = self._session_of(data)
        if found is None:
            return
        session, request = found
        path = self._udp_paths.get(address)
        if path is None or path.session is not session:
            path = _UdpPath(self, session, address)
        if session.check(request, path, now_s):
            known = self._udp_paths.get(address)
            if known is not None and known is not path:
                known.session.lose(known)  # the address has a new owner, who proved it
            self._udp_paths[address] = path

    def send_udp(self, data: bytes, address: Address) -> None:
        """Send one datagram, or drop it where the network does not take it now."""
        if self._udp is None:
            return
        try:
            self._udp.sendto(data, address)
        except OSError as error:  # a full buffer, or no route: media does not wait, and DTLS sends again
            _log.debug("sending UDP: %s", error)

    def forget_udp(self, path: "_UdpPath", address: Address) -> None:
        """Stop delivering what comes from ``address``, where it is still ``path``'s."""
        if self._udp_paths.get(address) is path:
            del self._udp_paths[address]

    # ---- TCP

    def connected(self, path: "_TcpPath") -> None:
        """A TCP connection came in: it has a while to prove which session it is for."""
        self._tcp_paths.add(path)
        if not self.tcp_enabled:
            path.forget()
            return
        self._unproven[path] = None
        if len(self._unproven) > _TCP_MAX_UNPROVEN:
            next(iter(self._unproven)).forget()

    def disconnected(self, path: "_TcpPath") -> None:
        """A TCP connection ended."""
        self._tcp_paths.discard(path)
        self._unproven.pop(path, None)
        if path.session is not None:
            path.session.lose(path)

    def tcp_packet(self, data: bytes, path: "_TcpPath", now_s: float) -> None:
        """Take one packet that came by TCP."""
        if data[0] < 4:
            found = self._session_of(data)
            if found is None:
                return
            session, request = found
            if path.session in (None, session) and session.check(request, path, now_s):
                path.session = session
                self._unproven.pop(path, None)
        elif path.session is not None:
            path.session.receive(data, path, now_s)


class _UdpPath(Path):
    transport = "udp"

    def __init__(self, port: MediaPort, session: IceSession, address: Address) -> None:
        self._port = port
        self._address = address
        self.session = session

    @property
    def address(self) -> Address:
        return self._address[:2]

    def send(self, data: bytes) -> None:
        self._port.send_udp(data, self._address)

    def forget(self) -> None:
        self._port.forget_udp(self, self._address)


class _TcpPath(asyncio.Protocol, Path):
    transport = "tcp"

    def __init__(self, port: MediaPort) -> None:
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._deadline: asyncio.TimerHandle | None = None
        self.session: IceSession | None = None

    @property
    def address(self) -> Address:
        name = None if self._transport is None else self._transport.get_extra_info("peername")
        return ("0.0.0.0", 0) if name is None else (str(name[0]), int(name[1]))  # noqa: S104 - says "unknown", binds nothing

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # what create_server promises for a stream
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._deadline = asyncio.get_running_loop().call_later(_TCP_PROOF_S, self._end_unproven)
        self._port.connected(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        now_s = asyncio.get_running_loop().time()
        at = 0
        while len(self._received) - at >= _LENGTH.size and self._transport is not None:
            (length,) = _LENGTH.unpack_from(self._received, at)
            if length > _TCP_MAX_FRAME_BYTES:
                _log.debug("a TCP client sent a frame of %d bytes", length)
                self.forget()
                return
            end = at + _LENGTH.size + length
            if end > len(self._received):
                break
            if length:
                self._port.tcp_packet(bytes(self._received[at + _LENGTH.size : end]), self, now_s)
            at = end
        del self._received[:at]

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # why a connection ended changes nothing: ICE decides whether its client is gone
        if self._deadline is not None:
            self._deadline.cancel()
        self._transport = None
        self._port.disconnected(self)

    def _end_unproven(self) -> None:
        if self.session is None:
            self.forget()

    def send(self, data: bytes) -> None:
        if self._transport is not None and self._transport.get_write_buffer_size() < _TCP_MAX_UNSENT_BYTES:
            self._transport.write(_LENGTH.pack(len(data)) + data)

    def forget(self) -> None:
        if self._transport is not None:
            transport, self._transport = self._transport, None
            transport.abort()


def resolve_host(host: str) -> tuple[socket.AddressFamily, str]:
    """Return the family and the numeric address of a host to bind to; raises ``OSError`` where it names none."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
    return found[0][0], str(found[0][4][0])


def _socket(family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
    made = socket.socket(family, kind)
    made.settimeout(0)
    if family == socket.AF_INET6:
        with contextlib.suppress(OSError):  # a machine without IPv4 has no such option to unset
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    return made
