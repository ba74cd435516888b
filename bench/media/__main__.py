"""CPU of the server process for each second of a call: our transport beside aiortc's, in the same run.

``python -m bench.media`` takes about ten minutes. The same signalling, the same callers in a process of their own, the same
two voices that never pause; the order of the variants changes from round to round, so that neither always runs on the
warmer machine. Callers are light ones (:mod:`bench.media.light`), and LiveKit's client (libwebrtc) at one size, to show
how much more it costs the server. What an engine, VAD or models cost comes on top (``bench.turns``).
"""

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from oneinbox.live.audio.opus import library_version

ROOT = Path(__file__).resolve().parents[2]
SETTLE_S = 3.0
WHOLE = 0.97
"""Of the sound that was sent, so much has to be heard; else the endpoint did not carry its calls."""


class Variant(NamedTuple):
    """What is measured."""

    name: str
    server: tuple[str, ...]
    load: str = "light"


OURS = Variant("ours", ("--variant", "ours"))
STOCK = Variant("stock", ("--variant", "stock"))
RECORDED = Variant("ours, recorded", ("--variant", "ours", "--record"))
VARIANTS = (
    OURS,
    STOCK,
    RECORDED,
    Variant("ours + uvloop", ("--variant", "ours", "--uvloop")),
    Variant("stock + uvloop", ("--variant", "stock", "--uvloop")),
)
LIVEKIT_CALLERS = (
    Variant("ours, LiveKit's client", ("--variant", "ours"), "livekit"),
    Variant("stock, LiveKit's client", ("--variant", "stock"), "livekit"),
)


