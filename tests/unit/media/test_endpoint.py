"""Signalling without a socket or a network: who is let in, what is answered, what ends what."""

import base64
import gzip
import logging
import random

import pytest
from livekit.protocol import models, rtc

from oneinbox.core.link import IceServer, MediaSettings
from oneinbox.live.media.embedded import EmbeddedMedia
from tests.support.media_offers import FULL
from tests.support.media_world import MICROPHONE, World

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
        ({"path": "/rtc/v2"}, 404),
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


async def test_a_token_lets_in_again_where_the_page_was_reloaded_while_it_joined(world: World):
    socket_id, _ = world.join()
    world.media.on_socket_closed(socket_id)
    again_id, again = world.join()
    assert again.accepted
    world.leg._active = True  # from here on the page has a token to come back with
    world.media.on_socket_closed(again_id)
    _, late = world.join()
    assert late.refused == (401, "token already used")


async def test_what_a_page_may_come_back_with_is_bound_to_its_origin(world: World):
    _, socket = world.join(origin="https://shop.example")
    assert socket.last("refresh_token") == "rejoin-web-1-caller-https://shop.example"


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


async def test_a_reconnecting_client_whose_transport_is_gone_is_sent_to_join_again(world: World):
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


async def test_an_offer_under_way_does_not_unpublish_the_microphone_just_announced(world: World):
    without = FULL.replace("a=sendonly", "a=inactive")
    first = rtc.SessionDescription(type="offer", sdp=without, id=1)
    socket_id, socket = world.join(join=rtc.JoinRequest(publisher_offer=first))
    world.say(socket_id, add_track=MICROPHONE)
    world.say(socket_id, offer=rtc.SessionDescription(type="offer", sdp=without, id=2))
    world.say(socket_id, add_track=MICROPHONE)
    assert socket.kinds().count("track_published") == 1
    assert socket.last("request_response").reason == rtc.RequestResponse.LIMIT_EXCEEDED


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


async def test_what_a_client_says_of_itself_is_said_back(world: World):
    socket_id, socket = world.join()
    before = socket.last("join").participant
    assert before.permission.can_update_metadata
    said = rtc.UpdateParticipantMetadata(
        name="Jo", metadata="x", attributes={"plan": "gold", "seat": "4"}, request_id=7
    )
    world.say(socket_id, update_metadata=said)
    done = socket.last("request_response")
    assert (done.request_id, done.reason) == (7, rtc.RequestResponse.OK)
    world.say(socket_id, update_metadata=rtc.UpdateParticipantMetadata(attributes={"seat": ""}, request_id=8))
    me = socket.last("update").participants[0]
    assert (me.sid, me.name, me.metadata, dict(me.attributes)) == (before.sid, "Jo", "x", {"plan": "gold"})
    assert me.version > before.version
    _, back = world.join(rejoin=True)
    assert back.last("join").participant.name == "Jo"


@pytest.mark.parametrize(
    "said",
    [
        rtc.UpdateParticipantMetadata(metadata="x" * 20_000),
        rtc.UpdateParticipantMetadata(attributes={str(number): "x" for number in range(70)}),
        rtc.UpdateParticipantMetadata(attributes={"oi.anything": "x"}),
    ],
)
async def test_but_not_everything(world: World, said: rtc.UpdateParticipantMetadata):
    socket_id, socket = world.join()
    said.request_id = 9
    world.say(socket_id, update_metadata=said)
    refused = socket.last("request_response")
    assert (refused.request_id, refused.reason) == (9, rtc.RequestResponse.LIMIT_EXCEEDED)
    assert socket.kinds().count("update") == 0


async def test_a_request_of_a_later_release_is_refused_too(world: World):
    socket_id, socket = world.join()
    world.media.on_socket_data(socket_id, bytes([0xFA, 0x3E, 0]))  # field 1007
    assert socket.last("request_response").reason == rtc.RequestResponse.UNSUPPORTED_TYPE


async def test_a_flood_of_requests_ends_its_socket(world: World):
    socket_id, socket = world.join()
    for _ in range(300):
        world.say(socket_id, ping=1)
    assert socket.closed == 1008
    assert 150 < socket.kinds().count("pong") < 210
    _, back = world.join(rejoin=True)
    assert back.accepted


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


async def test_an_address_to_announce_must_be_one():
    media = EmbeddedMedia(MediaSettings(announced_addresses=("media.example",)), mint_rejoin_token=lambda *_: "")
    with pytest.raises(ValueError, match=r"media\.example"):
        await media.start()
