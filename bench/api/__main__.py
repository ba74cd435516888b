"""Requests per second of ``POST /v1/web-calls/token`` for each second of CPU, beside a bare Starlette route.

``python -m bench.api`` takes about half a minute. One server process, uvicorn with uvloop and httptools, SQLite (WAL, synchronous
NORMAL), a publishable key with one origin and no limits, the demo agent, no webhook; calls go to a dispatcher that takes
them all. The client keeps its connections in another process. Both are counted by the CPU that the server used, so a
busy machine changes the latencies and not the ratio.
"""

import argparse
import asyncio
import json
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

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
            f"{name:<28} {self.per_core:8.0f} requests per CPU second   {self.requests / self.wall_s:7.0f}/s on the clock   "
            f"kernel {100 * self.system_s / self.cpu_s:2.0f} %   p50 {self.p(0.5):6.1f} ms   p99 {self.p(0.99):6.1f} ms"
        )


async def client(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, until: float
) -> list[float]:
    """Ask again and again over one connection, by hand: a client that costs little."""
    latencies: list[float] = []
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 201"):
            raise RuntimeError(head.decode())
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        latencies.append(time.perf_counter() - began)
    writer.close()
    return latencies


async def load(
    port: int, body: dict[str, Any], headers: dict[str, str], process: psutil.Process, seconds: float, connections: int
) -> Measured:
    content = json.dumps(body).encode()
    lines = {"Host": "127.0.0.1", "Content-Type": "application/json", "Content-Length": str(len(content)), **headers}
    request = f"POST {PATH} HTTP/1.1\r\n".encode()
    request += "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode() + b"\r\n" + content
    pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connections)]
    before, began = process.cpu_times(), time.perf_counter()
    found = await asyncio.gather(*(client(*pair, request, began + seconds) for pair in pairs))
    after, wall_s = process.cpu_times(), time.perf_counter() - began
    latencies = [one for several in found for one in several]
    cpu_s = after.user + after.system - before.user - before.system
    return Measured(len(latencies), cpu_s, after.system - before.system, wall_s, latencies)


def measure(which: str, seconds: float, connections: int, profile: Path | None = None) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        target = subprocess.Popen(
            [
                *(sys.executable, "-m", "bench.api.target", which, folder),
                *(() if profile is None else ("--profile", str(profile))),
            ],
            cwd=Path(__file__).resolve().parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert target.stdout is not None
            facts = json.loads(target.stdout.readline())
            port = facts["port"]
            headers: dict[str, str] = {}
            body: dict[str, Any] = {"agent_id": facts.get("agent_id", "agt_1")}
            if which == "api":
                made = httpx.post(
                    f"http://127.0.0.1:{port}/v1/publishable-keys",
                    headers={"Authorization": f"Bearer {facts['secret_key']}"},
                    json={"name": "bench", "allowed_origins": [ORIGIN]},
                )
                headers = {"Origin": ORIGIN, "Authorization": f"Bearer {made.json()['key']}"}
            process = psutil.Process(target.pid)
            asyncio.run(load(port, body, headers, process, seconds / 4, connections))  # warm
            return asyncio.run(load(port, body, headers, process, seconds, connections))
        finally:
            target.terminate()
            target.wait(10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--profile", type=Path, help="measure nothing; write what the token route does to this file")
    arguments = parser.parse_args()
    if arguments.profile is not None:
        measure("api", arguments.seconds, arguments.connections, arguments.profile.absolute())
        print(arguments.profile.read_text())
        return
    print(f"Python {platform.python_version()}, {arguments.connections} connections, {arguments.seconds:g} s each")
    found = {which: measure(which, arguments.seconds, arguments.connections) for which in ("api", "bare")}
    print(found["api"].line("token route"))
    print(found["bare"].line("bare route with one insert"))
    print(f"the token route costs {found['bare'].per_core / found['api'].per_core:.1f} times the bare route")


if __name__ == "__main__":
    main()
