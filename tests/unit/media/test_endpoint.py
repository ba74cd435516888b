"""Signalling without a socket or a network: who is let in, what is answered, what ends what."""

import asyncio
import base64
import gzip
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from livekit.protocol import models, rtc

from oneinbox.core.link import IceServer, MediaSettings, OpenSocket
from oneinbox.live.engine.ports import Caption
from oneinbox.live.media.embedded import EmbeddedMedia
from oneinbox.live.media.embedded.leg import CLOSED_GRACE_S, GRACE_S, MUTED_START_S, EmbeddedLeg
from tests.support.media_server import RecordingListener
from tests.support.media_signal import VirtualLoop
from tests.unit.media.test_sdp import FULL, audio, offer


class FakeSocket:
    def __init__(self):
        self.accepted = False
        self.refused: tuple[int, str] | None = None
        self.closed: int | None = None
        self.sent: list[rtc.SignalResponse] = []

    def accept(self) -> None:
        self.accepted = True

    def refuse(self, status: int, message: str) -> None:
        self.refused = (status, message)

    def send(self, data: bytes) -> None:
        assert self.accepted
        assert self.closed is None, "a message after the close"
        self.sent.append(rtc.SignalResponse.FromString(data))

    def close(self, code: int = 1000) -> None:
        self.closed = code

    def kinds(self) -> list[str | None]:
        return [message.WhichOneof("message") for message in self.sent]

    def last(self, kind: str) -> Any:
        return next(getattr(m, kind) for m in reversed(self.sent) if m.WhichOneof("message") == kind)


class World:
    """An endpoint that was never started: it has no sockets, only what is said to it."""

    def __init__(self, **settings: Any):
        self.media = EmbeddedMedia(
            MediaSettings(**settings), mint_rejoin_token=lambda room, identity: f"rejoin-{room}-{identity}"
        )
        self.listener = RecordingListener()
        self.leg: EmbeddedLeg = self.media.open_leg(
            room_name="web-1", identity="caller", agent_name="Ann", listener=self.listener
        )
        self._ids = 0

    def join(
        self,
        *,
        join: rtc.JoinRequest | None = None,
        token_id: str = "tok_1",
        rejoin: bool = False,
        zipped: bool = False,
        **changes: Any,
    ) -> tuple[int, FakeSocket]:
        if join is None:
            join = rtc.JoinRequest(publisher_offer=rtc.SessionDescription(type="offer", sdp=FULL, id=3))
        inner = join.SerializeToString()
        wrapped = rtc.WrappedJoinRequest(join_request=inner)
        if zipped:
            wrapped = rtc.WrappedJoinRequest(compression=rtc.WrappedJoinRequest.GZIP, join_request=gzip.compress(inner))
        query = {"join_request": base64.urlsafe_b64encode(wrapped.SerializeToString()).decode().rstrip("=")}
        self._ids += 1
        request = {"room_name": "web-1", "identity": "caller", "path": "/rtc/v1", "query": query, **changes}
        socket = FakeSocket()
        self.media.on_socket_open(OpenSocket(socket_id=self._ids, token_id=token_id, rejoin=rejoin, **request), socket)
        return self._ids, socket

    def say(self, socket_id: int, **message: Any) -> None:
        self.media.on_socket_data(socket_id, rtc.SignalRequest(**message).SerializeToString())


@pytest.fixture
async def world():
    made = World()
    yield made
    await made.media.aclose()
    assert set(made.media.holdings().values()) == {0}


MICROPHONE = rtc.AddTrackRequest(cid="cid1", name="mic", type=models.AUDIO, source=models.MICROPHONE)


# ---- being let in


@pytest.mark.parametrize("zipped", [False, True])
async def test_a_join_is_told_who_is_there_then_answered_then_given_a_token(world: World, zipped: bool):
    _, socket = world.join(zipped=zipped)
    assert socket.kinds() == ["join", "answer", "refresh_token"]
    join = socket.last("join")
    assert join.participant.identity == "caller"
    assert join.room.name == "web-1"
    agent = join.other_participants[0]
    assert (agent.identity, agent.name, agent.kind) == ("agent", "Ann", models.ParticipantInfo.AGENT)
    assert [track.source for track in agent.tracks] == [models.MICROPHONE]
    assert not join.subscriber_primary
    answer = socket.last("answer")
    assert answer.id == 3
    assert answer.mid_to_track_id == {"0": agent.tracks[0].sid}
    assert f"{agent.sid}|{agent.tracks[0].sid}" in answer.sdp
    assert socket.last("refresh_token") == "rejoin-web-1-caller"
    assert world.listener.events == ["joined"]


