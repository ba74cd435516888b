"""The embedded media endpoint of one worker: which socket belongs to which leg, and what all legs share."""

import logging
from collections.abc import Callable

from aioice.ice import get_host_addresses
from livekit.protocol import models, rtc

from oneinbox.core.link import MediaSettings, OpenSocket
from oneinbox.core.load import JITTER_BOUNDS_S, ROUND_TRIP_BOUNDS_S, Histogram, MediaLoad, Traffic
from oneinbox.live.media.embedded import signalling
from oneinbox.live.media.embedded.aiortc_private import Certificate
from oneinbox.live.media.embedded.leg import EmbeddedLeg
from oneinbox.live.media.embedded.names import RoomNames
from oneinbox.live.media.embedded.pair import PeerPair, publisher_events
from oneinbox.live.media.embedded.peer import Peer, PeerEvents, parse_first_offer
from oneinbox.live.media.embedded.port import MediaPort, resolve_host, split_hosts
from oneinbox.live.media.embedded.sdp import BadOfferError, is_announceable
from oneinbox.live.media.embedded.session import SignalSession, SignalSocket
from oneinbox.live.media.embedded.ticker import Ticker
from oneinbox.live.media.leg import LegListener

_log = logging.getLogger(__name__)

_ANY_IPV4, _ANY_IPV6 = _ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - recognised, not bound to
_LOOPBACK = "127.0.0.1"
"""Announced last where everything is bound: a client on this machine finds it when every network is gone, and one in
front of a container with published ports finds it where it does not see the container's own address."""


