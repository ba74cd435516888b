"""Many calls in one process, and what came of them."""

import gc
import logging
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.simulate.callers import random_scene
from tests.simulate.laws import check
from tests.support.conversation import Outcome, converse


@dataclass
class Tally:
    """What came of some calls."""

    calls: int = 0
    spoken_s: float = 0.0
    messages: int = 0
    interrupted: int = 0
    faults: int = 0
    cpu_s: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter[str])
    broken: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])

    def note(self, outcome: Outcome) -> None:
        self.spoken_s += outcome.ended_s - outcome.started_s
        self.messages += len(outcome.messages)
        self.interrupted += sum(message.interrupted for message in outcome.messages)
        self.faults += len(outcome.faults)
        self.reasons[outcome.reason.value] += 1

    def add(self, other: "Tally") -> None:
        for name in ("calls", "spoken_s", "messages", "interrupted", "faults", "cpu_s", "reasons", "broken"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def play(seeds: Sequence[int]) -> Tally:
    """Play the calls of these seeds."""
    logging.disable(logging.CRITICAL)  # scripted faults would fill the screen
    gc.disable()
    tally, started_s = Tally(calls=len(seeds)), time.process_time()
    for seed in seeds:
        try:
            outcome = converse(random_scene(seed))
            tally.note(outcome)
            check(outcome)
        except Exception:  # noqa: BLE001 - whatever broke is to be shown with its seed
            tally.broken.append((seed, traceback.format_exc(limit=-3)))
    gc.collect()
    tally.cpu_s = time.process_time() - started_s
    return tally