class _Process:
    """A child that answers a line with a line of JSON."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._seen = psutil.Process(self._child.pid)

    def read(self) -> str:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError("a benchmark process died")
        return line.strip()

    def count(self) -> dict[str, Any]:
        self._say("count")
        return json.loads(self.read())

    def _say(self, line: str) -> None:
        assert self._child.stdin is not None
        self._child.stdin.write(line + "\n")
        self._child.stdin.flush()

    def cpu_s(self) -> float:
        times = self._seen.cpu_times()
        return times.user + times.system

    def memory_mb(self) -> float:
        return self._seen.memory_info().rss / 2**20

    def stop(self) -> None:
        try:
            self._say("stop")
            self._child.wait(15)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._child.kill()
            self._child.wait()


def measure(variant: Variant, calls: int, seconds: float, *, profile: bool = False) -> dict[str, Any]:
    """Return the figures of one run; raises ``RuntimeError`` where the callers did not all come in."""
    spoken_s = str(seconds + 60 + calls)
    arguments = [*variant.server, "--calls", str(calls), "--seconds", spoken_s, *(["--profile"] if profile else [])]
    server = _Process("bench.media.server", *arguments)
    try:
        url = json.loads(server.read())["url"]
        load = _Process("bench.media.load", "--url", url, "--calls", str(calls), "--kind", variant.load)
        try:
            load.read()
            time.sleep(SETTLE_S)
            load.count()
            before, began_s = server.count(), time.monotonic()
            cpu_s, load_cpu_s = server.cpu_s(), load.cpu_s()
            time.sleep(seconds)
            cpu_s, load_cpu_s = server.cpu_s() - cpu_s, load.cpu_s() - load_cpu_s
            wall_s = time.monotonic() - began_s
            call_s = wall_s * calls
            after, heard = server.count(), load.count()
            return {
                "cpu_ms": cpu_s / call_s * 1000,
                "core": cpu_s / wall_s,
                "load_cpu_ms": load_cpu_s / call_s * 1000,
                "server_heard": (after["heard_s"] - before["heard_s"]) / call_s,
                "client_heard": heard["heard_s"] / call_s,
                "late_ms": after["late_ms"],
                "memory_mb": server.memory_mb(),
                "parts": after.get("parts", {}),
                "table": after.get("table", ""),
            }
        finally:
            load.stop()
    finally:
        server.stop()


def _row(calls: int, variant: Variant, runs: list[dict[str, Any]]) -> str:
    def mean(key: str) -> float:
        return statistics.mean(run[key] for run in runs)

    each = " ".join(f"{run['cpu_ms']:.1f}" for run in runs)
    heard = min(mean("server_heard"), mean("client_heard"))
    verdict = "" if heard >= WHOLE else "  NOT CARRIED"
    return (
        f"{calls:5}  {variant.name:24} {mean('cpu_ms'):6.1f} ({each})".ljust(56)
        + f"{mean('core'):5.2f}   {mean('server_heard'):.3f} / {mean('client_heard'):.3f}   "
        + f"{max(run['late_ms'] for run in runs):7.1f} {mean('memory_mb'):6.0f} {mean('load_cpu_ms'):10.1f}{verdict}"
    )


def _compare(calls: int, variants: tuple[Variant, ...], rounds: int, seconds: float) -> None:
    found: dict[Variant, list[dict[str, Any]]] = {variant: [] for variant in variants}
    for number in range(rounds):
        first = number % len(variants)
        for variant in variants[first:] + variants[:first]:
            try:
                found[variant].append(measure(variant, calls, seconds))
            except RuntimeError as error:
                print(f"{calls:5}  {variant.name}: {error}", flush=True)
    for variant, runs in found.items():
        if runs:
            print(_row(calls, variant, runs), flush=True)
    if found.get(OURS) and found.get(STOCK):
        ours, stock = (statistics.mean(run["cpu_ms"] for run in found[variant]) for variant in (OURS, STOCK))
        print(f"{calls:5}  stock / ours: {stock / ours:.1f}", flush=True)


def _profile(calls: int, variants: tuple[Variant, ...], seconds: float, *, functions: bool) -> None:
    for variant in variants:
        run = measure(variant, calls, seconds, profile=True)
        print(
            f"\nwhere the time goes: {variant.name}, {calls} calls, {run['cpu_ms']:.1f} ms per call-second (sampled; heard {run['server_heard']:.2f})"
        )
        for part, share in run["parts"].items():
            print(f"  {part:26} {100 * share:5.1f} %  {share * run['cpu_ms']:6.2f} ms")
        if functions:
            print(run["table"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, nargs="*", default=[1, 8, 16, 40])
    parser.add_argument(
        "--livekit", type=int, nargs="*", default=[8], help="sizes at which LiveKit's client is the load"
    )
    parser.add_argument(
        "--profile", type=int, nargs="*", default=[40], help="sizes at which to see where the time goes"
    )
    parser.add_argument("--variants", nargs="*", help="names, to run only some", default=[one.name for one in VARIANTS])
    parser.add_argument("--functions", action="store_true", help="profile by function too")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    versions = {name: importlib.metadata.version(name) for name in ("aiortc", "aioice", "av", "uvloop", "livekit")}
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}"
    )
    print(", ".join(f"{name} {version}" for name, version in versions.items()), f"{library_version()},", sep=", ")
    print("Opus 20 ms both ways without pause; ours: 16 kHz mono in, 24 kHz mono out at complexity 5, 32 kbit/s")
    print("stock: aiortc's tracks, AudioFrames at 48 kHz; its received audio is not resampled (it would cost more)\n")
    print(
        "calls  variant                  CPU ms per call-s (runs)   cores   heard: server/client   late ms   MB   caller's ms"
    )
    chosen = tuple(one for one in VARIANTS if one.name in options.variants)
    for calls in options.calls:
        _compare(calls, chosen, options.rounds, options.seconds)
    for calls in options.livekit:
        _compare(calls, LIVEKIT_CALLERS, options.rounds, options.seconds)
    for calls in options.profile:
        plain = tuple(one for one in (OURS, STOCK) if one in chosen)
        _profile(calls, plain, options.seconds, functions=options.functions)


if __name__ == "__main__":
    main()
