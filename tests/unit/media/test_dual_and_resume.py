"""The older signalling with two PeerConnections, and going on after a lost socket; without a network."""

import pytest
from aiortc.sdp import SessionDescription
from livekit.protocol import models, rtc

from oneinbox.live.media.embedded import sdp
from oneinbox.live.media.embedded.pair import PeerPair
from tests.support.media_offers import ANSWER, FULL, PUBLISHED
from tests.support.media_world import MICROPHONE, FakeSocket, World

# ---- two PeerConnections


def join_dual(world: World, **changes) -> tuple[int, FakeSocket]:
    return world.join(path="/rtc", **{"query": {"auto_subscribe": "1", "protocol": "15"}, **changes})


def answer_offer(world: World, socket_id: int, socket: FakeSocket, text: str = ANSWER) -> None:
    description = rtc.SessionDescription(type="answer", sdp=text, id=socket.last("offer").id)
    world.say(socket_id, answer=description)


async def test_an_older_client_is_offered_the_agent_s_voice(world: World):
    _, socket = join_dual(world)
    assert socket.kinds() == ["join", "offer", "refresh_token"]
    assert socket.last("join").subscriber_primary
    agent = socket.last("join").other_participants[0]
    offered = socket.last("offer")
    assert (offered.type, offered.id) == ("offer", 1)
    read = SessionDescription.parse(offered.sdp)
    assert [(media.kind, media.direction, media.dtls.role) for media in read.media] == [
        ("audio", "sendonly", "auto"),
        ("application", None, "auto"),
    ]
    assert read.media[0].msid == f"{agent.sid}|{agent.tracks[0].sid} {agent.tracks[0].sid}"
    assert read.media[0].ice.iceLite
    assert world.listener.events == ["joined"]
    assert world.media.holdings()["ice_sessions"] == 2


async def test_it_answers_ours_and_offers_its_own(world: World):
    socket_id, socket = join_dual(world)
    answer_offer(world, socket_id, socket)
    world.say(socket_id, add_track=MICROPHONE)
    world.say(socket_id, offer=rtc.SessionDescription(type="offer", sdp=PUBLISHED, id=7))
    answer = socket.last("answer")
    assert answer.id == 7
    assert not answer.mid_to_track_id
    assert [media.direction for media in SessionDescription.parse(answer.sdp).media] == ["recvonly", None]
    ufrags = {SessionDescription.parse(one.sdp).media[0].ice.usernameFragment for one in (answer, socket.last("offer"))}
    assert len(ufrags) == 2
    assert socket.closed is None
    assert socket.kinds().count("request_response") == 0


async def test_an_answer_to_an_earlier_offer_changes_nothing(world: World):
    socket_id, socket = join_dual(world)
    world.say(socket_id, answer=rtc.SessionDescription(type="answer", sdp="nonsense", id=99))
    assert socket.closed is None


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("answer", "nonsense"),
        ("offer", ANSWER),
        ("answer", ANSWER.replace("a=mid:1", "a=mid:2")),
        ("answer", ANSWER.replace("active", "actpass")),
        ("answer", ANSWER.replace("opus", "G722")),
    ],
)
async def test_an_answer_that_is_none_ends_the_socket(world: World, kind: str, text: str):
    socket_id, socket = join_dual(world)
    world.say(socket_id, answer=rtc.SessionDescription(type=kind, sdp=text, id=1))
    assert socket.closed == 1003
    assert world.listener.events == ["joined"]


async def test_a_client_may_come_back_by_the_other_signalling(world: World):
    join_dual(world)
    _, newer = world.join(rejoin=True)
    assert newer.kinds() == ["join", "answer", "refresh_token"]
    _, older = join_dual(world, rejoin=True)
    assert older.kinds() == ["join", "offer", "refresh_token"]
    assert world.media.holdings()["sockets"] == 1


def test_each_of_our_offers_has_a_later_version():
    local = sdp.LocalSide("u", "p" * 24, (), "actpass", ())
    voice = sdp.AgentVoice(sdp.VOICE_MID, 1, "s", "t", "c")
    first, second = (SessionDescription.parse(sdp.write_offer(local, voice, number)) for number in (1, 2))
    assert [int(one.origin.split()[2]) for one in (first, second)] == [1, 2]


# ---- going on


def resume(world: World, socket: FakeSocket, **changes) -> tuple[int, FakeSocket]:
    sid = socket.last("join").participant.sid
    return world.join(join=rtc.JoinRequest(reconnect=True, participant_sid=sid), rejoin=True, **changes)


