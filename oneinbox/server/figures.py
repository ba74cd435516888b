"""What the server counts of calls and workers while it runs, for ``/metrics``. Labels are words of our own, never a caller's."""

from collections import Counter

from oneinbox.core.events import AnyCallEvent, CallEnded, EndReason, LatencyMeasured, ProviderFailed
from oneinbox.core.load import Histogram

CALL_BOUNDS_S = (1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
TURN_BOUNDS_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)
TURN_PARTS = ("eou_delay", "stt", "llm_ttft", "tts_ttfb", "perceived")
REFUSALS = ("server_full", "server_draining", "no_worker_available")
EXITS = ("died", "hung", "refused", "let_go")


class CallFigures:
    """Counts since the start of the server."""

    def __init__(self) -> None:
        self.started = 0
        """Calls that a worker was given."""
        self.refused: Counter[str] = Counter(dict.fromkeys(REFUSALS, 0))
        """By the error's code."""
        self.ended: Counter[EndReason] = Counter(dict.fromkeys(EndReason, 0))
        self.duration = Histogram(CALL_BOUNDS_S)
        """Of two-way audio; of calls where it never stood, nothing."""
        self.turn_parts = {part: Histogram(TURN_BOUNDS_S) for part in TURN_PARTS}
        self.provider_failures: Counter[tuple[str, str]] = Counter()
        """By stage and kind."""
        self.worker_exits: Counter[str] = Counter(dict.fromkeys(EXITS, 0))
        """``died``, ``hung``, ``refused`` to start, or was ``let_go`` when its calls were over."""

    def count(self, event: AnyCallEvent) -> None:
        """Count what happened in a call."""
        match event:
            case CallEnded(reason=reason, duration_s=duration_s):
                self.ended[reason] += 1
                if duration_s > 0:
                    self.duration.observe(duration_s)
            case LatencyMeasured(part=part, ms=ms):
                if part in self.turn_parts:
                    self.turn_parts[part].observe(ms / 1000)
            case ProviderFailed(stage=stage, kind=kind):
                self.provider_failures[stage, kind] += 1
            case _:
                pass
