"""The two PeerConnections of LiveKit's older signalling (``/rtc``): what a leg asks of one peer, done by two.

The client offers one for what it publishes; we offer the other, with the agent's voice and the data channels that we send
by. Each has ICE, DTLS and SCTP of its own.
"""

import asyncio

from livekit.protocol import rtc

from oneinbox.core.load import Traffic
from oneinbox.live.media.embedded import sdp
from oneinbox.live.media.embedded.data import Channel
from oneinbox.live.media.embedded.peer import Answer, Peer, PeerEvents, Timing
from oneinbox.live.media.embedded.quality import Reception
from oneinbox.live.media.embedded.rtp import ReceptionReport


class PeerPair:
    """A publisher and a subscriber, named as the client sees them. It is up when the subscriber is."""

    def __init__(self, publisher: Peer, subscriber: Peer) -> None:
        self.publisher = publisher
        self.subscriber = subscriber
        self._offer_id = 0

    @property
    def up(self) -> bool:
        """Whether the agent can be heard and the page be shown things."""
        return self.subscriber.up

    @property
    def down(self) -> bool:
        """Whether either connection was closed by the client, or failed."""
        return self.subscriber.down or self.publisher.down

    def offer(self) -> rtc.SessionDescription:
        """Return the offer for the subscriber. Each but the first restarts ICE."""
        self._offer_id += 1
        return rtc.SessionDescription(type="offer", sdp=self.subscriber.offer(), id=self._offer_id)

    def answered(self, answer: rtc.SessionDescription) -> None:
        """Take the answer for the subscriber, unless a later offer is out; raises :class:`sdp.BadOfferError`."""
        if answer.type != "answer":
            raise sdp.BadOfferError(f"a description of type {answer.type!r}")
        if answer.id in (0, self._offer_id):
            self.subscriber.answered(answer.sdp)

    def answer(self, text: str) -> Answer:
        """Answer an offer for the publisher; raises :class:`sdp.BadOfferError`."""
        return self.publisher.answer(text)

    def is_alive(self, now_s: float) -> bool:
        """Whether media can flow both ways, as far as it was asked for."""
        publishes = self.publisher.is_alive(now_s) or not self.publisher.up
        return self.subscriber.is_alive(now_s) and publishes

    def is_sending(self, now_s: float) -> bool:
        """Whether the microphone's stream of packets goes on at this moment."""
        return self.subscriber.up and self.publisher.is_sending(now_s)

    @property
    def reception(self) -> Reception | None:
        """What came of the caller's voice so far."""
        return self.publisher.reception

    @property
    def reported(self) -> ReceptionReport | None:
        """What the client last said of how it hears the agent."""
        return self.subscriber.reported

    @property
    def traffic(self) -> Traffic:
        """What went through both."""
        both = Traffic()
        both.add(self.publisher.traffic)
        both.add(self.subscriber.traffic)
        return both

    @property
    def timing(self) -> Timing:
        """How long the one that the agent is heard by took."""
        return self.subscriber.timing

    @property
    def round_trips_s(self) -> list[float]:
        """Measured since they were last taken away."""
        return self.subscriber.round_trips_s

    @round_trips_s.setter
    def round_trips_s(self, left: list[float]) -> None:
        self.subscriber.round_trips_s = left

    @property
    def jitter_s(self) -> float | None:
        """The jitter of the caller's voice now."""
        return self.publisher.jitter_s

    @property
    def transport(self) -> str | None:
        """What the agent's packets go by."""
        return self.subscriber.transport

    @property
    def path_changes(self) -> int:
        """How often the client went over to another path with its voice."""
        return self.publisher.path_changes

    def start_filling(self, now_s: float) -> None:
        """Deliver silence from now on where the client sends nothing."""
        self.publisher.start_filling(now_s)

    def tick(self, now_s: float, skipped: int, frame: bytes | None) -> bytes | None:
        """Every 20 ms: send the agent's next frame (or silence), and let the receiving side keep time.

        Return the Opus packet that was sent, where one was.
        """
        sent = self.subscriber.tick(now_s, skipped, frame)
        self.publisher.tick(now_s, skipped, None)
        return sent

    def keep_time(self, now_s: float) -> None:
        """Do of a tick what belongs to the receiving side alone."""
        self.publisher.tick(now_s, 0, None)

    async def flush_data(self) -> None:
        """Wait until the client has what was sent to it, for as long as an acknowledgement may be delayed."""
        await self.subscriber.flush_data()

    async def aclose(self) -> None:
        """Say goodbye and free everything."""
        await asyncio.gather(self.publisher.aclose(), self.subscriber.aclose())


def publisher_events(events: PeerEvents) -> PeerEvents:
    """Return what a publisher tells: the agent's data goes by the other connection, and so does being up."""
    return events._replace(on_up=_ignore, on_channel=_ignore_channel)


def _ignore() -> None:
    pass


def _ignore_channel(_: Channel | None) -> None:
    pass


_HANG_UP_LIMIT_S = 0.5
_LOOK_EVERY_S = 0.02


async def hung_up(peer: Peer | PeerPair) -> None:
    """Return when the client has closed its transport, at the latest after half a second.

    A client that is told to leave hangs up by itself; to close under it before it did would look to it like a fault.
    """
    for _ in range(int(_HANG_UP_LIMIT_S / _LOOK_EVERY_S)):
        if peer.down:
            return
        await asyncio.sleep(_LOOK_EVERY_S)
