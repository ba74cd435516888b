"""The figures drawn, with matplotlib of the peers' environment: ``python -m bench.turns.plot RESULTS.json OUT.svg``."""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "turns"
mpl.rcParams["svg.fonttype"] = "none"
mpl.rcParams["font.size"] = 9
mpl.rcParams["font.family"] = "sans-serif"
mpl.rcParams["font.sans-serif"] = ["DejaVu Sans", "Verdana", "sans-serif"]

import matplotlib.pyplot as plt  # noqa: E402 - the backend is chosen first

COLOURS = {"ours": "#0f766e", "livekit": "#9ca3af", "pipecat": "#d97706"}
NAMES = {"ours": "ours", "livekit": "LiveKit Agents", "pipecat": "Pipecat"}


def _label(value: float | None) -> str:
    if value is None:
        return "n/a"
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def _bars(axes: Any, title: str, groups: dict[str, dict[str, float | None]]) -> None:
    """Draw one group of bars for each entry, one bar for each engine."""
    for number, engine in enumerate(NAMES):
        places = [at + (number - 1) * 0.27 for at in range(len(groups))]
        values = [group.get(engine) for group in groups.values()]
        drawn = axes.bar(places, [value or 0 for value in values], 0.25, color=COLOURS[engine], label=NAMES[engine])
        axes.bar_label(drawn, [_label(value) for value in values], fontsize=7, padding=1)
    axes.set_xticks(range(len(groups)), list(groups))
    axes.set_title(title, fontsize=10, loc="left")
    axes.margins(y=0.15)
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    results = json.loads(Path(sys.argv[1]).read_text())
    figures = results["figures"]
    sizes = sorted({int(name.rpartition("/")[2]) for name in figures} - {1})
    many = 20 if 20 in sizes else sizes[0]

    def value(engine: str, settings: str, calls: int, *path: str) -> float | None:
        found: Any = figures.get(f"{engine}/{settings}/{calls}")
        for name in path:
            found = found and found.get(name)
        return found

    def engines(settings: str, calls: int, *path: str) -> dict[str, float | None]:
        return {engine: value(engine, settings, calls, *path) for engine in NAMES}

    figure, ((a, b), (c, d)) = plt.subplots(2, 2, figsize=(11, 7), layout="constrained")
    added = {
        f"{settings},\n{kind}": engines(settings, many, "added_ms", kind, "p50")
        for settings in ("stock", "equal")
        for kind in ("normal", "after barge-in")
    }
    _bars(a, f"Added latency, median ms ({many} calls)", added)
    barge_in = {
        f"{settings},\n{what}": engines(settings, many, f"{what}_ms", "p50")
        for settings in ("stock", "equal")
        for what in ("duck", "stop")
    }
    _bars(b, f"Barge-in: quieter, stopped; median ms ({many} calls)", barge_in)
    cpu = {f"{calls} calls": engines("equal", calls, "cpu_ms_per_call_s", "mean") for calls in sizes}
    _bars(c, "CPU, ms for each second of a call (equal settings)", cpu)
    lost: dict[str, dict[str, float | None]] = {}
    for kind in ("cough", "noise", "mm-hm"):
        lost[kind] = {}
        for engine in NAMES:
            found: Any = figures.get(f"{engine}/stock/{many}", {}).get("disturbed", {}).get(kind)
            lost[kind][engine] = 100 * found.get("lost", 0) / found["n"] if found and found["n"] else None
    _bars(d, f"Reply lost to a sound, % (stock settings, {many} calls)", lost)
    a.legend(frameon=False)
    figure.savefig(sys.argv[2], metadata={"Date": None})


if __name__ == "__main__":
    main()