async def test_a_client_whose_socket_broke_goes_on_with_its_transport(world: World):
    socket_id, first = world.join()
    peer = world.leg._peer
    world.media.on_socket_closed(socket_id)
    world.leg.set_attributes({"lk.agent.state": "thinking"})
    _, second = resume(world, first)
    assert second.kinds() == ["reconnect", "update", "refresh_token"]
    assert second.last("reconnect").server_info.version == first.last("join").server_info.version
    told = {one.identity: one for one in second.last("update").participants}
    assert told["agent"].attributes == {"lk.agent.state": "thinking"}
    assert told["caller"].sid == first.last("join").participant.sid
    assert told["caller"].version > first.last("join").participant.version
    assert world.leg._peer is peer
    assert world.listener.events == ["joined"]


async def test_going_on_takes_new_ice_credentials_and_keeps_the_rest(world: World):
    _, first = world.join()
    socket_id, second = resume(world, first)
    world.say(socket_id, sync_state=rtc.SyncState())
    world.say(socket_id, offer=rtc.SessionDescription(type="offer", sdp=FULL.replace("ufrag:abcd", "ufrag:efgh"), id=4))
    before, after = (SessionDescription.parse(one.last("answer").sdp).media[0] for one in (first, second))
    assert before.ice.usernameFragment != after.ice.usernameFragment
    assert before.dtls.fingerprints == after.dtls.fingerprints
    assert before.ssrc == after.ssrc
    assert world.media.holdings()["ice_sessions"] == 1


async def test_the_socket_before_is_closed_without_a_word(world: World):
    old_id, first = world.join()
    count = len(first.sent)
    resume(world, first)
    assert first.closed == 1000
    assert len(first.sent) == count
    world.media.on_socket_closed(old_id)
    assert world.leg._session is not None


async def test_an_older_client_is_offered_anew_with_new_credentials(world: World):
    socket_id, first = join_dual(world)
    answer_offer(world, socket_id, first)
    sid = first.last("join").participant.sid
    world.media.on_socket_closed(socket_id)
    _, second = join_dual(world, rejoin=True, query={"reconnect": "1", "sid": sid})
    assert second.kinds() == ["reconnect", "update", "offer", "refresh_token"]
    before, after = (SessionDescription.parse(one.last("offer").sdp).media[0] for one in (first, second))
    assert before.ice.usernameFragment != after.ice.usernameFragment
    assert before.ssrc == after.ssrc
    assert second.last("offer").id == 2


@pytest.mark.parametrize("spoil", ["another sid", "other signalling", "transport down"])
async def test_where_the_transport_cannot_be_kept_the_client_joins_again(world: World, spoil: str):
    _, first = world.join()
    sid = first.last("join").participant.sid
    changes = {}
    if spoil == "another sid":
        sid = "PA_x"
    elif spoil == "other signalling":
        changes = {"path": "/rtc", "query": {"reconnect": "1", "sid": sid}}
    else:
        assert world.leg._peer is not None
        world.leg._peer.down = True  # type: ignore[misc]  # a single peer, whose attribute it is
    _, second = world.join(join=rtc.JoinRequest(reconnect=True, participant_sid=sid), rejoin=True, **changes)
    assert second.kinds() == ["leave"]
    assert second.last("leave").action == rtc.LeaveRequest.RECONNECT
    assert second.last("leave").can_reconnect
    assert first.closed is None


async def test_only_a_rejoin_token_leads_back(world: World):
    _, first = world.join()
    sid = first.last("join").participant.sid
    _, second = world.join(join=rtc.JoinRequest(reconnect=True, participant_sid=sid), token_id="tok_2")
    assert second.refused is not None
    assert second.refused[0] == 401


def typed(text: str, sequence: int) -> bytes:
    user = models.UserPacket(payload=text.encode(), topic="lk.chat")
    return models.DataPacket(user=user, sequence=sequence).SerializeToString()


async def test_what_a_client_sends_again_is_taken_once(world: World):
    _, first = world.join()
    world.leg._page.receive(typed("one", 1))
    world.leg._page.receive(typed("two", 2))
    _, second = resume(world, first)
    assert second.last("reconnect").last_message_seq == 2
    world.leg._page.receive(typed("two", 2))
    world.leg._page.receive(typed("three", 3))
    world.leg._page.receive(typed("uncounted", 0))
    assert world.listener.texts == ["one", "two", "three", "uncounted"]
    world.join(rejoin=True)
    world.leg._page.receive(typed("a new count", 1))
    assert world.listener.texts[-1] == "a new count"


async def test_a_pair_is_down_when_either_half_is(world: World):
    join_dual(world)
    pair = world.leg._peer
    assert isinstance(pair, PeerPair)
    assert not pair.down
    pair.publisher.down = True
    assert pair.down
