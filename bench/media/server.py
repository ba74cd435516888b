"""The measured process: an endpoint of one kind, an agent that never stops talking on every leg."""

import argparse
import asyncio
import json
import sys

import uvloop

from bench.media.stock import StockMedia
from oneinbox.core.link import MediaSettings
from tests.support.media_server import MediaServer, RecordingListener, new_media
from tests.support.media_signal import tone


class _Counting(RecordingListener):
    """Counts what it hears and keeps none of it."""

    heard_bytes = 0

    def on_audio(self, pcm: bytes) -> None:
        self.heard_bytes += len(pcm)


async def _serve(variant: str, calls: int, seconds: float) -> None:
    settings = MediaSettings(bind_host="127.0.0.1", port=0)
    server = MediaServer(StockMedia(settings) if variant == "stock" else new_media(settings))
    await server.start()
    listeners = [_Counting() for _ in range(calls)]
    speech = tone(1000, seconds, 24_000)
    for number, listener in enumerate(listeners):
        leg = server.media.open_leg(
            room_name=f"room-{number}", identity="caller", agent_name="bench", listener=listener
        )
        leg.playout.write(speech)
    print(json.dumps({"url": server.url}), flush=True)
    loop = asyncio.get_running_loop()
    while (await loop.run_in_executor(None, sys.stdin.readline)).strip() == "count":
        heard = sum(listener.heard_bytes for listener in listeners)
        print(json.dumps({"heard_s": heard / 32_000, "late_ms": server.media.tick_late_ms}), flush=True)
    await server.aclose()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--variant", choices=("ours", "stock"), required=True)
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--uvloop", action="store_true")
    options = parser.parse_args()
    work = _serve(options.variant, options.calls, options.seconds)
    if options.uvloop:
        uvloop.run(work)
    else:
        asyncio.run(work)


if __name__ == "__main__":
    main()
