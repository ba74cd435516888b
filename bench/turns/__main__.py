"""Turn-taking of our engine, LiveKit Agents and Pipecat, side by side: ``python -m bench.turns`` (about 20 minutes).

The same human speech, the same scripted recogniser, model and voice (``script.py``), each engine in a process of its own,
pinned to one core, one after the other in an order that rotates from round to round; only the runs of a single call
share the time, two by two, on two cores. Each engine runs at its stock settings and at equalised ones (see the head of
``ours.py``, ``livekit_peer.py``, ``pipecat_peer.py``). ``--short`` takes three minutes and proves nothing.

Figures: added latency is from the labelled end of speech to the first sound of the reply, less what the scripted
providers take one after the other; the silence that the settings ask for is in it where it is longer than they are.
CPU is user and system time of the whole process, callers and fakes included (``harness`` is what those cost alone).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench import published
from bench.turns import peers, report, speech
from bench.turns.measure import Figures

ROOT = Path(__file__).resolve().parents[2]
ENGINES = ("ours", "livekit", "pipecat")
SETTINGS = ("stock", "equal")
FULL_CORE = 0.92
"""More calls are not tried where they would take more than this share of a core."""

Key = tuple[str, str, int]


class Bench:
    """Runs contenders and keeps what they printed."""

    def __init__(self, clips: Path, seconds: float, keep: Path) -> None:
        self.figures: dict[Key, Figures] = {}
        self._clips = clips
        self._seconds = seconds
        self._keep = keep

    def run(self, engine: str, settings: str, calls: int, *, core: int, share: float = 1.0) -> None:
        """Run one contender on ``core`` and take in its figures; ``share`` of the usual time."""
        python = sys.executable if engine in ("ours", "harness") else str(peers.python(ROOT))
        script = "talk" if calls == 1 else "all"
        command = ["taskset", "-c", str(core), python, "-m", "bench.turns.contender", engine, settings, str(calls)]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        started_s = time.monotonic()
        seconds = self._seconds * share
        done = subprocess.run(
            [*command, str(seconds), script, str(self._clips)],
            env=environ,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=seconds + 120,
            check=False,
        )
        if done.returncode or not done.stdout.strip():
            print(f"{engine} {settings} {calls}: FAILED\n{done.stderr[-2000:]}", flush=True)
            return
        run = json.loads(done.stdout.strip().splitlines()[-1])
        figures = self.figures.setdefault((engine, settings, calls), Figures())
        figures.add(run)
        with self._keep.open("a") as file:
            file.write(json.dumps({key: value for key, value in run.items() if key != "callers"}) + "\n")
        took_s = time.monotonic() - started_s
        print(f"{engine:9}{settings:6}{calls:4}  {report.line(figures)}  ({took_s:.0f} s)", flush=True)

    def may_run(self, engine: str, calls: int) -> bool:
        """Whether ``calls`` fit on a core, judged by the largest number that was measured."""
        known = [key for key in self.figures if key[0] == engine and 1 < key[2] < calls]
        if not known:
            return True
        nearest = max(known, key=lambda key: key[2])
        return min(self.figures[nearest].cpu) / 1000 * calls <= FULL_CORE

    def round(self, order: Sequence[str], sizes: Sequence[int], core: int) -> None:
        if 1 in sizes:
            pairs = [(engine, settings) for settings in SETTINGS for engine in order]
            with ThreadPoolExecutor(2) as pool:
                cores = [core, max(0, core - 1)]
                for one, other in zip(pairs[::2], pairs[1::2], strict=True):
                    jobs = [
                        pool.submit(self.run, *pair, 1, core=at) for pair, at in zip((one, other), cores, strict=True)
                    ]
                    for job in jobs:
                        job.result()
        for calls in (size for size in sizes if size > 1):
            if ("harness", "-", calls) not in self.figures:
                self.run("harness", "-", calls, core=core, share=0.4)
            for settings in SETTINGS if calls == min(size for size in sizes if size > 1) else ("equal",):
                for engine in order:
                    if self.may_run(engine, calls):
                        self.run(engine, settings, calls, core=core, share=1.0 if calls <= 20 else 0.6)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.turns")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=22.0, help="of one run, after warming up")
    parser.add_argument("--calls", type=int, nargs="*", default=[1, 20, 40, 100])
    parser.add_argument("--engines", nargs="*", default=list(ENGINES))
    parser.add_argument("--short", action="store_true", help="one round of 1 and 5 calls")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks/turns.*, not only build/turns/")
    options = parser.parse_args()
    if options.short:
        options.rounds, options.calls, options.seconds = 1, [1, 5], 20.0
    peers.install(ROOT)
    out = ROOT / "build" / "turns"
    out.mkdir(parents=True, exist_ok=True)
    runs = out / "runs.jsonl"
    runs.unlink(missing_ok=True)
    about = {**published.describe(ROOT), "versions": peers.versions(ROOT)}
    core = max(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        speech.make(Path(folder))
        bench = Bench(Path(folder), options.seconds, runs)
        results: dict[str, Any] = {}
        for number in range(options.rounds):
            order = options.engines[number % len(options.engines) :] + options.engines[: number % len(options.engines)]
            print(f"round {number + 1}: {', '.join(order)}; load {os.getloadavg()[0]:.1f}", flush=True)
            bench.round(order, options.calls, core)
            results = report.results(about | {"rounds": number + 1, "seconds": options.seconds}, bench.figures)
            publish(results, ROOT / "docs" / "benchmarks" if options.write else out)
    print(report.tables(results))


def publish(results: dict[str, Any], folder: Path) -> None:
    """Write the figures as JSON, as tables into the page, where there is one, and drawn."""
    data, page = folder / "turns.json", folder / "turns.md"
    data.write_text(json.dumps(results, indent=1) + "\n")
    published.write(page, f"{report.about(results)}\n{report.tables(results)}")
    command = [str(peers.python(ROOT)), "-m", "bench.turns.plot", str(data), str(folder / "turns.svg")]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)


if __name__ == "__main__":
    main()
