"""What ``POST /v1/web-calls/token`` costs: requests for each second of the server's CPU, alone and beside live calls.

``python -m bench.api`` takes about two and a half minutes. Alone: one API process (uvicorn, uvloop, httptools, SQLite in
WAL mode, commits synchronous FULL), a publishable key with one origin and no limits, the demo agent, no webhook; nobody
takes the calls. In the same rounds a bare Starlette route with one insert (synchronous NORMAL). Beside: a real server with
a real worker and 16 calls that are spoken (demo providers, LiveKit's client), first without the load, then with so many
requests a second, then with as many as it takes. The load comes from a process of its own. CPU time is what the API's
process used: a busy machine changes the latencies far more than the ratio.
"""

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, repeat
from pathlib import Path
from typing import IO, Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[2]
ORIGIN = "https://bench.example"
PATH = "/v1/web-calls/token"


@dataclass
class Measured:
    requests: int
    cpu_s: float
    system_s: float
    """The part of it that the kernel used."""
    wall_s: float
    latencies_s: list[float]

    @property
    def per_core(self) -> float:
        return self.requests / self.cpu_s

    def p(self, share: float) -> float:
        ordered = sorted(self.latencies_s)
        return 1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)]

    def line(self, name: str) -> str:
        return (
            f"{name:<40} {self.per_core:8.0f} requests per CPU second   {self.requests / self.wall_s:7.0f}/s on the clock   "
            f"kernel {100 * self.system_s / self.cpu_s:2.0f} %   p50 {self.p(0.5):6.1f} ms   p99 {self.p(0.99):6.1f} ms"
        )


async def client(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, moments: Iterator[float], until: float
) -> list[float]:
    """Ask over one connection, by hand: a client that costs little. ``moments``: when the next request is due.

    A request counts from the moment at which it was due, so that waiting for a free connection is not left out.
    """
    latencies: list[float] = []
    for due in moments:
        now = time.perf_counter()
        if due > now:
            await asyncio.sleep(due - now)
        began = due or time.perf_counter()
        if time.perf_counter() >= until:
            break
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 201"):
            raise RuntimeError(head.decode())
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        latencies.append(time.perf_counter() - began)
    writer.close()
    return latencies


