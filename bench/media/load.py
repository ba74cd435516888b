"""The load, N callers in a process of their own, speaking without a pause: LiveKit's Python client (libwebrtc), or light ones."""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable

from bench.media.light import LightCaller, encode
from bench.media.loopback import stay_on_loopback
from tests.support.media_client import HEARD_HZ, MediaClient
from tests.support.media_server import token
from tests.support.media_signal import babble

_SPREAD_S = 0.003
"""Light callers begin so far apart, so that their packets do not all come at once."""


async def _talk(client: MediaClient, speech: bytes) -> None:
    while True:
        await client.say(speech)


async def _serve(take_heard_s: Callable[[], float]) -> None:
    """Answer ``count`` until another word comes."""
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while (await loop.run_in_executor(None, sys.stdin.readline)).strip() == "count":
        print(json.dumps({"heard_s": take_heard_s()}), flush=True)


async def _livekit(url: str, calls: int) -> None:
    speech = babble(10, 16_000)
    clients: list[MediaClient] = []
    async with asyncio.TaskGroup() as group:
        talkers: list[asyncio.Task[None]] = []
        for number in range(calls):
            clients.append(await MediaClient().join(url, token(f"room-{number}")))
            talkers.append(group.create_task(_talk(clients[-1], speech)))
        await _serve(lambda: sum(len(client.heard()) for client in clients) / HEARD_HZ)
        for talker in talkers:
            talker.cancel()
    for client in clients:
        await client.leave()


async def _light(url: str, calls: int) -> None:
    stay_on_loopback()
    packets = encode(babble(10, 48_000))
    callers = [LightCaller(packets) for _ in range(calls)]
    for number, caller in enumerate(callers):
        await caller.join(url, token(f"room-{number}"))
        await asyncio.sleep(_SPREAD_S)
    await _serve(lambda: sum(caller.take_heard_s() for caller in callers))
    for caller in callers:
        await caller.leave()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--kind", choices=("livekit", "light"), required=True)
    options = parser.parse_args()
    asyncio.run((_light if options.kind == "light" else _livekit)(options.url, options.calls))


if __name__ == "__main__":
    main()
