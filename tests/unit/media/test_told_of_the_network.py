"""What clients are told of the network: addresses, and TURN servers with credentials of their own."""

import base64
import contextlib
import hmac
import ipaddress
import re
import time
from typing import Any

import pytest
from livekit.protocol import rtc

from oneinbox.core.link import IceServer
from tests.support.media_offers import FULL, PUBLISHED
from tests.support.media_world import MICROPHONE, World


async def test_a_turn_server_s_secret_stays_here_and_each_client_gets_credentials_that_expire(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.0)
    server = IceServer(urls=("turn:turn.example:3478",), secret="north")
    world = World(ice_servers=(server, IceServer(urls=("stun:stun.example",))))
    socket_id, socket = world.join()
    told, plain = socket.last("join").ice_servers
    assert told.username == f"{1_700_000_000 + 4 * 3600}:caller"
    expected = base64.b64encode(hmac.new(b"north", told.username.encode(), "sha1").digest()).decode()
    assert told.credential == expected
    assert (plain.username, plain.credential) == ("", "")
    monkeypatch.setattr(time, "time", lambda: 1_700_009_000.0)
    sid = socket.last("join").participant.sid
    world.media.on_socket_closed(socket_id)
    _, back = world.join(join=rtc.JoinRequest(reconnect=True, participant_sid=sid), rejoin=True, token_id="tok_2")
    assert back.last("reconnect").ice_servers[0].username == f"{1_700_009_000 + 4 * 3600}:caller"
    assert not any(b"north" in message.SerializeToString() for message in [*socket.sent, *back.sent])
    assert "north" not in repr(server)


def addresses_in(text: str) -> set[str]:
    """Return whatever in a text is an IP address."""
    found: set[str] = set()
    for word in re.findall(r"[0-9A-Fa-f:.]{3,}", text):
        with contextlib.suppress(ValueError):
            found.add(str(ipaddress.ip_address(word.strip("."))))
    return found


@pytest.mark.parametrize("dual", [False, True], ids=["newer signalling", "older signalling"])
async def test_no_address_is_told_but_those_announced(dual: bool):
    announced = ("203.0.113.5", "2001:db8::7")
    world = World(announced_addresses=announced, bind_host="0.0.0.0", port=0)
    await world.media.start()
    try:
        changes: dict[str, Any] = {"path": "/rtc", "query": {"protocol": "15"}} if dual else {}
        socket_id, socket = world.join(**changes)
        world.say(socket_id, add_track=MICROPHONE)
        world.say(socket_id, offer=rtc.SessionDescription(type="offer", sdp=PUBLISHED if dual else FULL, id=4))
        world.media.on_socket_closed(socket_id)
        sid = socket.last("join").participant.sid
        again = {"path": "/rtc", "query": {"reconnect": "1", "sid": sid}} if dual else {}
        resumed = rtc.JoinRequest(reconnect=True, participant_sid=sid)
        _, back = world.join(join=resumed, rejoin=True, token_id="tok_2", **again)
        sent = [*socket.sent, *back.sent]
        assert "reconnect" in back.kinds()
        assert "trickle" not in [message.WhichOneof("message") for message in sent]
        descriptions = [m.answer.sdp for m in sent if m.HasField("answer")] + [
            m.offer.sdp for m in sent if m.HasField("offer")
        ]
        candidates = [line.split()[4] for text in descriptions for line in text.splitlines() if "candidate:" in line]
        assert set(candidates) == set(announced)
        told = set[str]().union(*(addresses_in(str(message)) for message in sent))
        assert told == {*announced, "0.0.0.0"}, "the unspecified address stands where SDP wants one"
        numbers = {line.split()[5] for text in descriptions for line in text.splitlines() if "candidate:" in line}
        assert len(numbers) == 1
    finally:
        await world.media.aclose()
