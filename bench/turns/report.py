"""Figures as JSON and as tables."""

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench import published
from bench.turns.measure import Figures, percentile

NAMES = {"ours": "ours", "livekit": "LiveKit Agents", "pipecat": "Pipecat"}
COLUMNS = [(engine, settings) for settings in ("stock", "equal") for engine in NAMES]


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {
        "n": len(values),
        "p50": round(statistics.median(values), 1),
        "p95": round(percentile(values, 0.95), 1),
        "min": round(min(values), 1),
        "max": round(max(values), 1),
    }


def summary(figures: Figures) -> dict[str, Any]:
    """Return one engine's figures at one setting and size."""
    disturbed: dict[str, Any] = {}
    for kind, outcomes in figures.disturbed.items():
        back = [ms for outcome, ms in outcomes if outcome in ("paused", "ducked")]
        disturbed[kind] = {**Counter(outcome for outcome, _ in outcomes), "n": len(outcomes), "back": _spread(back)}
    return {
        "added_ms": {kind: _spread(values) for kind, values in figures.added.items()},
        "missed": figures.missed,
        "asked": figures.asked,
        "duck_ms": _spread(figures.duck),
        "stop_ms": _spread(figures.stop),
        "disturbed": disturbed,
        "false_ends": {kind: {"n": len(early), "early": sum(early)} for kind, early in figures.pauses.items()},
        "cpu_ms_per_call_s": {**(_spread(figures.cpu) or {}), "mean": round(statistics.mean(figures.cpu), 2)},
        "memory_mb": round(statistics.mean(figures.memory), 1),
        "loop_lag_p99_ms": round(max(figures.lag), 1),
        "failed": figures.failed[:5],
    }


def results(about: Mapping[str, Any], figures: Mapping[tuple[str, str, int], Figures]) -> dict[str, Any]:
    """Return everything as JSON. What a process with one call takes is taken from one with more."""
    found = {f"{engine}/{settings}/{calls}": summary(one) for (engine, settings, calls), one in sorted(figures.items())}
    for (engine, settings, calls), one in figures.items():
        alone = figures.get((engine, settings, 1))
        if alone is not None and calls > 1:
            further_mb = (statistics.mean(one.memory) - statistics.mean(alone.memory)) / (calls - 1)
            found[f"{engine}/{settings}/{calls}"]["memory_mb_per_call"] = round(further_mb, 2)
    return {**about, "figures": found}


def line(figures: Figures) -> str:
    """Return one run's figures on a line, for whoever watches."""
    known = summary(figures)
    added = {kind: spread and spread["p50"] for kind, spread in known["added_ms"].items()}
    stop = known["stop_ms"] and known["stop_ms"]["p50"]
    outcomes = {kind: {k: v for k, v in found.items() if k not in ("n", "back")} for kind, found in known["disturbed"].items()}  # fmt: skip
    ends = {kind: f"{found['early']}/{found['n']}" for kind, found in known["false_ends"].items() if found["n"]}
    return (
        f"cpu {known['cpu_ms_per_call_s']['mean']:6.2f}  MB {known['memory_mb']}  lag {known['loop_lag_p99_ms']}  "
        f"added {added}  missed {known['missed']}/{known['asked']}  stop {stop}  {outcomes}  early {ends}  {known['failed']}"
    )


def _ms(spread: Mapping[str, float] | None) -> str:
    return "-" if not spread else f"{spread['p50']:.0f} / {spread['p95']:.0f} ({spread['n']:.0f})"


def _share(part: int, whole: int) -> str:
    return "-" if not whole else f"{part} of {whole}"


