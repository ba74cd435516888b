"""Figures of the media benchmark as JSON and as tables."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from bench import published

WHOLE = 0.97
"""Of the sound that was sent, so much has to be heard; else the endpoint did not carry its calls."""
OURS, STOCK = "ours", "stock"
LIVEKIT = ", LiveKit's client"
"""What follows a variant's name where LiveKit's client is the load."""
_SETTLED = ("core", "server_heard", "client_heard", "memory_mb", "load_cpu_ms")


def summary(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what several runs of one variant at one size come to; an empty list is one that never stood."""
    if not runs:
        return {"carried": False}
    means = {key: round(statistics.mean(run[key] for run in runs), 3) for key in _SETTLED}
    return {
        "cpu_ms": round(statistics.mean(run["cpu_ms"] for run in runs), 2),
        "runs_cpu_ms": [round(run["cpu_ms"], 2) for run in runs],
        "late_ms": round(max(run["late_ms"] for run in runs), 1),
        **means,
        "carried": min(means["server_heard"], means["client_heard"]) >= WHOLE,
    }


def parts(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return where one run's time went, ms for each second of a call."""
    return {
        "cpu_ms": round(run["cpu_ms"], 2),
        "parts_ms": {part: round(share * run["cpu_ms"], 2) for part, share in run["parts"].items()},
    }


def row(calls: int, variant: str, found: Mapping[str, Any]) -> str:
    """Return one variant at one size on a line, for whoever watches."""
    if "cpu_ms" not in found:
        return f"{calls:5}  {variant:24} NOT CARRIED"
    each = " ".join(f"{ms:.1f}" for ms in found["runs_cpu_ms"])
    return (
        f"{calls:5}  {variant:24} {found['cpu_ms']:6.1f} ({each})".ljust(56)
        + f"{found['core']:5.2f}   {found['server_heard']:.3f} / {found['client_heard']:.3f}   "
        + f"{found['late_ms']:7.1f} {found['memory_mb']:6.0f} {found['load_cpu_ms']:10.1f}"
        + ("" if found["carried"] else "  NOT CARRIED")
    )


def about(results: Mapping[str, Any]) -> str:
    """Return a sentence on where the figures come from."""
    runs = f"{results['rounds']} x {results['seconds']:g} s of each"
    return f"{published.about(results, runs)} All over loopback.\n"


def tables(results: Mapping[str, Any]) -> str:
    """Return the tables of the page in Markdown."""
    figures, sizes, variants = results["figures"], results["sizes"], results["variants"]
    out = "### CPU, ms for each second of a call: mean (runs)\n\n"
    out += _cpu(figures, sizes, variants)
    if results["livekit"]:
        out += "\nLiveKit's client (libwebrtc) as the load:\n\n" + _cpu(
            figures, results["livekit"], (OURS, STOCK), LIVEKIT
        )
    out += "\n### Whether the calls were carried\n\n"
    out += published.table(
        ["calls, variant", "cores", "heard by the server", "by the callers", "clock late by at most", "memory"],
        [[f"{calls}, {variant}", *_carried(figures[f"{variant}/{calls}"])] for calls in sizes for variant in variants],
    )
    return out + _where(results["profiles"])


def _cpu(figures: Mapping[str, Any], sizes: Sequence[int], variants: Sequence[str], load: str = "") -> str:
    rows: list[list[str]] = []
    for calls in sizes:
        known = {variant: figures[f"{variant}{load}/{calls}"] for variant in variants}
        carried = {variant: found["cpu_ms"] for variant, found in known.items() if found["carried"]}
        ratio = f"{carried[STOCK] / carried[OURS]:.1f}" if {OURS, STOCK} <= carried.keys() else "-"
        rows.append([str(calls), *map(_ms, known.values()), ratio])
    return published.table(["calls", *variants, "stock / ours"], rows)


def _ms(found: Mapping[str, Any]) -> str:
    if not found["carried"]:
        return "does not carry them"
    return f"{found['cpu_ms']:.1f} ({', '.join(f'{ms:.1f}' for ms in found['runs_cpu_ms'])})"


def _carried(found: Mapping[str, Any]) -> list[str]:
    if "cpu_ms" not in found:
        return ["-"] * 5
    heard = [f"{100 * min(1.0, found[who]):.0f} %" for who in ("server_heard", "client_heard")]
    return [f"{found['core']:.2f}", *heard, f"{found['late_ms']:.0f} ms", f"{found['memory_mb']:.0f} MB"]


def _where(profiles: Mapping[str, Any]) -> str:
    out = ""
    for calls, found in profiles.items():
        out += f"\n### Where ours goes: {calls} calls, {found['cpu_ms']:.1f} ms (sampled)\n\n"
        out += published.table(["part", "ms"], [[part, f"{ms:.2f}"] for part, ms in found["parts_ms"].items()])
    return out
