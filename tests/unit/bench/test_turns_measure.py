"""The benchmark's arithmetic, on calls whose outcome is known."""

from typing import Any

import pytest

from bench.turns import report
from bench.turns.measure import Figures
from bench.turns.script import PROVIDERS_S, SHORT_SHARE


def _frames(from_s: float, to_s: float, level: float = 1.0) -> list[float]:
    count = round((to_s - from_s) / 0.02)
    return [number for at in range(count) for number in (from_s + at * 0.02, 0.02, level)]


def _said(step: str, *stretches: tuple[float, float], over_agent: bool = False) -> dict[str, Any]:
    return {"step": step, "clip": "", "stretches": [list(stretch) for stretch in stretches], "over_agent": over_agent}


def _figures(frames: list[float], *said: dict[str, Any]) -> Figures:
    figures = Figures()
    figures.add(
        {
            "cpu_ms_per_call_s": 5.0,
            "loop_lag_p99_ms": 1.0,
            "memory_mb": 100.0,
            "failed": [],
            "from_s": 0.0,
            "callers": [{"frames": frames, "said": [*said, _said("normal", (90.0, 91.0))]}],
        }
    )
    return figures


def test_added_latency_is_without_the_providers() -> None:
    figures = _figures(_frames(2.0 + PROVIDERS_S + 0.05, 5.0, SHORT_SHARE), _said("normal", (1.0, 2.0)))
    assert figures.added["normal"] == [pytest.approx(50)]
    assert (figures.missed, figures.asked) == (0, 1)


def test_no_answer_is_missed() -> None:
    figures = _figures(_frames(95.0, 96.0), _said("normal", (1.0, 2.0)))
    assert (figures.missed, figures.asked, figures.added["normal"]) == (1, 1, [])


def test_a_barge_in_ducks_and_stops_and_is_answered() -> None:
    frames = [*_frames(0.0, 3.1), *_frames(3.1, 3.2, 0.2), *_frames(6.0, 7.0, SHORT_SHARE)]
    figures = _figures(frames, _said("barge-in", (3.0, 5.0), over_agent=True))
    assert figures.duck == [pytest.approx(100)]
    assert figures.stop == [pytest.approx(200)]
    assert figures.added["after barge-in"] == [pytest.approx((1.0 - PROVIDERS_S) * 1000)]


def test_an_agent_that_talks_on_has_not_stopped() -> None:
    figures = _figures(_frames(0.0, 20.0), _said("barge-in", (3.0, 5.0), over_agent=True))
    assert figures.stop == [pytest.approx(3000)]
    assert figures.missed == 1


@pytest.mark.parametrize(
    ("frames", "outcome"),
    [
        (_frames(0.0, 9.0), ("untouched", 0.0)),
        ([*_frames(0.0, 3.1), *_frames(3.1, 3.7, 0.2), *_frames(3.7, 9.0)], ("ducked", 200.0)),
        ([*_frames(0.0, 3.2), *_frames(4.0, 9.0)], ("paused", 500.0)),
        (_frames(0.0, 3.2), ("lost", 0.0)),
        ([*_frames(0.0, 3.2), *_frames(4.5, 9.0, SHORT_SHARE)], ("lost", 0.0)),  # another answer
    ],
)
def test_what_a_sound_does(frames: list[float], outcome: tuple[str, float]) -> None:
    figures = _figures(frames, _said("cough", (3.0, 3.5), over_agent=True))
    [(what, back_ms)] = figures.disturbed["cough"]
    assert what == outcome[0]
    if what != "lost":
        assert back_ms == pytest.approx(outcome[1])


@pytest.mark.parametrize(("begins_s", "early"), [(2.5, True), (4.7, False)])
def test_speaking_into_a_pause_is_a_false_end(begins_s: float, early: bool) -> None:
    figures = _figures(_frames(begins_s, 6.0, SHORT_SHARE), _said("pause400", (1.0, 2.0), (2.4, 4.0)))
    assert figures.pauses["pause400"] == [begins_s < 4.0] == [early]


def test_the_tables_hold_what_was_measured_and_say_what_was_not() -> None:
    ours = _figures(_frames(2.0 + PROVIDERS_S + 0.05, 5.0, SHORT_SHARE), _said("normal", (1.0, 2.0)))
    theirs = _figures([], _said("normal", (1.0, 2.0)))
    theirs.cpu, theirs.memory = [20.0], [195.0]
    known = {("ours", "equal", 20): ours, ("livekit", "equal", 20): theirs, ("livekit", "equal", 1): ours}
    results = report.results({}, known)
    tables = report.tables(results)
    assert "| 20, equal | - | 5.00 | - |" in tables
    assert "| 20, equal | 5.0 (5.0-5.0) | 20.0 (20.0-20.0) | - | 4.0 | - | - |" in tables