def _rows(figures: Mapping[str, Any], calls: int) -> list[list[str]]:
    def cells(of: Callable[[dict[str, Any]], str]) -> list[str]:
        found = [figures.get(f"{engine}/{settings}/{calls}") for engine, settings in COLUMNS]
        return [of(one) if one else "-" for one in found]

    rows = [
        ["added latency, normal turn: p50 / p95 ms (n)", *cells(lambda f: _ms(f["added_ms"]["normal"]))],
        ["added latency, after a barge-in", *cells(lambda f: _ms(f["added_ms"]["after barge-in"]))],
        ["questions without an answer within 8 s", *cells(lambda f: _share(f["missed"], f["asked"]))],
        ["barge-in: quieter after, p50 / p95 ms", *cells(lambda f: _ms(f["duck_ms"]))],
        ["barge-in: stopped after", *cells(lambda f: _ms(f["stop_ms"]))],
    ]
    if any(name.endswith(f"/{calls}") and found["disturbed"]["cough"]["n"] for name, found in figures.items()):
        for kind in "cough", "noise", "mm-hm":

            def lost(f: dict[str, Any], kind: str = kind) -> str:
                return _share(f["disturbed"][kind].get("lost", 0), f["disturbed"][kind]["n"])

            def paused(f: dict[str, Any], kind: str = kind) -> str:
                return _share(f["disturbed"][kind].get("paused", 0), f["disturbed"][kind]["n"])

            def back(f: dict[str, Any], kind: str = kind) -> str:
                return _ms(f["disturbed"][kind]["back"])

            rows.append([f"{kind}: the reply was lost", *cells(lost)])
            rows.append([f"{kind}: paused, and went on", *cells(paused)])
            rows.append([f"{kind}: at full level again after its end", *cells(back)])
        for kind in "pause400", "pause800":

            def early(f: dict[str, Any], kind: str = kind) -> str:
                return _share(f["false_ends"][kind]["early"], f["false_ends"][kind]["n"])

            rows.append([f"spoke into a pause of {kind.removeprefix('pause')} ms", *cells(early)])
    return rows


def tables(results: Mapping[str, Any]) -> str:
    """Return the tables of the report in Markdown."""
    figures = results["figures"]
    sizes = sorted({int(name.rpartition("/")[2]) for name in figures})
    head = ["", *(f"{NAMES[engine]}, {settings}" for engine, settings in COLUMNS)]
    out = ""
    for calls in sizes:
        if any(f"{engine}/stock/{calls}" in figures for engine in NAMES):
            out += (
                f"### {calls} call{'s' if calls > 1 else ''} in the process\n\n"
                + published.table(head, _rows(figures, calls))
                + "\n"
            )
    rows: list[list[str]] = []
    for calls in sizes:
        for settings in ("stock", "equal"):
            row = [f"{calls}, {settings}"]
            known = [figures.get(f"{engine}/{settings}/{calls}") for engine in NAMES]
            if not any(known):
                continue
            for one in known:
                spread = one and one["cpu_ms_per_call_s"]
                row.append(f"{spread['mean']:.1f} ({spread['min']:.1f}-{spread['max']:.1f})" if spread else "-")
            ours = known[0]["cpu_ms_per_call_s"]["mean"] if known[0] else None
            row += [f"{one['cpu_ms_per_call_s']['mean'] / ours:.1f}" if one and ours else "-" for one in known[1:]]
            harness = figures.get(f"harness/-/{calls}")
            row.append(f"{harness['cpu_ms_per_call_s']['mean']:.1f}" if harness else "-")
            rows.append(row)
    out += "### CPU, ms for each second of a call: mean (lowest-highest run)\n\n"
    out += published.table(["calls", *NAMES.values(), "LiveKit / ours", "Pipecat / ours", "harness alone"], rows) + "\n"
    rows = [
        [f"{calls}, {settings}", *(f"{one['memory_mb_per_call']:.2f}" if one and "memory_mb_per_call" in one else "-" for one in known)]
        for calls in sizes if calls > 1
        for settings in ("stock", "equal")
        if any(known := [figures.get(f"{engine}/{settings}/{calls}") for engine in NAMES])
    ]  # fmt: skip
    out += "### Memory for each further call, MB\n\n" + published.table(["calls", *NAMES.values()], rows)
    return out


def about(results: Mapping[str, Any]) -> str:
    """Return a sentence on where the figures come from."""
    runs = f"{results['rounds']} rounds of {results['seconds']:.0f} s a run"
    return f"{published.about(results, runs)}\n"