async def test_a_client_that_offers_later_is_answered_later(world: World):
    socket_id, socket = world.join(join=rtc.JoinRequest(client_info=models.ClientInfo(version="1")))
    assert socket.kinds() == ["join", "refresh_token"]
    world.say(socket_id, offer=rtc.SessionDescription(type="offer", sdp=FULL, id=1))
    assert socket.last("answer").id == 1


async def test_clients_are_told_of_turn_servers():
    world = World(ice_servers=(IceServer(urls=("turn:turn.example:3478",), username="u", credential="c"),))
    _, socket = world.join()
    assert list(socket.last("join").ice_servers[0].urls) == ["turn:turn.example:3478"]
    await world.media.aclose()


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"room_name": "web-2"}, 404),
        ({"identity": "mallory"}, 401),
        ({"path": "/rtc"}, 404),
        ({"query": {}}, 400),
        ({"query": {"join_request": "!!!"}}, 400),
        ({"query": {"join_request": "A" * 100_000}}, 400),
        ({"rejoin": True}, 401),  # before anybody joined
        ({"join": rtc.JoinRequest(publisher_offer=rtc.SessionDescription(type="offer", sdp="nonsense"))}, 400),
        ({"join": rtc.JoinRequest(publisher_offer=rtc.SessionDescription(type="answer", sdp=FULL))}, 400),
        ({"join": rtc.JoinRequest(reconnect=True)}, 401),
    ],
)
async def test_who_may_not_come_in_is_refused_and_uses_up_nothing(world: World, changes: dict, status: int):
    _, socket = world.join(**changes)
    assert socket.refused is not None
    assert socket.refused[0] == status
    assert not socket.accepted
    assert world.listener.events == []
    _, honest = world.join()
    assert honest.accepted


async def test_a_bomb_of_a_join_request_is_refused(world: World):
    bomb = rtc.WrappedJoinRequest(
        compression=rtc.WrappedJoinRequest.GZIP, join_request=gzip.compress(bytes(20_000_000))
    )
    query = {"join_request": base64.urlsafe_b64encode(bomb.SerializeToString()).decode()}
    _, socket = world.join(query=query)
    assert socket.refused == (400, "the join_request cannot be read: the join_request unpacks to too much")


async def test_a_token_lets_in_once(world: World):
    _, first = world.join()
    _, second = world.join()
    assert second.refused == (401, "token already used")
    _, other = world.join(token_id="tok_2")
    assert other.refused is not None
    assert other.refused[0] == 401
    assert first.closed is None


async def test_a_rejoin_takes_the_place_of_whoever_is_in(world: World):
    _, first = world.join()
    _, second = world.join(rejoin=True, token_id="tok_2")
    assert first.last("leave").reason == models.DUPLICATE_IDENTITY
    assert first.last("leave").action == rtc.LeaveRequest.DISCONNECT
    assert first.closed == 1000
    assert second.kinds() == ["join", "answer", "refresh_token"]
    before, after = first.last("join"), second.last("join")
    assert before.participant.sid != after.participant.sid
    assert before.other_participants[0].sid == after.other_participants[0].sid
    assert world.listener.events == ["joined"]
    _, third = world.join(rejoin=True, token_id="tok_2")
    assert third.accepted


async def test_a_reconnecting_client_is_sent_to_join_again(world: World):
    world.join()
    _, socket = world.join(join=rtc.JoinRequest(reconnect=True, participant_sid="PA_x"), rejoin=True)
    assert socket.kinds() == ["leave"]
    assert socket.last("leave").action == rtc.LeaveRequest.RECONNECT
    assert socket.closed == 1000


# ---- what is asked


