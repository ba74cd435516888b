"""The measured process: an endpoint of one kind, an agent that never stops talking on every leg."""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

import uvloop

from bench.media.parts import part_of
from bench.media.stock import StockMedia
from bench.sampler import Sampler
from oneinbox.core.link import MediaSettings
from oneinbox.live.audio.tape import TapeDeck
from oneinbox.live.media.embedded import ticker
from oneinbox.live.media.embedded.leg import EmbeddedLeg
from tests.support.media_server import MediaServer, RecordingListener, new_media
from tests.support.media_signal import tone

_OUT_OF_STEP_S = 0.0201
"""The 20 ms clock while it is sampled: else it would stay in step with the kernel's ticks, by which samples are taken."""


class _Counting(RecordingListener):
    """Counts what it hears and keeps none of it; has the call recorded where that is asked for."""

    def __init__(self, number: int, deck: TapeDeck | None) -> None:
        super().__init__()
        self.heard_bytes = 0
        self.leg: EmbeddedLeg | None = None
        self._number = number
        self._deck = deck

    def on_active(self) -> None:
        if self._deck is not None and self.leg is not None:
            self.leg.record(self._deck.open(f"{self._number}.ogg", asyncio.get_running_loop().time()))

    def on_audio(self, pcm: bytes) -> None:
        self.heard_bytes += len(pcm)


async def _serve(variant: str, calls: int, seconds: float, deck: TapeDeck | None, sampler: Sampler | None) -> None:
    settings = MediaSettings(bind_host="127.0.0.1", port=0)
    server = MediaServer(StockMedia(settings) if variant == "stock" else new_media(settings))
    await server.start()
    listeners = [_Counting(number, deck) for number in range(calls)]
    speech = tone(1000, seconds, 24_000)
    for number, listener in enumerate(listeners):
        listener.leg = server.media.open_leg(
            room_name=f"room-{number}", identity="caller", agent_name="bench", listener=listener
        )
        listener.leg.playout.write(speech)
    if sampler is not None:
        ticker.TICK_S = _OUT_OF_STEP_S
        sampler.start()
    print(json.dumps({"url": server.url}), flush=True)
    loop = asyncio.get_running_loop()
    while (await loop.run_in_executor(None, sys.stdin.readline)).strip() == "count":
        heard = sum(listener.heard_bytes for listener in listeners)
        found: dict[str, object] = {"heard_s": heard / 32_000, "late_ms": server.media.tick_late_ms}
        if sampler is not None:
            sampler.stop()
            found["parts"] = sampler.shares(part_of)
            found["table"] = sampler.table(70)
            sampler.forget()
            sampler.start()
        print(json.dumps(found), flush=True)
    if sampler is not None:
        sampler.stop()
    await server.aclose()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--variant", choices=("ours", "stock"), required=True)
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    run = uvloop.run if options.uvloop else asyncio.run
    sampler = Sampler() if options.profile else None
    with tempfile.TemporaryDirectory() as folder:
        deck = TapeDeck(Path(folder)) if options.record else None
        run(_serve(options.variant, options.calls, options.seconds, deck, sampler))
        if deck is not None:
            deck.close()


if __name__ == "__main__":
    main()
