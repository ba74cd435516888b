"""The load: LiveKit's Python client (libwebrtc), N times in a process of its own, speaking without a pause."""

import argparse
import asyncio
import json
import sys

from tests.support.media_client import HEARD_HZ, MediaClient
from tests.support.media_server import token
from tests.support.media_signal import babble


async def _talk(client: MediaClient, speech: bytes) -> None:
    while True:
        await client.say(speech)


async def _load(url: str, calls: int) -> None:
    speech = babble(10, 16_000)
    clients = []
    async with asyncio.TaskGroup() as group:
        talkers = []
        for number in range(calls):
            clients.append(await MediaClient().join(url, token(f"room-{number}")))
            talkers.append(group.create_task(_talk(clients[-1], speech)))
        print("ready", flush=True)
        loop = asyncio.get_running_loop()
        while (await loop.run_in_executor(None, sys.stdin.readline)).strip() == "count":
            heard = sum(len(client.heard()) for client in clients) / HEARD_HZ
            print(json.dumps({"heard_s": heard}), flush=True)
        for talker in talkers:
            talker.cancel()
    for client in clients:
        await client.leave()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--calls", type=int, required=True)
    options = parser.parse_args()
    asyncio.run(_load(options.url, options.calls))


if __name__ == "__main__":
    main()