async def test_both_pings_are_answered(world: World):
    socket_id, socket = world.join()
    world.say(socket_id, ping=123)
    world.say(socket_id, ping_req=rtc.Ping(timestamp=456))
    assert socket.last("pong") > 1_700_000_000_000
    assert socket.last("pong_resp").last_ping_timestamp == 456


async def test_one_microphone_can_be_published(world: World):
    socket_id, socket = world.join()
    world.say(socket_id, add_track=MICROPHONE)
    published = socket.last("track_published")
    assert published.cid == "cid1"
    assert published.track.sid.startswith("TR_")
    world.say(socket_id, add_track=MICROPHONE)
    assert socket.last("request_response").reason == rtc.RequestResponse.LIMIT_EXCEEDED
    assert socket.last("request_response").add_track.cid == "cid1"


async def test_a_microphone_asked_for_in_the_join_is_published(world: World):
    _, socket = world.join(join=rtc.JoinRequest(add_track_requests=[MICROPHONE]))
    assert socket.last("track_published").cid == "cid1"


@pytest.mark.parametrize(
    "track",
    [
        rtc.AddTrackRequest(cid="v", type=models.VIDEO, source=models.CAMERA),
        rtc.AddTrackRequest(cid="s", type=models.AUDIO, source=models.SCREEN_SHARE_AUDIO),
    ],
)
async def test_no_other_track_can_be(world: World, track: rtc.AddTrackRequest):
    socket_id, socket = world.join()
    world.say(socket_id, add_track=track)
    assert socket.last("request_response").reason == rtc.RequestResponse.NOT_ALLOWED


async def test_a_microphone_that_is_no_longer_offered_can_be_published_anew(world: World):
    socket_id, socket = world.join()
    world.say(socket_id, add_track=MICROPHONE)
    world.say(socket_id, offer=rtc.SessionDescription(type="offer", sdp=FULL.replace("a=sendonly", "a=inactive"), id=4))
    world.say(socket_id, add_track=MICROPHONE)
    assert socket.kinds().count("track_published") == 2


async def test_the_answer_to_a_changed_network_has_new_credentials(world: World):
    socket_id, socket = world.join()
    first = socket.last("answer").sdp
    world.say(socket_id, offer=rtc.SessionDescription(type="offer", sdp=FULL, id=4))
    same = socket.last("answer").sdp
    world.say(
        socket_id,
        offer=rtc.SessionDescription(
            type="offer", sdp=FULL.replace("abcd", "efgh", 1).replace("ufrag:abcd", "ufrag:efgh"), id=5
        ),
    )
    restarted = socket.last("answer").sdp
    ufrags = [next(line for line in sdp.splitlines() if "ufrag" in line) for sdp in (first, same, restarted)]
    assert ufrags[0] == ufrags[1] != ufrags[2]


async def test_changing_oneself_is_not_allowed(world: World):
    socket_id, socket = world.join()
    world.say(socket_id, update_metadata=rtc.UpdateParticipantMetadata(metadata="x", request_id=7))
    refused = socket.last("request_response")
    assert (refused.request_id, refused.reason) == (7, rtc.RequestResponse.NOT_ALLOWED)
    assert refused.update_metadata.metadata == "x"


@pytest.mark.parametrize(
    "message",
    [
        {"simulate": rtc.SimulateScenario(node_failure=True)},
        {"publish_data_track_request": rtc.PublishDataTrackRequest(name="x")},
        {"answer": rtc.SessionDescription(type="answer")},
        {"update_video_track": rtc.UpdateLocalVideoTrack()},
    ],
)
async def test_what_is_not_served_is_refused_and_not_met_with_silence(world: World, message: dict):
    socket_id, socket = world.join()
    world.say(socket_id, **message)
    assert socket.last("request_response").reason == rtc.RequestResponse.UNSUPPORTED_TYPE


@pytest.mark.parametrize(
    "message",
    [
        {"trickle": rtc.TrickleRequest(candidateInit="not json")},
        {"sync_state": rtc.SyncState()},
        {"subscription_permission": rtc.SubscriptionPermission()},
        {"mute": rtc.MuteTrackRequest(sid="TR_unknown", muted=True)},
    ],
)
async def test_what_needs_no_answer_gets_none(world: World, message: dict):
    socket_id, socket = world.join()
    count = len(socket.sent)
    world.say(socket_id, **message)
    assert len(socket.sent) == count
    assert socket.closed is None


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff\xff\xff", 1003),
        (bytes(70_000), 1009),
        (rtc.SignalRequest(offer=rtc.SessionDescription(type="offer", sdp="nonsense")).SerializeToString(), 1003),
    ],
)
async def test_a_bad_message_ends_its_socket_and_nothing_else(world: World, caplog, data: bytes, code: int):
    socket_id, socket = world.join()
    with caplog.at_level(logging.WARNING):
        world.media.on_socket_data(socket_id, data)
    assert "signalling is closed" in caplog.text
    assert socket.closed == code
    assert socket.last("leave").action == rtc.LeaveRequest.DISCONNECT
    world.media.on_socket_data(socket_id, data)
    world.media.on_socket_closed(socket_id)
    assert world.listener.events == ["joined"]
    _, back = world.join(rejoin=True)
    assert back.accepted


async def test_no_message_however_spoilt_does_more_than_end_its_socket(caplog):
    caplog.set_level(logging.CRITICAL)
    rng = random.Random(11)
    honest = [
        rtc.SignalRequest(offer=rtc.SessionDescription(type="offer", sdp=FULL, id=9)),
        rtc.SignalRequest(add_track=MICROPHONE),
        rtc.SignalRequest(update_metadata=rtc.UpdateParticipantMetadata(metadata="x", attributes={"a": "b"})),
        rtc.SignalRequest(ping_req=rtc.Ping(timestamp=1)),
        rtc.SignalRequest(trickle=rtc.TrickleRequest(candidateInit="{}")),
        rtc.SignalRequest(publish_data_track_request=rtc.PublishDataTrackRequest(name="x")),
    ]
    world = World()
    socket_id, socket = world.join()
    for _ in range(1500):
        data = bytearray(rng.choice(honest).SerializeToString())
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        world.media.on_socket_data(socket_id, bytes(data[: rng.randrange(1, len(data) + 1)]))
        if socket.closed is not None:
            if "left, goodbye" in world.listener.events:
                await world.leg.aclose()
                world = World()
                socket_id, socket = world.join()
            else:
                socket_id, socket = world.join(rejoin=True)
            assert socket.accepted
    await world.media.aclose()
    assert set(world.media.holdings().values()) == {0}


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


def test_one_that_closed_its_connection_has_less_time():
    async def scenario(world: World) -> None:
        socket_id, _ = world.join()
        make_active(world, socket_id)
        world.media.on_socket_closed(socket_id)
        world.leg._on_down()
        await asyncio.sleep(CLOSED_GRACE_S + 2)
        assert world.listener.events[-1] == "left, lost"
        await world.leg.aclose()

    in_virtual_time(scenario)


def test_a_broken_network_takes_the_path_first_and_still_leaves_the_whole_grace():
    async def scenario(world: World) -> None:
        socket_id, _ = world.join()
        make_active(world, socket_id)
        await asyncio.sleep(12)  # nothing was ever heard by any path: it counts as broken
        world.media.on_socket_closed(socket_id)
        await asyncio.sleep(GRACE_S - 2)
        assert world.listener.events == ["joined", "active"]
        await asyncio.sleep(4)
        assert world.listener.events == ["joined", "active", "left, lost"]
        await world.leg.aclose()

    in_virtual_time(scenario)


def test_one_that_never_got_media_through_has_no_call_to_wait_for():
    async def scenario(world: World) -> None:
        socket_id, _ = world.join()
        world.media.on_socket_closed(socket_id)
        await asyncio.sleep(CLOSED_GRACE_S + 2)
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


async def test_an_address_to_announce_must_be_one():
    media = EmbeddedMedia(MediaSettings(announced_addresses=("media.example",)), mint_rejoin_token=lambda room, who: "")
    with pytest.raises(ValueError, match=r"media\.example"):
        await media.start()


def test_the_offer_used_here_is_one_that_can_be_answered():
    assert audio("0", "recvonly") in offer(audio("0", "recvonly")).replace("\r\n", "\n")
