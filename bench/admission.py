"""How many calls one worker takes before it refuses, and how its ticks are then. ``python -m bench.admission``.

Callers are LiveKit's Python client and cost several times what the worker pays for a call: on a machine of few cores it is
they who make the ticks late. Run it where nothing else runs, and read the CPU beside the count.
"""

import argparse
import asyncio
import json
import os
import tempfile
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.support.caller import Caller
from tests.support.running import RunningServer

WARM_UP_S, SETTLE_S, WATCH_S = 6.0, 0.7, 10.0


def scrape(server: RunningServer) -> tuple[dict[str, float], float]:
    """Return the ticks at or below each bound, and the worker's CPU time in seconds."""
    late: dict[str, float] = {}
    cpu_s = 0.0
    for family in text_string_to_metric_families(httpx.get(f"{server.url}/metrics", timeout=20).text):
        for sample in family.samples:
            if sample.name == "oneinbox_tick_lateness_seconds_bucket":
                late[sample.labels["le"]] = sample.value
            elif sample.name == "oneinbox_worker_cpu_seconds_total":
                cpu_s = sample.value
    return late, cpu_s


async def fill(server: RunningServer, most: int) -> tuple[list[Caller], str | None]:
    callers: list[Caller] = []
    while len(callers) < most:
        asked = {"agent_id": server.demo_agent_id}
        answer = await asyncio.to_thread(server.request, "POST", "/v1/calls/web", json=asked)
        made = answer.json()
        if answer.status_code != 201:
            return callers, made["error"]["code"]
        callers.append(await Caller().join(made["server_url"], made["participant_token"]))
        await asyncio.sleep(SETTLE_S)
    return callers, None


async def measure(most: int, cpu: float, tick_late_ms: float) -> None:
    environ = {
        "ONEINBOX_MAX_CALLS_PER_WORKER": str(most),
        "ONEINBOX_MAX_WORKER_CPU": str(cpu),
        "ONEINBOX_MAX_TICK_LATE_MS": str(tick_late_ms),
    }
    with tempfile.TemporaryDirectory() as folder, RunningServer(Path(folder) / "data", environ=environ) as server:
        await asyncio.sleep(WARM_UP_S)
        callers, refusal = await fill(server, most)
        (before, cpu_before_s), (load1, *_) = scrape(server), os.getloadavg()
        await asyncio.sleep(WATCH_S)
        after, cpu_after_s = scrape(server)
        count = after["+Inf"] - before["+Inf"]
        shares = {bound: round((after[bound] - before[bound]) / count, 4) for bound in after} if count else {}
        found = {"calls": len(callers), "refused": refusal, "load1": load1, "ticks": count, "at_or_below_s": shares}
        print(json.dumps({**found, "worker_cpu": round((cpu_after_s - cpu_before_s) / WATCH_S, 3)}, indent=1))
        await asyncio.gather(*(caller.leave() for caller in callers))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=100, help="calls at most")
    parser.add_argument("--cpu", type=float, default=0.85)
    parser.add_argument("--tick-late-ms", type=float, default=20.0)
    options = parser.parse_args()
    asyncio.run(measure(options.most, options.cpu, options.tick_late_ms))


if __name__ == "__main__":
    main()
