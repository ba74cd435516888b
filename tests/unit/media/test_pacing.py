"""The agent's sound on its way to the wire: a frame a tick, at most one ahead of time, gone within one frame of a clear."""

import asyncio
import itertools

from aiortc.rtp import RtpPacket, is_rtcp

from oneinbox.live.audio.clips import make_clip
from oneinbox.live.audio.opus import SILENCE_20_MS, OpusDecoder
from oneinbox.live.audio.playout import FRAME_SAMPLES
from tests.support.media_signal import VirtualLoop, rms, samples, tone
from tests.support.media_world import MICROPHONE, World


class Wire:
    """Takes the place of SRTP and the socket: keeps what is sent, and when."""

    def __init__(self, world: World) -> None:
        self.sent: list[tuple[float, bytes]] = []
        socket_id, _ = world.join()
        world.say(socket_id, add_track=MICROPHONE)
        peer = world.leg._peer
        assert peer is not None
        peer.up = True
        peer._srtp = (None, self)  # type: ignore[assignment]  # nothing is received here
        peer._ice.send = self._send  # type: ignore[method-assign]  # the socket's end
        peer.is_alive = lambda now_s: True  # type: ignore[method-assign]  # no checks come without a network
        world.leg._on_up()
        world.leg._on_audio(bytes(640))
        assert world.listener.events == ["joined", "active"]

    def protect(self, packet: bytes) -> bytes:
        return packet

    protect_rtcp = protect

    def _send(self, packet: bytes) -> None:
        if not is_rtcp(packet):
            self.sent.append((asyncio.get_running_loop().time(), RtpPacket.parse(packet).payload))


def in_virtual_time(scenario) -> None:
    async def run() -> None:
        world = World()
        await scenario(world, Wire(world))
        await world.leg.aclose()
        await world.media.aclose()

    loop = VirtualLoop()
    try:
        loop.run_until_complete(run())
    finally:
        loop.close()


def test_a_long_reply_is_handed_to_the_wire_frame_by_frame_and_counted_as_it_goes():
    async def scenario(world: World, wire: Wire) -> None:
        queue = world.leg.playout
        queue.write(tone(400, 5, 24_000))
        begun_s = asyncio.get_running_loop().time()
        for _ in range(20):
            await asyncio.sleep(0.1)
            passed_s = asyncio.get_running_loop().time() - begun_s
            voiced = sum(payload != SILENCE_20_MS for _, payload in wire.sent)
            assert queue.played_samples == voiced * FRAME_SAMPLES
            # what plays from the first frame on, which does not wait for its tick, is never more than a tick ahead
            assert -0.021 <= passed_s - voiced * 0.02 <= 0.001
            assert queue.queued_samples == 5 * 24_000 - queue.played_samples

    in_virtual_time(scenario)


def test_the_greeting_does_not_wait_for_its_tick_and_the_first_silence_makes_that_good():
    async def scenario(world: World, wire: Wire) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0.107)  # somewhere between two ticks
        for spoken_early in (True, False):  # the greeting, then anything else
            wire.sent.clear()
            begun_s = loop.time()
            world.leg.playout.write(tone(400, 0.5, 24_000))
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)
            assert [payload != SILENCE_20_MS for _, payload in wire.sent] == [True] * spoken_early
            assert all(at_s == begun_s for at_s, _ in wire.sent)
            await asyncio.sleep(0.999)
            assert len(wire.sent) == 50, "what came early was taken back"
            ticks = [at_s for at_s, _ in wire.sent[spoken_early:]]
            steps = [round(after - before, 3) for before, after in itertools.pairwise(ticks)]
            assert sorted(set(steps)) == ([0.02, 0.04] if spoken_early else [0.02])
            assert steps.count(0.04) == spoken_early

    in_virtual_time(scenario)


def test_a_clear_is_heard_within_one_frame():
    async def scenario(world: World, wire: Wire) -> None:
        for sound in (tone(400, 5, 24_000), make_clip(tone(400, 5, 24_000))):
            wire.sent.clear()
            world.leg.playout.write(sound)
            await asyncio.sleep(0.5)
            before = world.leg.playout.played_samples
            cleared_s = asyncio.get_running_loop().time()
            world.leg.playout.clear()
            await asyncio.sleep(0.5)
            assert world.leg.playout.played_samples == before
            decoder = OpusDecoder(24_000)
            heard = [(at_s, samples(decoder.decode(payload))) for at_s, payload in wire.sent]
            last, fading, *silence = [pcm for at_s, pcm in heard if at_s > cleared_s - 0.02]
            assert rms(last) > 5000
            assert rms(fading[FRAME_SAMPLES * 3 // 4 :]) < 0.25 * rms(
                last
            )  # 5 ms of fading and the encoder's own delay
            assert rms(silence[0]) < 200
            assert all(rms(pcm) < 30 for pcm in silence[2:])

    in_virtual_time(scenario)
