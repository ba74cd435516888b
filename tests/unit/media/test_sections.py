"""Offers without room for the agent's voice."""

import pytest
from livekit.protocol import rtc

from oneinbox.live.media.embedded import sdp
from tests.support.media_offers import FULL, PUBLISHED
from tests.support.media_world import World


async def test_a_client_that_never_gives_room_is_not_asked_for_ever(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sdp, "agent_section", lambda *_: None)
    socket_id, socket = world.join()
    for number in range(4, 9):
        world.say(socket_id, offer=rtc.SessionDescription(type="offer", sdp=FULL, id=number))
    asked = [message for message in socket.sent if message.HasField("media_sections_requirement")]
    assert [one.media_sections_requirement.num_audios for one in asked] == [1, 1, 1]
    assert socket.kinds().count("answer") == 6


async def test_one_that_has_room_is_not_asked(world: World):
    _, socket = world.join()
    assert "media_sections_requirement" not in socket.kinds()


async def test_one_that_offers_its_microphone_alone_is_asked_and_then_answered(world: World):
    join = rtc.JoinRequest(publisher_offer=rtc.SessionDescription(type="offer", sdp=PUBLISHED, id=3))
    socket_id, socket = world.join(join=join)
    assert socket.last("media_sections_requirement").num_audios == 1
    assert not socket.last("answer").mid_to_track_id
    world.say(socket_id, offer=rtc.SessionDescription(type="offer", sdp=FULL, id=4))
    assert socket.kinds().count("media_sections_requirement") == 1
    assert list(socket.last("answer").mid_to_track_id) == ["0"]
