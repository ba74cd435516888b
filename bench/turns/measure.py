"""From what the callers heard to figures, in milliseconds."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from bench.turns.script import PROVIDERS_S, SHORT_SHARE

GAP_S = 0.15
"""The agent has stopped when nothing is heard for this long."""
_LOUD = 0.5
_LONG = (1 + SHORT_SHARE) / 2
_AFTER_S = 2.5
"""What a disturbance does shows within this time after it."""

Frame = tuple[float, float, float]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` of ``values`` lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _stretches(frames: list[Frame]) -> list[list[Frame]]:
    """Cut the frames where nothing was heard for ``GAP_S``."""
    stretches: list[list[Frame]] = []
    end_s = 0.0
    for frame in frames:
        if not stretches or frame[0] - end_s >= GAP_S:
            stretches.append([])
        stretches[-1].append(frame)
        end_s = frame[0] + frame[1]
    return stretches


class _Ear:
    """One caller's frames, and what can be asked of them."""

    def __init__(self, numbers: list[float]) -> None:
        self.frames: list[Frame] = list(zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True))
        self.stretches = _stretches(self.frames)

    def begins_after(self, at_s: float) -> list[Frame] | None:
        """Return the first stretch that begins after ``at_s``."""
        return next((stretch for stretch in self.stretches if stretch[0][0] >= at_s), None)

    def around(self, at_s: float) -> list[Frame] | None:
        """Return the stretch that sounds at ``at_s``."""
        return next((s for s in self.stretches if s[0][0] <= at_s <= s[-1][0] + s[-1][1] + 0.03), None)


class Figures:
    """What was seen of one engine at one setting and one number of calls; runs of several rounds are added up."""

    def __init__(self) -> None:
        self.added: dict[str, list[float]] = {"normal": [], "after barge-in": []}
        self.missed = 0
        self.asked = 0
        self.duck: list[float] = []
        self.stop: list[float] = []
        self.disturbed: dict[str, list[tuple[str, float]]] = {"cough": [], "mm-hm": [], "noise": []}
        """What followed (untouched, ducked, paused, lost), and how long after its end the agent was at full level."""
        self.pauses: dict[str, list[bool]] = {"pause400": [], "pause800": []}
        """Whether the agent spoke before the sentence was over."""
        self.cpu: list[float] = []
        self.memory: list[float] = []
        """Of the whole process, MB."""
        self.lag: list[float] = []
        self.failed: list[str] = []

    def add(self, run: dict[str, Any]) -> None:
        """Take in what one process printed."""
        self.cpu.append(run["cpu_ms_per_call_s"])
        self.lag.append(run["loop_lag_p99_ms"])
        self.memory.append(run["memory_mb"])
        self.failed += run["failed"]
        for caller in run["callers"]:
            ear = _Ear(caller["frames"])
            said = [one for one in caller["said"] if one["stretches"][0][0] >= run["from_s"]]
            for one, following in pairwise(said):
                self._take(one, following["stretches"][0][0], ear)

    def _take(self, one: dict[str, Any], next_s: float, ear: _Ear) -> None:
        step = one["step"]
        if step in self.disturbed:
            if one["over_agent"]:
                self._disturbance(step, one["stretches"][0][0], one["stretches"][-1][1], next_s, ear)
            return
        self.asked += 1
        barge_in = step == "barge-in" and one["over_agent"]
        if barge_in:
            self._barge_in(one, ear)
        start_s, end_s = one["stretches"][0][1], one["stretches"][-1][1]
        if step in self.pauses:
            early = any(start_s < frame[0] < end_s for frame in ear.frames)
            self.pauses[step].append(early)
            if early:
                return
        reply = ear.begins_after(end_s)
        if reply is None or reply[0][0] > next_s:
            self.missed += 1
        elif step not in self.pauses:
            kind = "after barge-in" if barge_in else "normal"
            self.added[kind].append((reply[0][0] - end_s - PROVIDERS_S) * 1000)

    def _barge_in(self, one: dict[str, Any], ear: _Ear) -> None:
        start_s, end_s = one["stretches"][0][0], one["stretches"][-1][1]
        stretch = ear.around(start_s)
        if stretch is None:
            return
        last = stretch[-1]
        stop_s = last[0] + last[1]
        quiet_s = next((frame[0] for frame in stretch if frame[0] > start_s and frame[2] < _LOUD), stop_s)
        if stop_s > end_s + 1:
            stop_s = end_s + 1  # it never stopped
        self.duck.append((min(quiet_s, stop_s) - start_s) * 1000)
        self.stop.append((stop_s - start_s) * 1000)

    def _disturbance(self, step: str, start_s: float, end_s: float, next_s: float, ear: _Ear) -> None:
        until_s = min(end_s + _AFTER_S, next_s)
        before = [frame for frame in ear.frames if start_s - 0.1 < frame[0] <= start_s]
        if not before or before[-1][2] < _LONG:
            return  # it was not in the long answer, or still stopped by the disturbance before
        heard = [before[-1], *(frame for frame in ear.frames if start_s < frame[0] < until_s)]
        outcome, back_s = "untouched", start_s
        for one, other in pairwise(heard):
            if other[0] - one[0] - one[1] >= GAP_S:
                outcome, back_s = "paused", other[0]
            elif other[2] < _LOUD:
                outcome, back_s = "paused" if outcome == "paused" else "ducked", other[0] + other[1]
        if heard[-1][2] < _LONG or heard[-1][0] < until_s - 0.3:
            outcome = "lost"
        self.disturbed[step].append((outcome, max(0.0, back_s - end_s) * 1000))
