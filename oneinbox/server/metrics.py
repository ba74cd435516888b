"""Everything that ``/metrics`` tells, as families of samples. Names and meanings: ``docs/reference/metrics.md``.

Labels hold only words of our own (workers, routes, reasons): what callers or organisations are called never becomes one.
"""

import platform
import time
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from oneinbox import __version__
from oneinbox.core.link import Load
from oneinbox.core.load import (
    JITTER_BOUNDS_S,
    LATENESS_BOUNDS_S,
    ROUND_TRIP_BOUNDS_S,
    Buckets,
    Histogram,
    LoopLoad,
    resident_bytes,
)
from oneinbox.server.figures import CALL_BOUNDS_S, TURN_BOUNDS_S, CallFigures
from oneinbox.server.request_figures import REQUEST_BOUNDS_S, RequestFigures
from oneinbox.server.worker_process import WorkerProcess

Rows = Iterable[tuple[Sequence[str], float]]
"""Label values, and a value."""
BucketRows = Iterable[tuple[Sequence[str], Buckets]]


class Snapshot(Collector):
    """One reading of everything, to be written once."""

    def __init__(
        self,
        *,
        workers: Sequence[WorkerProcess],
        draining: bool,
        calls: CallFigures,
        requests: RequestFigures,
        server_loop: LoopLoad,
        webhook_backlog: tuple[int, float] | None,
    ) -> None:
        """``webhook_backlog``: how many deliveries wait, and how old the oldest is in seconds; ``None``: not known."""
        self._workers = workers
        self._draining = draining
        self._calls = calls
        self._requests = requests
        self._server_loop = server_loop
        self._backlog = webhook_backlog

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        yield from self._of_server()
        yield from self._of_calls()
        yield from self._of_workers()
        yield from self._of_media()
        yield from self._of_requests()

    def _of_server(self) -> Iterator[Metric]:
        version = [((__version__, platform.python_version()), 1.0)]
        yield _gauge("build_info", "Which release runs.", version, ("version", "python"))
        yield _gauge("draining", "1 while the server is being stopped and lets its calls finish.", _one(self._draining))
        yield _counter("server_cpu_seconds", "CPU time of the server process.", _one(time.process_time()))
        yield _gauge("server_resident_memory_bytes", "Memory of the server process.", _one(resident_bytes()))
        loops = [(("server",), self._server_loop)]
        loops += [((worker.worker_id,), load.loop) for worker, load in self._loads()]
        lags = [(labels, loop.lag) for labels, loop in loops]
        blocks = [(labels, float(loop.blocks)) for labels, loop in loops]
        yield _histogram("loop_lag_seconds", "How late the event loop is.", LATENESS_BOUNDS_S, lags, ("process",))
        yield _counter("loop_blocks", "How often an event loop stood still for 250 ms or more.", blocks, ("process",))
        if self._backlog is not None:
            count, oldest_s = self._backlog
            yield _gauge("webhook_backlog", "Webhook deliveries that wait for an attempt.", _one(count))
            yield _gauge("webhook_backlog_oldest_seconds", "How long the oldest of them has waited.", _one(oldest_s))

    def _of_calls(self) -> Iterator[Metric]:
        calls = self._calls
        yield _counter("calls_started", "Calls that were given to a worker.", _one(calls.started))
        refused = [((code,), float(count)) for code, count in calls.refused.items()]
        yield _counter("calls_refused", "Calls that no worker could take, by the error's code.", refused, ("code",))
        ended = [((reason.value,), float(count)) for reason, count in calls.ended.items()]
        yield _counter("calls_ended", "Calls that ended, by their reason.", ended, ("reason",))
        duration = _whole(calls.duration)
        yield _histogram(
            "call_duration_seconds", "How long two-way audio stood in ended calls.", CALL_BOUNDS_S, duration
        )
        parts = [((part,), histogram.state()) for part, histogram in calls.turn_parts.items()]
        yield _histogram("turn_latency_seconds", "Parts of each turn's latency.", TURN_BOUNDS_S, parts, ("part",))
        failures = [(labels, float(count)) for labels, count in calls.provider_failures.items()]
        yield _counter("provider_failures", "Failures of providers in calls.", failures, ("stage", "kind"))
        held = [((worker.worker_id,), float(len(worker.calls))) for worker in self._workers]
        yield _gauge("calls_live", "Calls that a worker holds, joined or not.", held, ("worker",))
        active = [((worker.worker_id,), float(load.active_calls)) for worker, load in self._loads()]
        yield _gauge("calls_active", "Calls with two-way audio.", active, ("worker",))

    def _of_workers(self) -> Iterator[Metric]:
        ready = [((worker.worker_id,), float(worker.ready and not worker.leaving)) for worker in self._workers]
        yield _gauge("worker_ready", "1 where the worker is up and not on its way out.", ready, ("worker",))
        exits = [((cause,), float(count)) for cause, count in self._calls.worker_exits.items()]
        yield _counter("worker_exits", "Worker processes that ended, by the cause.", exits, ("cause",))
        cpu = [((worker.worker_id,), load.cpu_s) for worker, load in self._loads()]
        yield _counter("worker_cpu_seconds", "CPU time of the worker.", cpu, ("worker",))
        memory = [((worker.worker_id,), float(load.resident_bytes)) for worker, load in self._loads()]
        yield _gauge("worker_resident_memory_bytes", "Memory of the worker.", memory, ("worker",))
        late = [((worker.worker_id,), load.media.tick_lateness) for worker, load in self._loads()]
        yield _histogram(
            "tick_lateness_seconds", "How late the 20 ms ticks of all calls come.", LATENESS_BOUNDS_S, late, ("worker",)
        )
        skipped = [((worker.worker_id,), float(load.media.ticks_skipped)) for worker, load in self._loads()]
        yield _counter("ticks_skipped", "Ticks that never came, after a stall.", skipped, ("worker",))

    def _of_media(self) -> Iterator[Metric]:
        for name, field, meaning in (
            ("media_packets_received", "packets_received", "Packets of callers' sound."),
            ("media_packets_sent", "packets_sent", "Packets of agents' sound."),
            ("media_octets_received", "octets_received", "Bytes of callers' sound, without headers."),
            ("media_octets_sent", "octets_sent", "Bytes of agents' sound, without headers."),
            ("media_packets_missing", "packets_missing", "Callers' packets that were not there when due."),
            ("media_packets_late", "packets_late", "Of those missing, the ones that came after all; the rest is lost."),
            ("media_packets_duplicate", "packets_duplicate", "Callers' packets that came twice."),
            ("media_recovered_seconds", "recovered_s", "Callers' sound restored from redundancy."),
            (
                "media_concealed_seconds",
                "concealed_s",
                "Callers' sound invented, or left silent, for what was missing.",
            ),
        ):
            rows = [((worker.worker_id,), float(getattr(load.media.traffic, field))) for worker, load in self._loads()]
            yield _counter(name, meaning, rows, ("worker",))
        jitter = [((worker.worker_id,), load.media.jitter) for worker, load in self._loads()]
        text = "Jitter of each caller's stream, once a second."
        yield _histogram("media_jitter_seconds", text, JITTER_BOUNDS_S, jitter, ("worker",))
        trips = [((worker.worker_id,), load.media.round_trips) for worker, load in self._loads()]
        text = "Round trips to callers, as their reports tell."
        yield _histogram("media_round_trip_seconds", text, ROUND_TRIP_BOUNDS_S, trips, ("worker",))

    def _of_requests(self) -> Iterator[Metric]:
        counted = [
            ((method, route, str(status)), float(count))
            for (method, route, status), count in self._requests.requests.items()
        ]
        yield _counter("http_requests", "Requests that were answered.", counted, ("method", "route", "status"))
        took = [(labels, histogram.state()) for labels, histogram in self._requests.durations.items()]
        yield _histogram(
            "http_request_duration_seconds", "How long answers took.", REQUEST_BOUNDS_S, took, ("method", "route")
        )

    def _loads(self) -> Iterator[tuple[WorkerProcess, Load]]:
        """The workers that have reported, with their latest report."""
        for worker in self._workers:
            if (load := worker.gauge.last) is not None:
                yield worker, load


def _one(value: float) -> Rows:
    return [((), float(value))]


def _whole(histogram: Histogram) -> BucketRows:
    return [((), histogram.state())]


def _gauge(name: str, meaning: str, rows: Rows, labels: Sequence[str] = ()) -> Metric:
    family = GaugeMetricFamily(f"oneinbox_{name}", meaning, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def _counter(name: str, meaning: str, rows: Rows, labels: Sequence[str] = ()) -> Metric:
    """``_total`` is put behind the name."""
    family = CounterMetricFamily(f"oneinbox_{name}", meaning, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def _histogram(
    name: str, meaning: str, bounds: Sequence[float], rows: BucketRows, labels: Sequence[str] = ()
) -> Metric:
    family = HistogramMetricFamily(f"oneinbox_{name}", meaning, labels=labels)
    for values, state in rows:
        below, buckets = 0, list[tuple[str, float]]()
        for bound, count in zip((*map(str, bounds), "+Inf"), state.counts, strict=True):
            below += count
            buckets.append((bound, below))
        family.add_metric(values, buckets, state.total)
    return family
