"""A leg's recording over a lossy network and through a new connection: both sides stay where they were heard and played."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np

from oneinbox.live.audio.tape import Tape
from oneinbox.live.media.embedded.leg import EmbeddedLeg
from tests.support.media_client import MediaClient
from tests.support.media_relay import MediaRelay, Weather, relayed_settings
from tests.support.media_server import RecordingListener, media_server, token, until
from tests.support.media_signal import Samples, babble, rms, samples

HEARD_HZ, RECORDED_HZ = 16_000, 48_000
AGENT = babble(60, 24_000, seed=21)


class Listener(RecordingListener):
    """Keeps when each frame of the caller was heard, and when each of the agent's was played."""

    def __init__(self) -> None:
        super().__init__()
        self.started_s = 0.0
        self.heard: list[tuple[float, bytes]] = []
        self.played: list[tuple[float, int]] = []
        self.leg: EmbeddedLeg | None = None
        self.tape: Tape | None = None
        self.make_tape: Any = None

    def on_active(self) -> None:
        super().on_active()
        assert self.leg is not None
        self.started_s = asyncio.get_running_loop().time()
        self.tape = self.make_tape(self.started_s)
        self.leg.record(self.tape)

    def on_audio(self, pcm: bytes) -> None:
        super().on_audio(pcm)
        self.heard.append((asyncio.get_running_loop().time() - self.started_s, pcm))

    def note_played(self) -> None:
        assert self.leg is not None
        at_s = asyncio.get_running_loop().time() - self.started_s
        self.played.append((at_s, self.leg.playout.played_samples))


def laid_by_arrival(heard: list[tuple[float, bytes]], length: int) -> Samples:
    """The caller's sound, each frame ending where it came: jittery, but right on the whole."""
    laid = np.zeros(length)
    for at_s, pcm in heard:
        end = round(at_s * HEARD_HZ)
        start = max(0, end - len(pcm) // 2)
        part = samples(pcm)[: max(0, min(end, length) - start)]
        laid[start : start + len(part)] = part
    return laid


def shift_ms(recorded: Samples, reference: Samples, rate_hz: int) -> float:
    """By how much ``recorded`` is later, judged by loudness: that survives concealment and jitter."""
    step = rate_hz // 200
    one, two = (
        np.sqrt((x[: len(x) // step * step].reshape(-1, step) ** 2).mean(axis=1)) for x in (recorded, reference)
    )
    one, two = one - one.mean(), two - two.mean()
    cross = np.correlate(one, two, "full")
    return 5.0 * (int(np.argmax(cross)) - (len(two) - 1))


def decoded(path: Path) -> tuple[Samples, Samples]:
    with av.open(str(path)) as container:
        both = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    left, right = both.astype(np.float64) * 32_768
    return left, right


async def test_losses_and_a_new_connection_shift_neither_side(tmp_path: Path) -> None:
    path, listener = tmp_path / "a.ogg", Listener()
    with ThreadPoolExecutor(1) as thread:
        async with (
            media_server(settings=relayed_settings()) as server,
            MediaRelay(server.media_port, Weather(loss=0.1, jitter_ms=30)),
        ):
            server.media.allow_transports(udp=True, tcp=False)
            leg = server.media.open_leg(room_name="web-1", identity="caller", agent_name="Ann", listener=listener)
            listener.leg, listener.make_tape = leg, lambda at_s: Tape(path, at_s, thread)
            leg.playout.on_frame(listener.note_played)
            leg.playout.write(AGENT)
            first = await MediaClient().join(server.url, token("web-1"))
            await first.say(babble(4, HEARD_HZ, seed=22))
            again = await MediaClient().join(server.url, token("web-1", rejoin=True))
            joined_s = asyncio.get_running_loop().time() - listener.started_s
            await again.say(babble(5, HEARD_HZ, seed=23))
            await until(lambda: rms(samples(listener.pcm[-16_000:])) > 300, what="the caller being heard again")
            assert listener.tape is not None
            length_s = asyncio.get_running_loop().time() - listener.started_s
            end = await listener.tape.finish(length_s)
            await again.leave()
            await first.leave()
            await leg.aclose()
    assert end.error is None
    left, right = decoded(path)
    assert abs(len(left) / RECORDED_HZ - length_s) < 0.02

    reference = laid_by_arrival(listener.heard, round(length_s * HEARD_HZ))
    ratio = RECORDED_HZ // HEARD_HZ
    for start_s, end_s in ((0.5, 3.5), (joined_s + 0.5, joined_s + 4.0)):
        piece = slice(round(start_s * HEARD_HZ), round(end_s * HEARD_HZ))
        recorded = left[piece.start * ratio : piece.stop * ratio]
        assert abs(shift_ms(recorded, np.repeat(reference[piece], ratio), RECORDED_HZ)) <= 120

    source, shifts = samples(AGENT), list[float]()
    for at in range(50, len(listener.played) - 60, 50):  # a second each, from early in the call to its end
        (from_s, played), (to_s, later) = listener.played[at], listener.played[at + 50]
        if to_s - from_s < 1.1:  # else it waited meanwhile
            said = np.repeat(source[played - 480 : later - 480], 2)
            begin = round(from_s * RECORDED_HZ)
            recorded = right[begin : begin + len(said)]
            shifts.append(abs(shift_ms(recorded, said[: len(recorded)], RECORDED_HZ)))
    assert shifts
    assert np.median(shifts) <= 60  # a machine that is busy notes some frames late
