"""Callers beside the load: LiveKit's Python client (libwebrtc), each a sentence's length of sound every few seconds."""

import asyncio
import json
import sys

from tests.support.media_client import MediaClient
from tests.support.media_signal import babble

_SPOKEN_S, _SILENT_S = 2, 6


async def talk(client: MediaClient, delay_s: float, speech: bytes) -> None:
    await asyncio.sleep(delay_s)
    while True:
        await client.say(speech)
        await client.say(bytes(2 * 16_000 * _SILENT_S))


async def main() -> None:
    calls = json.loads(sys.stdin.readline())
    speech = babble(_SPOKEN_S, 16_000)
    clients = [await MediaClient().join(call["server_url"], call["participant_token"]) for call in calls]
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        delays = [number * (_SPOKEN_S + _SILENT_S) / len(clients) for number in range(len(clients))]
        talkers = [
            group.create_task(talk(client, delay_s, speech)) for client, delay_s in zip(clients, delays, strict=True)
        ]
        print("ready", flush=True)
        await loop.run_in_executor(None, sys.stdin.readline)
        for talker in talkers:
            talker.cancel()
    for client in clients:
        await client.leave()


if __name__ == "__main__":
    asyncio.run(main())
