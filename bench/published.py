"""What every page of figures has: where they were taken, and a part that its benchmark writes and nobody else."""

import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_BEGIN, _END = "<!-- figures: written by the benchmark -->", "<!-- end of the figures -->"


def describe(root: Path) -> dict[str, Any]:
    """Return what the figures are taken on: the day, the commit of the checkout at ``root``, the machine, its load."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines(Path("/proc/cpuinfo")) if "model name" in line),
        platform.machine(),
    )
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit.stdout.strip(),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def about(results: Mapping[str, Any], runs: str) -> str:
    """Return a sentence on where the figures come from; ``runs`` says how much was run, ``results`` hold ``describe`` too."""
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    return (
        f"{results['date']}, commit {results['commit']}; {results['cores']} shared cores ({results['cpu']}), Python "
        f"{results['python']}, {versions}; {runs}, load {results['load_before']:.1f} at the start."
    )


def write(page: Path, figures: str) -> None:
    """Put ``figures`` (Markdown) in the place of those that the benchmark wrote before; what stands around them stays.

    Raises ``ValueError`` where there is a page without such a place.
    """
    text = page.read_text() if page.is_file() else f"{_BEGIN}{_END}\n"
    head, begin, rest = text.partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"{page} has no place for figures: {_BEGIN} ... {_END}")
    page.write_text(f"{head}{_BEGIN}\n\n{figures}\n{_END}{tail}")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []
