"""A leg over its whole life: the page, the end, and what happens when nothing is heard for a while."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from livekit.protocol import models, rtc

from oneinbox.live.engine.ports import Caption
from oneinbox.live.media.embedded.attendance import GOODBYE_GRACE_S, JOINING_GRACE_S
from oneinbox.live.media.embedded.microphone import MUTED_START_S
from oneinbox.live.media.embedded.peer import Peer
from oneinbox.live.worker import REJOIN_TOKEN_TTL_S
from tests.support.media_offers import FULL
from tests.support.media_signal import VirtualLoop
from tests.support.media_world import MICROPHONE, World

GRACE_S = 30.0

# ---- the page and the end


async def test_attributes_are_in_the_join_and_in_every_later_update(world: World):
    world.leg.set_attributes({"lk.agent.state": "initializing"})
    _, socket = world.join()
    agent = socket.last("join").other_participants[0]
    assert agent.attributes == {"lk.agent.state": "initializing"}
    world.leg.set_attributes({"oi.suggestions": "[]"})
    updated = socket.last("update").participants[0]
    assert updated.attributes == {"lk.agent.state": "initializing", "oi.suggestions": "[]"}
    assert updated.sid == agent.sid
    assert updated.version > agent.version


async def test_captions_and_events_may_come_before_anybody_is_there(world: World):
    world.leg.show_caption(Caption(segment_id="a", from_agent=True, text="hello", final=True))
    world.leg.send_event("x", {})
    world.join()


async def test_goodbye_is_told_once_and_the_room_is_gone(world: World):
    socket_id, socket = world.join()
    world.say(socket_id, leave=rtc.LeaveRequest(reason=models.CLIENT_INITIATED))
    world.say(socket_id, leave=rtc.LeaveRequest(reason=models.CLIENT_INITIATED))
    world.media.on_socket_closed(socket_id)
    assert world.listener.events == ["joined", "left, goodbye"]
    assert socket.closed == 1000
    _, late = world.join(rejoin=True)
    assert late.refused is not None
    assert late.refused[0] == 404
    await world.leg.aclose()


async def test_the_end_of_the_call_is_told_to_the_client(world: World):
    _, socket = world.join()
    await world.leg.aclose()
    await world.leg.aclose()
    assert socket.last("leave").reason == models.ROOM_DELETED
    assert socket.closed == 1000
    assert world.listener.events == ["joined"]


async def test_a_room_has_one_leg(world: World):
    with pytest.raises(ValueError, match="web-1"):
        world.media.open_leg(room_name="web-1", identity="x", agent_name="", listener=world.listener)


# ---- time


def in_virtual_time(scenario: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        world = World()
        await scenario(world)
        await world.media.aclose()

    loop = VirtualLoop()
    try:
        loop.run_until_complete(run())
    finally:
        loop.close()


def make_active(world: World, socket_id: int) -> None:
    """Let the leg believe that media stands, without a network."""
    world.say(socket_id, add_track=MICROPHONE)
    assert world.leg._peer is not None
    world.leg._peer.up = True
    world.leg._on_up()
    world.leg._on_audio(bytes(640))
    assert world.listener.events == ["joined", "active"]
    assert world.listener.frame_sizes == {640}


def test_a_client_that_vanished_may_come_back_within_the_grace():
    async def scenario(world: World) -> None:
        socket_id, _ = world.join()
        make_active(world, socket_id)
        world.media.on_socket_closed(socket_id)
        await asyncio.sleep(GRACE_S - 2)
        _, back = world.join(rejoin=True)
        assert back.accepted
        await asyncio.sleep(GRACE_S - 2)
        assert world.listener.events == ["joined", "active"]

    in_virtual_time(scenario)


def test_one_that_does_not_is_gone_for_good():
    async def scenario(world: World) -> None:
        socket_id, _ = world.join()
        make_active(world, socket_id)
        world.media.on_socket_closed(socket_id)
        await asyncio.sleep(GRACE_S + 2)
        assert world.listener.events == ["joined", "active", "left, lost"]
        assert world.media.holdings()["ticking"] == 0
        await world.leg.aclose()

    in_virtual_time(scenario)


def test_the_operator_says_how_long():
    async def scenario(_: World) -> None:
        world = World(rejoin_grace_s=4)
        socket_id, _ = world.join()
        make_active(world, socket_id)
        world.media.on_socket_closed(socket_id)
        await asyncio.sleep(3)
        assert world.listener.events == ["joined", "active"]
        await asyncio.sleep(2)
        assert world.listener.events[-1] == "left, lost"
        await world.leg.aclose()

    in_virtual_time(scenario)


def test_the_agent_waits_while_the_page_is_reloaded_and_goes_on_where_it_was():
    async def scenario(world: World) -> None:
        world.leg.playout.write(bytes(48_000 * 20))
        socket_id, _ = world.join()
        make_active(world, socket_id)
        hear(world)
        await asyncio.sleep(0.1)
        world.media.on_socket_closed(socket_id)  # the page is gone, and its microphone with it
        await asyncio.sleep(1)
        played = world.leg.playout.played_samples
        assert 0.1 <= played / 24_000 <= 0.56
        await asyncio.sleep(5)
        assert world.leg.playout.played_samples == played
        world.join(rejoin=True)
        await asyncio.sleep(1)
        assert world.leg.playout.played_samples == played, "the new page is not up yet"
        hear(world)
        world.leg._on_up()
        await asyncio.sleep(1)
        assert world.leg.playout.played_samples == pytest.approx(played + 24_000, abs=960)
        assert world.listener.absences == ["away", "back"]
        await world.leg.aclose()

    in_virtual_time(scenario)


def hear(world: World) -> None:
    """Let the peer in use stand, and have heard the client just now."""
    peer = world.leg._peer
    assert isinstance(peer, Peer)
    peer.up = True
    peer._srtp = (None, FakeSrtp())  # type: ignore[assignment]  # nothing is received here
    peer._ice.heard_at_s = asyncio.get_running_loop().time()


def test_a_socket_that_breaks_alone_does_not_stop_the_agent():
    async def scenario(world: World) -> None:
        world.leg.playout.write(bytes(48_000 * 20))
        socket_id, _ = world.join()
        make_active(world, socket_id)
        hear(world)
        world.media.on_socket_closed(socket_id)
        for _ in range(100):
            await asyncio.sleep(0.02)
            hear(world)
        assert world.leg.playout.played_samples == pytest.approx(48_000, abs=960)
        assert world.listener.absences == []
        await world.leg.aclose()

    in_virtual_time(scenario)


async def test_a_page_that_was_loaded_anew_is_shown_what_was_said(world: World):
    world.join()
    first, second = FakeChannel(), FakeChannel()
    world.leg._page.attach(first)
    for text, final in (("Good", False), ("Good morning.", True)):
        world.leg.show_caption(Caption(segment_id="a", from_agent=True, text=text, final=final))
    world.leg.show_caption(Caption(segment_id="u", from_agent=False, text="Hello.", final=True))
    world.join(rejoin=True)
    world.leg._page.attach(second)
    packets = [models.DataPacket.FromString(packet) for packet in second.sent]
    assert [packet.stream_chunk.content for packet in packets if packet.HasField("stream_chunk")] == [
        b"Good morning.",
        b"Hello.",
    ]
    assert packets[3].participant_identity == "caller"
    assert world.leg._session is not None


class FakeChannel:
    def __init__(self) -> None:
        self.readyState = "open"
        self.bufferedAmount = 0
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)


async def is_lost_after_the_whole_grace(world: World, socket_id: int) -> None:
    world.media.on_socket_closed(socket_id)
    await asyncio.sleep(GRACE_S - 2)
    assert world.listener.events == ["joined", "active"]
    await asyncio.sleep(4)
    assert world.listener.events == ["joined", "active", "left, lost"]
    await world.leg.aclose()


def test_a_broken_network_takes_the_path_first_and_still_leaves_the_whole_grace():
    async def scenario(world: World) -> None:
        socket_id, _ = world.join()
        make_active(world, socket_id)
        await asyncio.sleep(12)  # nothing was ever heard by any path: it counts as broken
        await is_lost_after_the_whole_grace(world, socket_id)

    in_virtual_time(scenario)


GOODBYE = rtc.LeaveRequest(reason=models.CLIENT_INITIATED)


def broken(world: World) -> int:
    """Let a client be in a call whose path has been dark for a while; return its socket."""
    socket_id, _ = world.join()
    make_active(world, socket_id)
    hear(world)
    peer = world.leg._peer
    assert isinstance(peer, Peer)
    peer._ice.heard_at_s = asyncio.get_running_loop().time() - 15
    return socket_id


def test_a_client_that_gives_a_broken_path_up_says_goodbye_and_joins_anew():
    async def scenario(world: World) -> None:
        world.say(broken(world), leave=GOODBYE)
        assert world.listener.events == ["joined", "active"]
        await asyncio.sleep(GOODBYE_GRACE_S - 2)
        _, anew = world.join(rejoin=True)
        assert anew.accepted
        await asyncio.sleep(GOODBYE_GRACE_S)
        assert world.listener.events == ["joined", "active"], "the goodbye was not meant"
        await world.leg.aclose()

    in_virtual_time(scenario)


def test_one_that_does_not_join_anew_meant_its_goodbye():
    async def scenario(world: World) -> None:
        world.say(broken(world), leave=GOODBYE)
        await asyncio.sleep(GOODBYE_GRACE_S + 2)
        assert world.listener.events == ["joined", "active", "left, goodbye"]
        await world.leg.aclose()

    in_virtual_time(scenario)


def test_after_it_joined_anew_an_older_goodbye_does_not_shorten_its_grace():
    async def scenario(world: World) -> None:
        world.say(broken(world), leave=GOODBYE)
        socket_id, _ = world.join(rejoin=True)
        await is_lost_after_the_whole_grace(world, socket_id)

    in_virtual_time(scenario)


@pytest.mark.parametrize("closed", [False, True], ids=["its path stands", "it closed its path"])
def test_a_goodbye_is_meant_at_once_where(closed: bool):
    async def scenario(world: World) -> None:
        socket_id = broken(world)
        assert isinstance(world.leg._peer, Peer)
        world.leg._peer.down = closed
        if not closed:
            hear(world)
        world.say(socket_id, leave=GOODBYE)
        assert world.listener.events == ["joined", "active", "left, goodbye"]
        await world.leg.aclose()

    in_virtual_time(scenario)


def test_one_that_never_got_media_through_has_no_call_to_wait_for():
    async def scenario(world: World) -> None:
        socket_id, _ = world.join()
        world.media.on_socket_closed(socket_id)
        await asyncio.sleep(JOINING_GRACE_S + 2)
        assert world.listener.events == ["joined", "left, lost"]
        await world.leg.aclose()

    in_virtual_time(scenario)


def test_media_that_never_comes_while_signalling_lives_ends_the_leg():
    async def scenario(world: World) -> None:
        _, socket = world.join()
        await asyncio.sleep(GRACE_S + 3)
        assert world.listener.events == ["joined", "left, lost"]
        assert socket.last("leave").reason == models.CONNECTION_TIMEOUT
        await world.leg.aclose()

    in_virtual_time(scenario)


def test_a_muted_microphone_starts_the_call_after_3_s_and_hears_silence():
    async def scenario(world: World) -> None:
        socket_id, _ = world.join()
        muted = rtc.AddTrackRequest(cid="c", type=models.AUDIO, source=models.MICROPHONE, muted=True)
        world.say(socket_id, add_track=muted)
        assert world.leg._peer is not None
        world.leg._peer.up = True
        world.leg._peer._srtp = (None, FakeSrtp())  # type: ignore[assignment]  # nothing is received here
        world.leg._on_up()
        await asyncio.sleep(MUTED_START_S - 0.5)
        assert world.listener.events == ["joined"]
        await asyncio.sleep(2)
        assert world.listener.events == ["joined", "active"]
        await asyncio.sleep(2)
        assert len(world.listener.pcm) > 32_000

    in_virtual_time(scenario)


class FakeSrtp:
    def protect(self, packet: bytes) -> bytes:
        return packet

    protect_rtcp = protect


def test_what_the_agent_says_is_heard_before_the_first_sound_of_the_microphone():
    async def scenario(world: World) -> None:
        world.leg.playout.write(bytes(48_000))
        socket_id, _ = world.join()
        peer = world.leg._peer
        assert isinstance(peer, Peer)
        peer.up, peer._srtp = True, (None, FakeSrtp())  # type: ignore[assignment]  # nothing is received here
        peer._ice.heard_at_s = asyncio.get_running_loop().time()
        world.leg._on_up()
        await asyncio.sleep(0.5)
        assert world.leg.playout.played_samples == 0, "no microphone is published yet"
        assert world.listener.connected == 0
        world.say(socket_id, add_track=MICROPHONE)
        assert (world.listener.connected, world.listener.events) == (1, ["joined"])
        connected_s = asyncio.get_running_loop().time()
        await asyncio.sleep(0.501)
        assert world.leg.playout.played_samples == pytest.approx(12_000, abs=480)
        assert (world.listener.connected, world.listener.events) == (1, ["joined"])
        world.leg._on_audio(bytes(640))
        assert (world.listener.connected, world.listener.events) == (1, ["joined", "active"])
        tape = FakeTape()
        world.leg._sound.record(tape)  # type: ignore[arg-type]
        await asyncio.sleep(0.1)
        assert tape.ticks[0] > connected_s + 0.5, "nobody asked for it in time"

    in_virtual_time(scenario)


class FakeTape:
    def __init__(self) -> None:
        self.ticks: list[float] = []
        self.packets: list[bytes | None] = []

    def played(self, now_s: float, skipped: int, packet: bytes | None) -> None:
        self.ticks.append(now_s)
        self.packets.append(packet)


def test_what_the_agent_said_before_the_first_sound_is_in_the_recording():
    async def scenario(world: World) -> None:
        tape = FakeTape()
        world.listener.on_active = lambda: world.leg.record(tape)  # type: ignore[method-assign,arg-type]
        world.leg.playout.write(bytes(48_000))
        socket_id, _ = world.join()
        peer = world.leg._peer
        assert isinstance(peer, Peer)
        peer.up, peer._srtp = True, (None, FakeSrtp())  # type: ignore[assignment]  # nothing is received here
        peer._ice.heard_at_s = asyncio.get_running_loop().time()
        world.leg._on_up()
        world.say(socket_id, add_track=MICROPHONE)
        connected_s = asyncio.get_running_loop().time()
        await asyncio.sleep(0.301)
        assert tape.ticks == []
        world.leg._on_audio(bytes(640))
        assert len(tape.ticks) == 16
        assert tape.ticks[0] == connected_s  # the greeting's first frame does not wait for its tick
        assert 0 < tape.ticks[1] - connected_s <= 0.02
        await asyncio.sleep(0.1)
        assert len(tape.ticks) == 21
        assert all(packet is not None for packet in tape.packets)
        assert [round(b - a, 3) for a, b in zip(tape.ticks[1:], tape.ticks[2:], strict=False)] == [0.02] * 19

    in_virtual_time(scenario)


def test_what_the_agent_says_waits_until_it_can_be_heard():
    async def scenario(world: World) -> None:
        world.leg.playout.write(bytes(48_000))
        socket_id, _ = world.join()
        await asyncio.sleep(1)
        assert world.leg.playout.played_samples == 0
        make_active(world, socket_id)
        peer = world.leg._peer
        assert peer is not None
        peer._srtp = (None, FakeSrtp())  # type: ignore[assignment]  # nothing is received here
        peer._ice.heard_at_s = asyncio.get_running_loop().time()
        await asyncio.sleep(0.501)
        assert world.leg.playout.played_samples == pytest.approx(12_000, abs=480)
        peer._ice.heard_at_s -= 100  # the path breaks
        before = world.leg.playout.played_samples
        await asyncio.sleep(1)
        assert world.leg.playout.played_samples == before

    in_virtual_time(scenario)


def test_a_token_to_come_back_with_is_refreshed_every_minute():
    async def scenario(world: World) -> None:
        socket_id, socket = world.join()
        make_active(world, socket_id)
        for _ in range(61):
            await asyncio.sleep(1)
            world.leg._peer._ice.heard_at_s = asyncio.get_running_loop().time()  # type: ignore[union-attr]  # joined
        assert socket.kinds().count("refresh_token") == 2
        world.media.on_socket_closed(socket_id)

    in_virtual_time(scenario)


def test_a_page_can_come_back_into_a_call_that_is_older_than_any_token():
    async def scenario(world: World) -> None:
        now = asyncio.get_running_loop().time
        world.media._mint_rejoin_token = lambda *_: str(now() + REJOIN_TOKEN_TTL_S)
        socket_id, socket = world.join()
        make_active(world, socket_id)
        began_s = now()
        while now() - began_s < 3 * REJOIN_TOKEN_TTL_S:
            await asyncio.sleep(1)
            hear(world)
            good_for_s = float(socket.last("refresh_token")) - now()
            assert good_for_s > REJOIN_TOKEN_TTL_S - 61, "the newest token is always a minute old at most"
        world.media.on_socket_closed(socket_id)
        world.leg.playout.clear()

    in_virtual_time(scenario)


def test_silence_is_heard_after_a_join_in_mid_call_whose_microphone_comes_late():
    async def scenario(world: World) -> None:
        socket_id, _ = world.join()
        make_active(world, socket_id)
        back_id, _ = world.join(rejoin=True, join=rtc.JoinRequest(client_info=models.ClientInfo(version="1")))
        peer = world.leg._peer
        assert isinstance(peer, Peer)
        peer.up = True
        peer._srtp = (None, FakeSrtp())  # type: ignore[assignment]  # nothing is received here
        world.leg._on_up()
        world.say(back_id, offer=rtc.SessionDescription(type="offer", sdp=FULL, id=1))
        world.say(back_id, add_track=MICROPHONE)
        before = len(world.listener.pcm)
        for _ in range(4):
            peer._ice.heard_at_s = asyncio.get_running_loop().time()
            await asyncio.sleep(1)
        assert len(world.listener.pcm) > before + 32_000

    in_virtual_time(scenario)


async def test_what_was_sent_before_the_channel_was_open_still_arrives_before_the_end(world: World):
    world.join()
    channel = FakeChannel()
    world.leg.send_event("call_ended", {"reason": "agent_hangup"})
    ending = asyncio.ensure_future(world.leg.aclose())
    await asyncio.sleep(0.05)
    assert not ending.done()
    world.leg._page.attach(channel)
    await ending
    assert [models.DataPacket.FromString(packet).user.payload for packet in channel.sent] == [
        b'{"type":"call_ended","reason":"agent_hangup"}'
    ]
