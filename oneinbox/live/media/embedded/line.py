"""What a leg's connection was like over the whole call, through every reload and change of path."""

from oneinbox.core.events import LineQuality
from oneinbox.core.load import LATENESS_BOUNDS_S, Traffic
from oneinbox.live.media.embedded.pair import PeerPair
from oneinbox.live.media.embedded.peer import Peer, Timing
from oneinbox.live.media.embedded.rtp import CLOCK_HZ, ReceptionReport
from oneinbox.live.media.embedded.ticker import Ticker

_MAX_SAMPLES = 1024


class Samples:
    """Values of which quantiles are asked. Of a long call only every second, fourth, ... value is kept."""

    def __init__(self) -> None:
        self._kept: list[float] = []
        self._keep_every = 1
        self._seen = 0

    def add(self, value: float) -> None:
        """Take one value."""
        self._seen += 1
        if self._seen % self._keep_every:
            return
        self._kept.append(value)
        if len(self._kept) == _MAX_SAMPLES:
            self._kept = self._kept[1::2]
            self._keep_every *= 2

    def quantile_ms(self, share: float) -> float | None:
        """Return the value, in seconds, that ``share`` of all do not exceed, as milliseconds; ``None`` without any."""
        if not self._kept:
            return None
        return round(sorted(self._kept)[min(len(self._kept) - 1, int(share * len(self._kept)))] * 1000, 2)


class Line:
    """Keeps the figures of one leg; its peers come and go."""

    def __init__(self, ticker: Ticker) -> None:
        self._ticker = ticker
        self._past = Traffic()
        self._past_changes = 0
        self._peer: Peer | PeerPair | None = None
        self._transport: str | None = None
        self._timing: Timing | None = None
        self._reported: ReceptionReport | None = None
        self._agent_jitter_ms: float | None = None
        self._agent_lost = self._agent_sent = 0
        self._jitter = Samples()
        self._round_trips = Samples()
        self._joins = self._resumes = 0
        self._lateness_before = ticker.lateness
        self._skipped_before = ticker.skipped
        self.fresh_round_trips_s: list[float] = []
        """Measured since the worker last took them away."""

    def joined(self, peer: Peer | PeerPair) -> None:
        """A client joined, for the first time or again."""
        if self._joins == 0:
            self._lateness_before, self._skipped_before = self._ticker.lateness, self._ticker.skipped
        self._joins += 1
        self._peer = peer
        if self._timing is None:
            self._timing = peer.timing

    def resumed(self) -> None:
        """A client came back over another socket."""
        self._resumes += 1

    def left(self) -> None:
        """The peer in use is given up: what it counted is kept."""
        peer, self._peer = self._peer, None
        if peer is not None:
            self._sample(peer)
            self._past.add(peer.traffic)
            self._past_changes += peer.path_changes
            if self._reported is not None:
                self._agent_lost += max(0, self._reported.packets_lost)
                self._agent_sent += peer.traffic.packets_sent
            self._reported = None

    def watch(self) -> None:
        """Once a second: take samples."""
        if self._peer is not None:
            self._sample(self._peer)

    def _sample(self, peer: Peer | PeerPair) -> None:
        self._transport = peer.transport or self._transport
        if peer.reported is not None:
            self._reported = peer.reported
            self._agent_jitter_ms = round(peer.reported.jitter * 1000 / CLOCK_HZ, 2)
        if (jitter_s := peer.jitter_s) is not None:
            self._jitter.add(jitter_s)
        measured, peer.round_trips_s = peer.round_trips_s, []
        for round_trip_s in measured:
            self._round_trips.add(round_trip_s)
        self.fresh_round_trips_s += measured

    @property
    def jitter_s(self) -> float | None:
        """The caller's jitter now, where it is connected."""
        return None if self._peer is None else self._peer.jitter_s

    @property
    def traffic(self) -> Traffic:
        """What went through all connections so far."""
        total = Traffic()
        total.add(self._past)
        if self._peer is not None:
            total.add(self._peer.traffic)
        return total

    def quality(self) -> LineQuality | None:
        """Return the figures so far; ``None`` where nobody ever joined."""
        if self._joins == 0:
            return None
        self.watch()
        traffic = self.traffic
        lateness = self._ticker.lateness.since(self._lateness_before).quantile(0.95, LATENESS_BOUNDS_S)
        return LineQuality(
            transport=self._transport,
            packets_received=traffic.packets_received,
            packets_sent=traffic.packets_sent,
            loss=round(traffic.loss, 5),
            late_packets=traffic.packets_late,
            concealed_ms=round(traffic.concealed_s * 1000, 1),
            recovered_ms=round(traffic.recovered_s * 1000, 1),
            jitter_ms_p50=self._jitter.quantile_ms(0.5),
            jitter_ms_p95=self._jitter.quantile_ms(0.95),
            round_trip_ms_p50=self._round_trips.quantile_ms(0.5),
            round_trip_ms_p95=self._round_trips.quantile_ms(0.95),
            agent_loss=self._agent_loss(),
            agent_jitter_ms=self._agent_jitter_ms,
            ice_ms=None if self._timing is None else self._timing.ice_ms,
            dtls_ms=None if self._timing is None else self._timing.dtls_ms,
            resumes=self._resumes,
            rejoins=self._joins - 1,
            path_changes=self._past_changes + (0 if self._peer is None else self._peer.path_changes),
            tick_late_ms_p95=None if lateness is None else lateness * 1000,
            ticks_skipped=self._ticker.skipped - self._skipped_before,
        )

    def _agent_loss(self) -> float | None:
        lost, sent = self._agent_lost, self._agent_sent
        if self._reported is not None and self._peer is not None:
            lost, sent = lost + max(0, self._reported.packets_lost), sent + self._peer.traffic.packets_sent
        return round(min(1.0, lost / sent), 5) if sent else None
