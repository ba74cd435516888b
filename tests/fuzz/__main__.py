"""Fuzzes parsers for a while: ``python -m tests.fuzz [--minutes 10] [--seed 1] [target ...]``.

With atheris installed (``pip install atheris``) inputs are led by coverage; without, they are mutations of the examples. An input
that breaks a parser is written to a file, whose name is printed, and the run goes on to the next target and fails.
"""

import argparse
import hashlib
import logging
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

FOUND = Path("build/fuzz")
_SLOW_S = 2.0


def main() -> int:
    asked = _parse()
    if asked.one:
        return _run_one(asked.one, asked.minutes * 60, asked.seed)
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - atheris instruments what is imported after it

    status = 0
    for name in asked.targets or TARGETS:
        command = [
            sys.executable,
            "-m",
            "tests.fuzz",
            "--one",
            name,
            "--minutes",
            str(asked.minutes),
            "--seed",
            str(asked.seed),
        ]
        status |= subprocess.run(command, check=False).returncode != 0
    return int(status)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help="names of tests/fuzz/targets.py; none: all")
    parser.add_argument("--minutes", type=float, default=10, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


def _run_one(name: str, limit_s: float, seed: int) -> int:
    logging.disable()
    if find_spec("atheris") is not None:
        return _led_by_coverage(name, limit_s, seed)
    from tests.fuzz.mutation import mutations  # noqa: PLC0415
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415

    target = TARGETS[name]
    end_s = time.monotonic() + limit_s
    for count, data in enumerate(mutations(target.seeds, seed)):
        begun_s = time.process_time()
        broken: object = None
        try:
            target.take(data)
        except Exception as error:  # noqa: BLE001 - whatever comes out is what is looked for
            broken = repr(error)
        took_s = time.process_time() - begun_s
        if broken or took_s > _SLOW_S:
            print(f"{name}: after {count} inputs, in {took_s:.1f} s, {broken}: {_keep(name, data)}")
            return 1
        if time.monotonic() > end_s:
            print(f"{name}: {count} inputs by mutation, nothing found")
            break
    return 0


def _led_by_coverage(name: str, limit_s: float, seed: int) -> int:
    import atheris  # noqa: PLC0415 # pyright: ignore[reportMissingImports] - only where somebody installed it

    with atheris.instrument_imports(include=["oneinbox", "aiortc.rtcsctptransport"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415

    corpus = FOUND / f"corpus-{name}"
    corpus.mkdir(parents=True, exist_ok=True)
    for data in TARGETS[name].seeds:
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    options = ["-max_len=4096", "-timeout=5", "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=0"]
    options += [f"-max_total_time={int(limit_s)}", f"-seed={seed}", f"-artifact_prefix={FOUND}/{name}-", str(corpus)]
    print(f"{name}: led by coverage", flush=True)
    atheris.Setup([sys.argv[0], *options], TARGETS[name].take)
    atheris.Fuzz()
    return 0


def _keep(name: str, data: bytes) -> Path:
    FOUND.mkdir(parents=True, exist_ok=True)
    path = FOUND / f"{name}-{hashlib.sha256(data).hexdigest()[:16]}"
    path.write_bytes(data)
    return path


if __name__ == "__main__":
    sys.exit(main())