@dataclass(frozen=True, kw_only=True)
class Target:
    """Whom to ask, with what, and whose CPU counts."""

    port: int
    pid: int
    body: dict[str, Any]
    headers: dict[str, str]

    def request(self) -> bytes:
        content = json.dumps(self.body).encode()
        lines = {
            "Host": f"127.0.0.1:{self.port}",
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            **self.headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"POST {PATH} HTTP/1.1\r\n{head}\r\n".encode() + content


async def load(target: Target, seconds: float, connections: int, per_second: float | None = None) -> Measured:
    """Ask as much as the connections can, or ``per_second`` times, evenly."""
    process = psutil.Process(target.pid)
    request = target.request()
    pairs = [await asyncio.open_connection("127.0.0.1", target.port) for _ in range(connections)]
    before, began = process.cpu_times(), time.perf_counter()
    moments = repeat(0.0) if per_second is None else (began + number / per_second for number in count())
    found = await asyncio.gather(*(client(*pair, request, moments, began + seconds) for pair in pairs))
    after, wall_s = process.cpu_times(), time.perf_counter() - began
    latencies = [one for several in found for one in several]
    cpu_s = after.user + after.system - before.user - before.system
    return Measured(len(latencies), cpu_s, after.system - before.system, wall_s, latencies)


def loaded(target: Target, seconds: float, connections: int, per_second: float | None = None) -> Measured:
    """Do the same, without an event loop around it."""
    return asyncio.run(load(target, seconds, connections, per_second))


def page_of(facts: dict[str, Any], pid: int) -> Target:
    """Make a publishable key, and return what a page with it asks."""
    made = httpx.post(
        f"http://127.0.0.1:{facts['port']}/v1/publishable-keys",
        headers={"Authorization": f"Bearer {facts['secret_key']}"},
        json={"name": "bench", "allowed_origins": [ORIGIN]},
    )
    headers = {"Origin": ORIGIN, "Authorization": f"Bearer {made.json()['key']}"}
    return Target(port=facts["port"], pid=pid, body={"agent_id": facts["agent_id"]}, headers=headers)


@contextmanager
def process(module: str, *arguments: str) -> Generator[tuple[subprocess.Popen[str], IO[str], IO[str]]]:
    """Run a module of ours, and end it."""
    child = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        yield child, child.stdin, child.stdout
    finally:
        child.stdin.close()
        child.terminate()
        child.wait(20)


def alone(which: str, seconds: float, connections: int, profile: Path | None = None) -> Measured:
    """Measure one API process, or the bare route."""
    with tempfile.TemporaryDirectory() as folder:
        options = () if profile is None else ("--profile", str(profile))
        with process("bench.api.target", which, folder, *options) as (child, _, told):
            facts = json.loads(told.readline())
            if which == "api":
                target = page_of(facts, child.pid)
            else:
                target = Target(port=facts["port"], pid=child.pid, body={"agent_id": "agt_1"}, headers={})
            loaded(target, seconds / 4, connections)  # warm
            return loaded(target, seconds, connections)


def beside(calls: int, seconds: float, connections: int, per_second: float) -> None:
    """Measure a real server beside live calls, and the calls beside the load."""
    with (
        tempfile.TemporaryDirectory() as folder,
        process("bench.api.live_server", folder, "--calls", str(calls)) as (server, asks, told),
        process("bench.api.callers") as (_, callers, ready),
    ):
        facts = json.loads(told.readline())
        target = page_of(facts, server.pid)
        address = f"http://127.0.0.1:{target.port}/v1/calls/web"
        own = {"Authorization": f"Bearer {facts['secret_key']}"}  # this client has no page that a token could be for
        made = [httpx.post(address, headers=own, json=target.body).json() for _ in range(calls)]
        callers.write(json.dumps(made) + "\n")
        callers.flush()
        if ready.readline() != "ready\n":
            raise RuntimeError("the callers did not get in")
        time.sleep(5.0)

        def worker(name: str) -> None:
            asks.write("loads\n")
            asks.flush()
            seen = json.loads(told.readline())
            late = ", ".join(f"p{100 * float(share):g} {ms:g}" for share, ms in seen["late_ms"].items())
            print(
                f"{name:<40} {seen['active']} active   {seen['ticks']} ticks of 20 ms, late by at most (ms): {late}   "
                f"skipped {seen['skipped']}   worker {seen['cores']:.2f} cores"
            )

        asks.write("loads\n")
        asks.flush()
        told.readline()
        time.sleep(seconds)
        worker(f"{calls} calls, no load")
        print(loaded(target, seconds, connections, per_second).line(f"token route, {per_second:g}/s, {calls} calls"))
        worker(f"{calls} calls beside {per_second:g}/s")
        print(loaded(target, seconds, connections).line(f"token route, all it takes, {calls} calls"))
        worker(f"{calls} calls beside all it takes")
        callers.write("\n")
        callers.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--connections", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--calls", type=int, default=16, help="0: only alone")
    parser.add_argument("--rate", type=float, default=100, help="requests a second beside the calls")
    parser.add_argument("--profile", type=Path, help="measure nothing; write what the token route does to this file")
    arguments = parser.parse_args()
    if arguments.profile is not None:
        alone("api", arguments.seconds, arguments.connections[0], arguments.profile.absolute())
        print(arguments.profile.read_text())
        return
    print(f"Python {platform.python_version()}, {arguments.seconds:g} s each, load {os.getloadavg()[0]:.1f}")
    for connections in arguments.connections:
        ratios: list[float] = []
        for _ in range(arguments.rounds):
            found = {which: alone(which, arguments.seconds, connections) for which in ("api", "bare")}
            print(found["api"].line(f"token route, {connections} connections"))
            print(found["bare"].line(f"bare route with one insert, {connections}"))
            ratios.append(found["bare"].per_core / found["api"].per_core)
        print(f"the token route costs {' and '.join(f'{one:.1f}' for one in ratios)} times the bare route")
    if arguments.calls:
        beside(arguments.calls, arguments.seconds * 2, arguments.connections[0], arguments.rate)
    print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
