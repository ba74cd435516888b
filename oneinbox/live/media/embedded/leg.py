"""The leg of one call in the embedded endpoint: it outlives sockets, peers and page reloads.

Its life::

    waiting --a token is used--> joined --path and microphone--> connected --a sound of it--> active --+--the client leaves--> left
                                   ^                                                             |     +--lost for 30 s------>
                                   +------------------------- joins again -----------------------+

What the agent says waits while there is no way to be heard: before the leg is connected, and while its path is broken.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from livekit.protocol import models, rtc

from oneinbox.core.events import LineQuality
from oneinbox.core.link import IceServer
from oneinbox.core.tasks import TaskScope
from oneinbox.live.audio.playout import PlayoutQueue
from oneinbox.live.audio.tape import Heard, Tape
from oneinbox.live.engine.ports import Caption
from oneinbox.live.media.embedded import signalling
from oneinbox.live.media.embedded.attendance import Attendance, Presence, Tokens
from oneinbox.live.media.embedded.line import Line
from oneinbox.live.media.embedded.microphone import Microphone
from oneinbox.live.media.embedded.names import RoomNames
from oneinbox.live.media.embedded.page import PageLine
from oneinbox.live.media.embedded.pair import PeerPair, hung_up
from oneinbox.live.media.embedded.peer import Answer, Peer, PeerEvents
from oneinbox.live.media.embedded.quality import QualityWatch
from oneinbox.live.media.embedded.roster import Roster
from oneinbox.live.media.embedded.session import SignalSession
from oneinbox.live.media.embedded.sound import SoundLine
from oneinbox.live.media.embedded.ticker import Ticker
from oneinbox.live.media.embedded.turn import servers_for
from oneinbox.live.media.leg import ConnectionListener, LegListener, MediaLeg, RpcCode, RpcError

_log = logging.getLogger(__name__)

_MOST_SECTIONS_ASKED = 3
_WATCH_EVERY_TICKS = 50
_QUALITY_EVERY_TICKS = 150

PeerMaker = Callable[[RoomNames, PeerEvents, bool], Peer | PeerPair]


class EmbeddedLeg(MediaLeg):
    """One participant's leg. All methods are called on the worker's event loop."""

    def __init__(
        self,
        *,
        room_name: str,
        identity: str,
        agent_name: str,
        listener: LegListener,
        ticker: Ticker,
        ice_servers: tuple[IceServer, ...],
        make_peer: PeerMaker,
        grace_s: float,
        on_closed: Callable[[], None],
    ) -> None:
        self.identity = identity
        self._listener = listener
        self._ticker = ticker
        self._ice_servers = ice_servers
        self._make_peer = make_peer
        self._on_closed = on_closed
        self._roster = Roster(room_name, identity, agent_name)
        self._tasks = TaskScope(f"leg {room_name}")
        self._closing: list[asyncio.Task[None]] = []
        """Peers on their way out: not to be cut short."""
        self._queue = PlayoutQueue()
        self._page = PageLine(listener, lambda: self._roster.names, self._tasks.spawn)
        self._quality = QualityWatch()
        self._tokens = Tokens()
        self._session: SignalSession | None = None
        self._peer: Peer | PeerPair | None = None
        self._microphone = Microphone()
        self._sections_asked = 0
        self._joined = self._active = self._left = False
        self._attendance = Attendance(grace_s)
        self._presence = Presence(listener)
        self.line = Line(ticker)
        self._sound = SoundLine(listener)
        self._ticks = 0
        self._early = False
        """Whether what is sent is ahead of the ticks, by less than one."""

    # ---- MediaLeg

    @property
    def playout(self) -> PlayoutQueue:
        """The agent's mouth on this leg. What is written before the leg is connected waits until it is."""
        return self._queue

    def show_caption(self, caption: Caption) -> None:
        """Show or replace a stretch of transcript."""
        published = self._microphone.info
        self._page.show_caption(caption, None if published is None else published.sid)

    def set_attributes(self, attributes: Mapping[str, str]) -> None:
        """Merge into the agent's participant attributes."""
        self._roster.set_attributes(attributes)
        if self._session is not None:
            self._session.send(signalling.update(self._roster.agent()))

    def send_event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Send an event of topic ``oi.event`` to the page."""
        self._page.send_event(kind, data)

    def quality(self) -> LineQuality | None:
        """Return how good the connection has been so far; ``None`` where nobody ever joined."""
        return self.line.quality()

    async def perform_rpc(self, method: str, payload: str, timeout_s: float = 15.0) -> str:
        """Call a method that the page registered; return its answer. Raises :class:`RpcError`."""
        if self._left:
            raise RpcError(RpcCode.RECIPIENT_DISCONNECTED, "Recipient disconnected")
        return await self._page.rpc.perform(method, payload, timeout_s)

    def record(self, tape: Tape) -> None:
        """Have both sides' sound recorded from now on."""
        self._sound.record(tape)

    async def aclose(self) -> None:
        """Tell the participant that the call is over and free everything. Harmless when called again.

        What was shown or sent just before still arrives.
        """
        self._left = self._page.closed = True
        self._on_closed()
        if self._peer is not None:
            await self._page.handed_over(self._peer)
            await self._peer.flush_data()
        self._ticker.remove(self)
        if self._session is not None and self._peer is not None:
            self._session.leave(models.ROOM_DELETED)
            await hung_up(self._peer)
        self._drop_connection(models.ROOM_DELETED)
        await asyncio.gather(*self._closing, return_exceptions=True)
        await self._tasks.aclose()

    # ---- joining

    def admit(self, token_id: str, *, rejoin: bool) -> str | None:
        """Use up a token; return why it is refused, or ``None``."""
        if self._left:
            return "the call is over"
        held = self._active or self._session is not None
        return self._tokens.use(token_id, rejoin=rejoin, joined=self._joined, held=held)

    def begin(self, session: SignalSession, join: rtc.JoinRequest, *, dual: bool) -> None:
        """Let an admitted client in: the first time, or again in place of whoever held the leg before.

        ``dual``: it speaks the older signalling, with two PeerConnections.
        """
        self._closing = [task for task in self._closing if not task.done()]
        self._drop_connection(models.DUPLICATE_IDENTITY)
        self._roster.user_joined()
        self._session = session
        moved = self._on_moved if dual else None
        page = self._page
        events = PeerEvents(
            self._on_up, self._on_audio, page.receive, page.attach, on_moved=moved, on_heard=self._on_heard
        )
        self._sections_asked = 0
        names = self._roster.names
        self._peer = self._make_peer(names, events, dual)
        self.line.joined(self._peer)
        self._ticker.add(self)
        infos = self._user_info(), self._roster.agent()
        session.send(signalling.join_response(names, *infos, self._ice_servers_now(), dual=dual))
        self._offer_voice(session)
        if join.HasField("publisher_offer"):
            self.offered(session, join.publisher_offer)
        for request in join.add_track_requests:
            self.track_asked(session, rtc.SignalRequest(add_track=request))
        session.start_refreshing()
        if self._joined:
            self._page.retell()
        else:
            self._joined = True
            self._listener.on_joined()

    def can_resume(self, participant_sid: str, *, dual: bool) -> bool:
        """Whether a client whose socket broke can go on with the transport that it had."""
        same = participant_sid == self._roster.names.user_sid and isinstance(self._peer, PeerPair) == dual
        return same and not self._left and self._peer is not None and not self._peer.down

    def resume(self, session: SignalSession) -> None:
        """Go on over another socket. The client restarts ICE; meanwhile media goes on by the old path."""
        before, self._session = self._session, session
        if before is not None:
            before.drop()
        self.line.resumed()
        self._attendance.resume()
        self._roster.changed()
        self._quality = QualityWatch()
        session.send(signalling.reconnect_response(self._ice_servers_now(), self._page.last_sequence))
        session.send(signalling.update(self._roster.agent(), self._user_info()))
        self._offer_voice(session)
        session.start_refreshing()

    def _offer_voice(self, session: SignalSession) -> None:
        if isinstance(self._peer, PeerPair):
            session.send(rtc.SignalResponse(offer=self._peer.offer()))

    def _drop_connection(self, reason: models.DisconnectReason) -> None:
        """Let go of the socket and the peer in use, and of what belongs to them."""
        session, self._session = self._session, None
        if session is not None:
            session.leave(reason)
        peer, self._peer = self._peer, None
        self._page.detach()
        self._quality = QualityWatch()
        self._microphone = Microphone()
        self._sound.begin_microphone()
        self._attendance.begin()
        self.line.left()
        if peer is not None:
            self._closing.append(self._tasks.spawn(peer.aclose(), "close peer"))

    def signal_lost(self, session: SignalSession) -> None:
        """A socket has gone. Where it was the one in use, its client has a while to come back."""
        if session is self._session:
            self._session = None
            self._attendance.signal_lost(asyncio.get_running_loop().time())

    # ---- SignalHandler

    def offered(self, session: SignalSession, offer: rtc.SessionDescription) -> None:
        """Answer an offer; raises :class:`sdp.BadOfferError`."""
        if session is not self._session or self._peer is None:
            return
        answer = self._peer.answer(offer.sdp)
        self._microphone.offered(sends=answer.client_sends)
        session.send(signalling.answer(answer.sdp, offer.id, answer.mid_to_track_id))
        if not self._voice_has_place(answer) and self._sections_asked < _MOST_SECTIONS_ASKED:
            self._sections_asked += 1
            session.send(signalling.voice_wanted())

    def _voice_has_place(self, answer: Answer) -> bool:
        """Whether the client can receive the agent's voice: by what it offered, or by what we offer ourselves."""
        return isinstance(self._peer, PeerPair) or bool(answer.mid_to_track_id)

    def answered(self, session: SignalSession, request: rtc.SignalRequest) -> None:
        """Take the answer to our offer; raises :class:`sdp.BadOfferError`."""
        if isinstance(self._peer, PeerPair):
            if session is self._session:
                self._peer.answered(request.answer)
        else:
            message = "nothing was offered here"
            session.send(signalling.refusal(request, "answer", rtc.RequestResponse.UNSUPPORTED_TYPE, message))

    def track_asked(self, session: SignalSession, request: rtc.SignalRequest) -> None:
        """Publish the microphone; refuse any other track."""
        had = self._microphone.info
        session.send(self._microphone.ask(request, asyncio.get_running_loop().time()))
        if self._microphone.info is not had:
            self._sound.begin_microphone()
            self._start_if_ready()

    def described(self, session: SignalSession, request: rtc.SignalRequest) -> None:
        """Take what the client says of itself, and say it back, as its library waits for."""
        if session is not self._session:
            return
        refusal = self._roster.describe(request)
        if refusal is None:
            session.send(signalling.update(self._user_info()))
        session.send(refusal or signalling.done(request, "update_metadata"))

    def muted(self, track_sid: str, *, muted: bool) -> None:
        """The client muted or unmuted its microphone."""
        self._microphone.mute(track_sid, muted=muted)

    def said_goodbye(self, session: SignalSession) -> None:
        """The client leaves for good, or is about to join anew."""
        if session is not self._session:
            return
        if self._attendance.is_final(self._peer, asyncio.get_running_loop().time(), was_active=self._active):
            self._leave(said_goodbye=True)
        else:
            session.drop()

    # ---- the peer

    def _on_up(self) -> None:
        self._roster.changed()
        if self._session is not None:
            self._session.send(signalling.update(self._user_info()))
        if self._active and self._peer is not None:
            self._peer.start_filling(asyncio.get_running_loop().time())
        self._start_if_ready()

    def _on_moved(self) -> None:
        """A client of the older signalling has another address: ask its other half, which sends no media, where it is."""
        if self._active and self._session is not None and isinstance(self._peer, PeerPair):
            self._session.send(rtc.SignalResponse(offer=self._peer.offer()))

    def _on_audio(self, pcm: bytes) -> None:
        if self._microphone.sounds():
            self._start_if_ready()
        if self._active and not self._left:
            self._listener.on_audio(pcm)

    def _on_heard(self, sound: Heard) -> None:
        if self._active and not self._left:
            self._sound.heard(sound, muted=self._microphone.muted)

    def _start_if_ready(self) -> None:
        peer = self._peer
        if self._active or self._left or peer is None or not peer.up or self._microphone.info is None:
            return
        now_s = asyncio.get_running_loop().time()
        if not self._presence.begun:
            self._presence.begin()
            self._sound.keep()
            self._queue.when_ready(self._speak_at_once)
            if isinstance(self._listener, ConnectionListener):
                self._listener.on_connected()
        if self._microphone.is_proven(now_s):
            self._active = True
            peer.start_filling(now_s)
            self._listener.on_active()
            self._sound.forget()

    def _speak_at_once(self) -> None:
        """Send the first frame of the greeting now, for the caller waits for it: up to 20 ms earlier than its tick."""
        self._early = True
        # not from within the write: whoever writes is not to be told of frames before it is done
        asyncio.get_running_loop().call_soon(self._ticker.tick_at_once, self)

    # ---- time

    def tick(self, now_s: float, skipped: int) -> None:
        """Every 20 ms."""
        self._ticks += 1
        if self._ticks % _WATCH_EVERY_TICKS == 0:
            self._watch(now_s)
        if self._ticks % _QUALITY_EVERY_TICKS == 0:
            self._tell_quality(now_s)
        peer = self._peer
        self._presence.watch(peer, now_s, has_signal=self._session is not None)
        frame, sent = None, None
        if peer is not None and peer.up:
            frame = self._queue.pull() if self._presence.here else None
            if frame is None and self._early and not skipped:
                self._early = False
                peer.keep_time(now_s)  # the first silence makes good what the greeting came early
                return
            sent = peer.tick(now_s, skipped, frame)
        self._sound.played(now_s, skipped, sent)
        if frame is not None:
            self._queue.frame_sent()

    def tick_failed(self) -> None:
        """A tick raised: this leg cannot go on."""
        self._leave(said_goodbye=False)

    def _watch(self, now_s: float) -> None:
        """Find out whether the client is gone for good."""
        self._start_if_ready()
        self.line.watch()
        peer = self._peer
        alive = peer is not None and peer.is_alive(now_s)
        if peer is not None and alive and self._active:
            peer.start_filling(now_s)  # after a join in mid-call the microphone may come late, or stay silent
        if self._attendance.is_gone(now_s, alive=alive, has_signal=self._session is not None, was_active=self._active):
            self._leave(said_goodbye=self._attendance.said_goodbye)

    def _tell_quality(self, now_s: float) -> None:
        peer, session = self._peer, self._session
        if session is None or peer is None or not self._active:
            return
        told = self._quality.update(alive=peer.is_alive(now_s), heard=peer.reception, reported=peer.reported)
        if told is not None:
            session.send(signalling.qualities(self._roster.names, *told))

    def _leave(self, *, said_goodbye: bool) -> None:
        if self._left:
            return
        self._left = self._page.closed = True
        self._ticker.remove(self)
        self._on_closed()
        self._drop_connection(models.CLIENT_INITIATED if said_goodbye else models.CONNECTION_TIMEOUT)
        self._listener.on_left(said_goodbye=said_goodbye)

    # ---- what clients are told

    def _ice_servers_now(self) -> list[IceServer]:
        return servers_for(self._ice_servers, self.identity, time.time())

    def _user_info(self) -> models.ParticipantInfo:
        return self._roster.user(self._microphone.info, up=self._peer is not None and self._peer.up)
