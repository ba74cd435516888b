"""CPU of the server process for each second of a call: our transport beside aiortc's, in the same run.

``python -m bench.media`` takes about four minutes. The same signalling, the same clients (LiveKit's, libwebrtc) in a
process of their own, the same two voices that never pause; the order of the variants changes from round to round, so
that neither always runs on the warmer machine. What an engine, VAD or models cost comes on top.
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
from typing import Any

import psutil

from oneinbox.live.audio.opus import library_version

ROOT = Path(__file__).resolve().parents[2]
SETTLE_S = 3.0


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


def measure(variant: str, calls: int, seconds: float, *, uvloop: bool) -> dict[str, float]:
    """Return the figures of one run."""
    arguments = ["--variant", variant, "--calls", str(calls), "--seconds", str(seconds + 60)]
    server = _Process("bench.media.server", *arguments, *(["--uvloop"] if uvloop else []))
    try:
        url = json.loads(server.read())["url"]
        load = _Process("bench.media.load", "--url", url, "--calls", str(calls))
        try:
            load.read()
            time.sleep(SETTLE_S)
            before, began_s = server.count(), time.monotonic()
            load.count()
            cpu_s, load_cpu_s = server.cpu_s(), load.cpu_s()
            time.sleep(seconds)
            cpu_s, load_cpu_s = server.cpu_s() - cpu_s, load.cpu_s() - load_cpu_s
            call_s = (time.monotonic() - began_s) * calls
            after, heard = server.count(), load.count()
            return {
                "cpu_ms": cpu_s / call_s * 1000,
                "load_cpu_ms": load_cpu_s / call_s * 1000,
                "server_heard": (after["heard_s"] - before["heard_s"]) / call_s,
                "client_heard": heard["heard_s"] / call_s,
                "late_ms": after["late_ms"],
                "memory_mb": server.memory_mb(),
            }
        finally:
            load.stop()
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, nargs="+", default=[1, 8, 16])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    variants = [("ours", False), ("stock", False), ("ours", True), ("stock", True)]
    versions = {name: importlib.metadata.version(name) for name in ("aiortc", "aioice", "av", "uvloop", "livekit")}
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}"
    )
    print(", ".join(f"{name} {version}" for name, version in versions.items()), f"{library_version()},", sep=", ")
    print("Opus 20 ms both ways without pause; ours: 16 kHz mono in, 24 kHz mono out at complexity 5, 32 kbit/s")
    print("stock: aiortc's tracks, AudioFrames at 48 kHz; its received audio is not resampled (it would cost more)\n")
    print("calls  variant        CPU ms per call-s (runs)   server/client heard   late ms   MB   client's CPU ms")
    for calls in options.calls:
        found: dict[tuple[str, bool], list[dict[str, float]]] = {variant: [] for variant in variants}
        for number in range(options.rounds):
            order = variants[number % len(variants) :] + variants[: number % len(variants)]
            for name, uvloop in order:
                found[name, uvloop].append(measure(name, calls, options.seconds, uvloop=uvloop))
        for (name, uvloop), runs in found.items():
            mean = {key: statistics.mean(run[key] for run in runs) for key in runs[0]}
            cpu = " ".join(f"{run['cpu_ms']:.1f}" for run in runs)
            label = name + (" + uvloop" if uvloop else "")
            print(
                f"{calls:5}  {label:14} {mean['cpu_ms']:6.1f} ({cpu})".ljust(49),
                f"{mean['server_heard']:.3f} / {mean['client_heard']:.3f}".ljust(21),
                f"{max(run['late_ms'] for run in runs):7.1f} {mean['memory_mb']:6.0f} {mean['load_cpu_ms']:12.0f}",
                flush=True,
            )
        for uvloop in (False, True):
            ours, stock = (statistics.mean(run["cpu_ms"] for run in found[name, uvloop]) for name in ("ours", "stock"))
            print(f"{calls:5}  stock / ours{' + uvloop' if uvloop else ''}: {stock / ours:.1f}", flush=True)


if __name__ == "__main__":
    main()