class EmbeddedMedia:
    """Serves LiveKit's clients from inside the worker. Tokens were checked before anything arrives here.

    ``mint_rejoin_token(room_name, identity, origin)`` makes the token by which a client may come back into its call, from
    the page that it was given to (``None``: from anywhere).
    """

    leg_class: type[EmbeddedLeg] = EmbeddedLeg
    """What a leg is made of; a benchmark puts another transport in here."""

    def __init__(
        self, settings: MediaSettings, *, mint_rejoin_token: Callable[[str, str, str | None], str], complexity: int = 5
    ) -> None:
        self._settings = settings
        self._mint_rejoin_token = mint_rejoin_token
        self._complexity = complexity
        self._certificate = Certificate()
        self._port = MediaPort()
        self._ticker = Ticker()
        self._addresses: tuple[str, ...] = ()
        self._legs: dict[str, EmbeddedLeg] = {}
        self._sockets: dict[int, SignalSession] = {}
        self._past_traffic = Traffic()
        self._jitter = Histogram(JITTER_BOUNDS_S)
        self._round_trips = Histogram(ROUND_TRIP_BOUNDS_S)

    async def start(self) -> int:
        """Bind the media port; return its number.

        Raises ``OSError`` that names the port, and ``ValueError`` for an address to announce that is none.
        """
        self._addresses = _announced(self._settings)
        return await self._port.open(self._settings.bind_host, self._settings.port)

    def allow_transports(self, *, udp: bool, tcp: bool) -> None:
        """Serve clients by UDP, by TCP, or both. For networks, and tests, that have only one."""
        self._port.udp_enabled, self._port.tcp_enabled = udp, tcp

    @property
    def tick_late_ms(self) -> float:
        """How late the latest 20 ms tick was since this was last read, in milliseconds."""
        return self._ticker.take_late_ms()

    def measure(self) -> MediaLoad:
        """Return what the endpoint did since it started. Asked once a second, it takes the samples that it tells of."""
        traffic = Traffic()
        traffic.add(self._past_traffic)
        for leg in self._legs.values():
            traffic.add(leg.line.traffic)
            self._sample(leg)
        return MediaLoad(
            traffic=traffic,
            tick_lateness=self._ticker.lateness,
            ticks_skipped=self._ticker.skipped,
            jitter=self._jitter.state(),
            round_trips=self._round_trips.state(),
        )

    def _sample(self, leg: EmbeddedLeg) -> None:
        if (jitter_s := leg.line.jitter_s) is not None:
            self._jitter.observe(jitter_s)
        round_trips_s, leg.line.fresh_round_trips_s = leg.line.fresh_round_trips_s, []
        for round_trip_s in round_trips_s:
            self._round_trips.observe(round_trip_s)

    def open_leg(self, *, room_name: str, identity: str, agent_name: str, listener: LegListener) -> EmbeddedLeg:
        """Make the leg that ``identity`` may join. Raises ``ValueError`` where the room has one."""
        if room_name in self._legs:
            raise ValueError(f"the room {room_name} has a leg already")
        leg = self.leg_class(
            room_name=room_name,
            identity=identity,
            agent_name=agent_name,
            listener=listener,
            ticker=self._ticker,
            ice_servers=self._settings.ice_servers,
            make_peer=self._make_connection,
            grace_s=self._settings.rejoin_grace_s,
            on_closed=lambda: self._forget(room_name, leg),
        )
        self._legs[room_name] = leg
        return leg

    def _make_connection(self, names: RoomNames, events: PeerEvents, dual: bool) -> Peer | PeerPair:
        if not dual:
            return self._make_peer(names, events)
        publisher = self._make_peer(names, publisher_events(events), speaks=False)
        return PeerPair(publisher, self._make_peer(names, events._replace(on_moved=None)))

    def _make_peer(self, names: RoomNames, events: PeerEvents, *, speaks: bool = True) -> Peer:
        return Peer(
            port=self._port,
            addresses=self._addresses,
            certificate=self._certificate,
            names=names,
            complexity=self._complexity,
            events=events,
            speaks=speaks,
        )

    def _forget(self, room_name: str, leg: EmbeddedLeg) -> None:
        if self._legs.get(room_name) is leg:
            del self._legs[room_name]
            leg.line.watch()
            self._past_traffic.add(leg.line.traffic)
            self._sample(leg)

    # ---- sockets

    def on_socket_open(self, request: OpenSocket, socket: SignalSocket) -> None:
        """A client with a valid token wants in: accept or refuse its socket."""
        leg = self._legs.get(request.room_name)
        if leg is None:
            socket.refuse(404, "there is no such call, or it is over")
            return
        if leg.identity != request.identity:
            socket.refuse(401, "the token is for another participant")
            return
        dual = request.path == signalling.PATH_V0
        if not dual and request.path != signalling.PATH_V1:
            socket.refuse(404, f"{signalling.PATH_V1} and {signalling.PATH_V0} are served here")
            return
        try:
            parse = signalling.parse_flat_join if dual else signalling.parse_join_request
            join = parse(request.query)
            if join.HasField("publisher_offer"):
                parse_first_offer(join.publisher_offer)
        except (signalling.BadSignalError, BadOfferError) as error:
            _log.warning("a join is refused: %s", error)
            socket.refuse(400, str(error))
            return
        if join.reconnect and not request.rejoin:
            socket.refuse(401, "only a rejoin token leads back into a call")
            return
        # a probe's room is its visitor's alone, who comes once for each way that is tried
        reason = None if request.probe else leg.admit(request.token_id, rejoin=request.rejoin)
        if reason is not None:
            socket.refuse(401, reason)
            return
        socket.accept()
        self._begin(leg, join, request, socket, dual=dual)

    def _begin(
        self, leg: EmbeddedLeg, join: rtc.JoinRequest, request: OpenSocket, socket: SignalSocket, *, dual: bool
    ) -> None:
        socket_id = request.socket_id

        def mint_token() -> str:
            return self._mint_rejoin_token(request.room_name, request.identity, request.origin)

        def ended(session: SignalSession) -> None:
            self._sockets.pop(socket_id, None)
            leg.signal_lost(session)

        session = SignalSession(socket, leg, mint_token=mint_token, on_end=ended)
        if join.reconnect and not leg.can_resume(join.participant_sid, dual=dual):
            # The transport that it had is gone: it joins again, into the same leg.
            session.leave(models.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT)
            return
        self._sockets[socket_id] = session
        if join.reconnect:
            leg.resume(session)
        else:
            leg.begin(session, join, dual=dual)

    def on_socket_data(self, socket_id: int, data: bytes) -> None:
        """A client sent one message."""
        session = self._sockets.get(socket_id)
        if session is not None:
            session.receive(data)

    def on_socket_closed(self, socket_id: int) -> None:
        """A client's socket has gone."""
        session = self._sockets.get(socket_id)
        if session is not None:
            session.end()

    async def aclose(self) -> None:
        """Close every leg and the port."""
        for leg in list(self._legs.values()):
            await leg.aclose()
        self._sockets.clear()
        await self._port.aclose()

    def holdings(self) -> dict[str, int]:
        """Return what is held for calls: all zero where no call is left."""
        sessions, paths = self._port.holdings()
        return {
            "legs": len(self._legs),
            "sockets": len(self._sockets),
            "ticking": len(self._ticker),
            "ice_sessions": sessions,
            "paths": paths,
        }


def _announced(settings: MediaSettings) -> tuple[str, ...]:
    """Return the addresses that clients are told of."""
    if settings.announced_addresses:
        wrong = [address for address in settings.announced_addresses if not is_announceable(address)]
        if wrong:
            raise ValueError(f"not an IP address to announce: {', '.join(wrong)}")
        return settings.announced_addresses
    hosts = split_hosts(settings.bind_host)
    found: list[str] = []
    if any(host in _ANY_ADDRESS for host in hosts):
        found += get_host_addresses(use_ipv4=_ANY_IPV4 in hosts, use_ipv6=_ANY_IPV6 in hosts)
        if _ANY_IPV4 in hosts:
            found.append(_LOOPBACK)
    found += [resolve_host(host)[1] for host in hosts if host not in _ANY_ADDRESS]
    return tuple(dict.fromkeys(found))
