"""One UDP port and one TCP port of the same number (on each address bound to), shared by every call of a worker.

A packet is told apart by what it is and where it comes from: a STUN check names its session by user fragment; once it
proved that it knows that session's password, its address belongs to the session. Anything from an address that
proved nothing is dropped unread, unless it is media that authenticates itself: then its client moved. TCP carries the
same packets, each behind its length (RFC 4571), for clients that cannot send UDP (RFC 6544; we are the passive side).
"""

import asyncio
import errno
import logging
import socket
import struct
from collections.abc import Sequence
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

_NO_SUCH_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)

_LENGTH = struct.Struct("!H")


class MediaPort:
    """The sockets, and who each packet is for."""

    def __init__(self) -> None:
        self._sessions: dict[str, IceSession] = {}
        self._senders: dict[bytes, IceSession] = {}
        """Whose media each SSRC is."""
        self._unproven: dict[_TcpPath, None] = {}
        self._tcp_paths: set[_TcpPath] = set()
        self._udp: list[_UdpSocket] = []
        self._tcp: list[asyncio.Server] = []
        self.number = 0
        self.udp_enabled = True
        self.tcp_enabled = True

    async def open(self, hosts: str, port: int) -> int:
        """Bind UDP and TCP to each host (by commas); return the number, which is the same for all.

        ``port`` 0 takes one that is free everywhere. A family of addresses that the machine does not have is left out, as
        long as another is there. Raises ``OSError`` that names what could not be bound.
        """
        failure = OSError()
        for _ in range(1 if port else _PORT_TRIES):
            try:
                return await self._open_all(split_hosts(hosts), port)
            except OSError as error:
                failure = error
                await self.aclose()
        taken = f"the media port {hosts}:{port} (UDP and TCP) cannot be opened: {failure.strerror}"
        raise OSError(failure.errno, taken) from failure

    async def _open_all(self, hosts: Sequence[str], port: int) -> int:
        self.number, missing = port, OSError("no address to bind to")
        for host in hosts:
            try:
                await self._open_both(host)
            except OSError as error:
                if len(hosts) == 1 or error.errno not in _NO_SUCH_FAMILY:
                    raise
                _log.info("nothing is bound to %s: %s", host, error.strerror)
                missing = error
        if not self._udp:
            raise missing
        return self.number

    async def _open_both(self, host: str) -> None:
        family, address = resolve_host(host)
        udp, tcp = _socket(family, socket.SOCK_DGRAM), None
        try:
            udp.bind((address, self.number))
            self.number = int(udp.getsockname()[1])
            tcp = _socket(family, socket.SOCK_STREAM)
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tcp.bind((address, self.number))
            self._tcp.append(await asyncio.get_running_loop().create_server(lambda: _TcpPath(self), sock=tcp))
        except OSError:
            udp.close()
            if tcp is not None:
                tcp.close()
            raise
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        bound = _UdpSocket(self, udp)
        self._udp.append(bound)
        asyncio.get_running_loop().add_reader(udp.fileno(), bound.drain)

    async def aclose(self) -> None:
        """Close the sockets and every connection."""
        for bound in self._udp:
            asyncio.get_running_loop().remove_reader(bound.socket.fileno())
            bound.socket.close()
        self._udp.clear()
        listening, self._tcp = self._tcp, []
        for server in listening:
            server.close()
        for path in list(self._tcp_paths):
            path.forget()
        for server in listening:
            await server.wait_closed()

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
        return len(self._sessions), sum(len(bound.paths) for bound in self._udp) + len(self._tcp_paths)

    def check(self, data: bytes) -> tuple[IceSession, stun.BindingRequest] | None:
        """Return whose check a STUN packet is, and the check; it is not yet known to be authentic."""
        try:
            request = stun.parse_binding_request(data)
        except stun.MalformedStunError as error:
            _log.debug("a malformed STUN message: %s", error)
            return None
        if request is None:
            return None
        session = self._sessions.get(request.username.partition(":")[0])
        return None if session is None else (session, request)

    def owner_of(self, media: bytes) -> IceSession | None:
        """Return whose media a packet of a stranger would be, by its SSRC."""
        return self._senders.get(media[8:12]) if 128 <= media[0] <= 191 else None

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
        if stun.is_stun(data):
            found = self.check(data)
            if found is None:
                return
            session, request = found
            if path.session in (None, session) and session.check(request, path, now_s):
                path.session = session
                self._unproven.pop(path, None)
        elif path.session is not None:
            path.session.receive(data, path, now_s)


class _UdpSocket:
    """One bound UDP socket, and the paths over it."""

    def __init__(self, port: MediaPort, bound: socket.socket) -> None:
        self._port = port
        self.socket = bound
        self.paths: dict[Address, _UdpPath] = {}

    def drain(self) -> None:
        """Take what has come."""
        now_s = asyncio.get_running_loop().time()
        for _ in range(_DRAIN_PACKETS):
            try:
                data, address = self.socket.recvfrom(_MAX_DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except OSError as error:  # an ICMP error about a packet sent earlier: nothing of ours to do
                _log.debug("reading UDP: %s", error)
                continue
            if not data or not self._port.udp_enabled:
                continue
            if stun.is_stun(data):
                self._check(data, address, now_s)
            elif (path := self.paths.get(address)) is not None:
                path.session.receive(data, path, now_s)
            elif (session := self._port.owner_of(data)) is not None:
                path = _UdpPath(self, session, address)
                if session.receive_from_stranger(data, path, now_s):
                    self.paths[address] = path

    def _check(self, data: bytes, address: Address, now_s: float) -> None:
        found = self._port.check(data)
        if found is None:
            return
        session, request = found
        path = self.paths.get(address)
        if path is None or path.session is not session:
            path = _UdpPath(self, session, address)
        if session.check(request, path, now_s):
            known = self.paths.get(address)
            if known is not None and known is not path:
                known.session.lose(known)  # the address has a new owner, who proved it
            self.paths[address] = path

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram, or drop it where the network does not take it now."""
        try:
            self.socket.sendto(data, address)
        except OSError as error:  # a full buffer, no route, or closed: media does not wait, and DTLS sends again
            _log.debug("sending UDP: %s", error)

    def forget(self, path: "_UdpPath", address: Address) -> None:
        """Stop delivering what comes from ``address``, where it is still ``path``'s."""
        if self.paths.get(address) is path:
            del self.paths[address]


class _UdpPath(Path):
    transport = "udp"

    def __init__(self, udp: _UdpSocket, session: IceSession, address: Address) -> None:
        self._udp = udp
        self._address = address
        self.session = session

    @property
    def address(self) -> Address:
        return self._address[:2]

    def send(self, data: bytes) -> None:
        self._udp.send(data, self._address)

    def forget(self) -> None:
        self._udp.forget(self, self._address)


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


def split_hosts(hosts: str) -> list[str]:
    """Return the hosts that a setting names by commas."""
    return [host.strip() for host in hosts.split(",") if host.strip()]


def resolve_host(host: str) -> tuple[socket.AddressFamily, str]:
    """Return the family and the numeric address of a host to bind to; raises ``OSError`` where it names none."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
    return found[0][0], str(found[0][4][0])


def _socket(family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
    made = socket.socket(family, kind)
    made.settimeout(0)
    if family == socket.AF_INET6:
        # IPv4 has a socket of its own: so every packet is answered from the family that it came by
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return made
