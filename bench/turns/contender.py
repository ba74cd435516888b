"""One engine, in a process of its own: ``python -m bench.turns.contender NAME SETTINGS CALLS SECONDS SCRIPT CLIPS``.

Prints one line of JSON: CPU time of the process (callers and scripted providers included), memory, and every caller's
frames and utterances, for ``measure.py``.
"""

import asyncio
import importlib
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.turns import clips
from bench.turns.caller import Caller, Heard, Session

ENGINES = {
    "ours": ("bench.turns.ours", "OurEngine"),
    "livekit": ("bench.turns.livekit_peer", "LivekitEngine"),
    "pipecat": ("bench.turns.pipecat_peer", "PipecatEngine"),
    "harness": ("bench.turns.contender", "NoEngine"),
}
WARM_UP_S = 4.0


class NoCall:
    def push(self, pcm: bytes) -> None: ...
    def interim(self, text: str) -> None: ...
    def final(self, text: str) -> None: ...
    async def close(self) -> None: ...


class NoEngine:
    """What the callers alone cost."""

    def __init__(self, settings: str) -> None: ...

    async def call(self, heard: Heard) -> NoCall:
        return NoCall()


def _memory_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def run(name: str, settings: str, calls: int, seconds: float, script: str, folder: Path) -> dict[str, Any]:
    module, engine_class = ENGINES[name]
    engine = getattr(importlib.import_module(module), engine_class)(settings)
    kinds = clips.load(folder)
    sessions: list[tuple[Session, Heard]] = []
    for _ in range(calls):
        heard = Heard()
        sessions.append((await engine.call(heard), heard))
    until_s = time.perf_counter() + WARM_UP_S + seconds + 1
    tasks: list[asyncio.Future[None]] = []
    for number, (session, heard) in enumerate(sessions):
        caller = Caller(number, session, heard, kinds)
        tasks.append(asyncio.ensure_future(caller.microphone(until_s)))
        tasks.append(asyncio.ensure_future(caller.talk(script)))
        await asyncio.sleep(0.0073)  # the callers' frames fall at different moments
    await asyncio.sleep(WARM_UP_S)
    from_s, cpu_s = time.perf_counter(), time.process_time()
    lags: list[float] = []
    while time.perf_counter() - from_s < seconds:
        asleep_s = time.perf_counter()
        await asyncio.sleep(0.05)
        lags.append(time.perf_counter() - asleep_s - 0.05)
    cpu_s, lasted_s = time.process_time() - cpu_s, time.perf_counter() - from_s
    noted_mb = sum(heard.frames.buffer_info()[1] * 8 for _, heard in sessions) / 1e6
    memory_mb = _memory_mb()
    for task in tasks:
        task.cancel()
    failed = [str(task.exception()) for task in tasks if task.done() and not task.cancelled() and task.exception()]
    lags.sort()
    return {
        "engine": name,
        "settings": settings,
        "calls": calls,
        "script": script,
        "cpu_ms_per_call_s": cpu_s / lasted_s / calls * 1000,
        "core_share": cpu_s / lasted_s,
        "memory_mb": memory_mb - noted_mb,
        "loop_lag_p99_ms": lags[int(len(lags) * 0.99)] * 1000,
        "from_s": from_s,
        "failed": failed,
        "callers": [
            {"frames": heard.frames.tolist(), "said": [asdict(said) for said in heard.said]} for _, heard in sessions
        ],
    }


def _new_loop(name: str) -> asyncio.AbstractEventLoop:
    """Return the event loop that the engine's workers run on: ours on uvloop, the others on asyncio's own."""
    return importlib.import_module("uvloop").new_event_loop() if name == "ours" else asyncio.new_event_loop()


def main() -> None:
    name, settings, calls, seconds, script, folder = sys.argv[1:]
    result = _new_loop(name).run_until_complete(run(name, settings, int(calls), float(seconds), script, Path(folder)))
    print("\n" + json.dumps(result), flush=True)
    os._exit(0)  # engines leave threads behind that would have to be waited for


if __name__ == "__main__":
    main()
