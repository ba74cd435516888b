"""CPU of the server process for each second of a call: our transport beside aiortc's, in the same run.

``python -m bench.media`` takes about ten minutes. The same signalling, the same callers in a process of their own, the same
two voices that never pause; the order of the variants changes from round to round, so that neither always runs on the
warmer machine. Callers are light ones (:mod:`bench.media.light`), and LiveKit's client (libwebrtc) at one size, to show
how much more it costs the server. What an engine, VAD or models cost comes on top (``bench.turns``).

The figures go to ``build/media/``; with ``--write`` to ``docs/benchmarks/media.*``, where they replace the last ones.
"""

import argparse
import importlib.metadata
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from bench import published
from bench.media import report
from oneinbox.live.audio.opus import library_version

ROOT = Path(__file__).resolve().parents[2]
SETTLE_S = 3.0


class Variant(NamedTuple):
    """What is measured."""

    name: str
    server: tuple[str, ...]
    load: str = "light"


OURS = Variant(report.OURS, ("--variant", "ours"))
STOCK = Variant(report.STOCK, ("--variant", "stock"))
RECORDED = Variant("ours, recorded", ("--variant", "ours", "--record"))
VARIANTS = (
    OURS,
    STOCK,
    RECORDED,
    Variant("ours + uvloop", ("--variant", "ours", "--uvloop")),
    Variant("stock + uvloop", ("--variant", "stock", "--uvloop")),
)
LIVEKIT_CALLERS = (
    Variant(report.OURS + report.LIVEKIT, ("--variant", "ours"), "livekit"),
    Variant(report.STOCK + report.LIVEKIT, ("--variant", "stock"), "livekit"),
)


class _Process:
    """A child that answers a line with a line of JSON."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as the child
        self._child = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._seen = psutil.Process(self._child.pid)

    def read(self) -> str:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            self._errors.seek(0)
            lines = self._errors.read().strip().splitlines() or ["without a word"]
            raise RuntimeError(f"a benchmark process died: {lines[-1]}")
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
        self._errors.close()


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


class Bench:
    """Runs the variants and keeps what they came to, by ``variant/calls``."""

    def __init__(self, seconds: float) -> None:
        self.figures: dict[str, dict[str, Any]] = {}
        self.profiles: dict[str, dict[str, Any]] = {}
        self._seconds = seconds

    def compare(self, calls: int, variants: Sequence[Variant], rounds: int) -> None:
        """Measure ``variants`` at one size, in an order that changes from round to round."""
        found: dict[Variant, list[dict[str, Any]]] = {variant: [] for variant in variants}
        for number in range(rounds):
            first = number % len(variants)
            for variant in (*variants[first:], *variants[:first]):
                try:
                    found[variant].append(measure(variant, calls, self._seconds))
                except RuntimeError as error:
                    print(f"{calls:5}  {variant.name}: {error}", flush=True)
        for variant, runs in found.items():
            figures = self.figures[f"{variant.name}/{calls}"] = report.summary(runs)
            print(report.row(calls, variant.name, figures), flush=True)

    def profile(self, calls: int, *, functions: bool) -> None:
        """See where our time goes at one size. Not stock's: its codecs run in threads, of which the sampler sees nothing."""
        try:
            run = measure(OURS, calls, self._seconds, profile=True)
        except RuntimeError as error:
            print(f"\nwhere the time goes: {calls} calls: {error}", flush=True)
            return
        self.profiles[str(calls)] = report.parts(run)
        print(
            f"\nwhere the time goes: {calls} calls, {run['cpu_ms']:.1f} ms per call-second (sampled; "
            f"heard {run['server_heard']:.2f})"
        )
        for part, share in run["parts"].items():
            print(f"  {part:26} {100 * share:5.1f} %  {share * run['cpu_ms']:6.2f} ms")
        if functions:
            print(run["table"])


def describe(options: argparse.Namespace, chosen: Sequence[Variant]) -> dict[str, Any]:
    """Return what is measured, and on what."""
    versions = {name: importlib.metadata.version(name) for name in ("aiortc", "aioice", "av", "uvloop", "livekit")}
    return {
        **published.describe(ROOT),
        "versions": {**versions, "libopus": library_version().removeprefix("libopus ")},
        "rounds": options.rounds,
        "seconds": options.seconds,
        "sizes": options.calls,
        "livekit": options.livekit,
        "variants": [variant.name for variant in chosen],
    }


def publish(results: Mapping[str, Any], folder: Path) -> None:
    """Write the figures as JSON, and as tables into the page, where there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "media.json").write_text(json.dumps(results, indent=1) + "\n")
    published.write(folder / "media.md", f"{report.about(results)}\n{report.tables(results)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, nargs="*", default=[1, 8, 16, 40])
    parser.add_argument(
        "--livekit", type=int, nargs="*", default=[8], help="sizes at which LiveKit's client is the load"
    )
    parser.add_argument(
        "--profile", type=int, nargs="*", default=[40], help="sizes at which to see where our time goes"
    )
    parser.add_argument("--variants", nargs="*", help="names, to run only some", default=[one.name for one in VARIANTS])
    parser.add_argument("--functions", action="store_true", help="profile by function too")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks/media.*, not only build/media/")
    options = parser.parse_args()
    chosen = tuple(one for one in VARIANTS if one.name in options.variants)
    about = describe(options, chosen)
    print(report.about(about))
    print("Opus 20 ms both ways without pause; ours: 16 kHz mono in, 24 kHz mono out at complexity 5, 32 kbit/s")
    print("stock: aiortc's tracks, AudioFrames at 48 kHz; its received audio is not resampled (it would cost more)\n")
    print(
        "calls  variant                  CPU ms per call-s (runs)   cores   heard: server/client   late ms   MB   caller's ms"
    )
    bench = Bench(options.seconds)
    for calls in options.calls:
        bench.compare(calls, chosen, options.rounds)
    for calls in options.livekit:
        bench.compare(calls, LIVEKIT_CALLERS, options.rounds)
    for calls in options.profile:
        bench.profile(calls, functions=options.functions)
    results = {**about, "figures": bench.figures, "profiles": bench.profiles}
    publish(results, ROOT / "docs" / "benchmarks" if options.write else ROOT / "build" / "media")


if __name__ == "__main__":
    main()
