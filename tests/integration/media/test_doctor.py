"""What the media doctor says of ways that work, and of ways that do not."""

import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from oneinbox.core.link import MediaSettings
from oneinbox.live.media.reach import Candidate, Finding
from oneinbox.server.media_doctor import judge_addresses, judge_checks, look_from_here
from tests.integration.media.test_turn import behind
from tests.support.coturn import coturn
from tests.support.media_server import MediaServer, RecordingListener, media_server, token

CLOSED, SILENT = "127.0.0.9", "127.0.0.8"
UDP, TCP = Candidate("udp", "192.0.2.1", 7882), Candidate("tcp", "192.0.2.1", 7882)
ANSWERS, SAYS_NOTHING = Finding(0.001), Finding(None, "no answer")


@contextlib.asynccontextmanager
async def probed(settings: MediaSettings) -> AsyncIterator[MediaServer]:
    async with media_server(settings=settings) as server:
        server.media.open_leg(room_name="probe", identity="caller", agent_name="", listener=RecordingListener())
        yield server


async def look(server: MediaServer) -> list[tuple[str, str]]:
    return await look_from_here(server.url, token("probe"))


async def test_addresses_that_are_wrong_closed_or_silent_are_told_apart():
    announced = MediaSettings(bind_host="127.0.0.1", port=0, announced_addresses=(CLOSED, SILENT))
    async with probed(announced) as server:
        port = server.media_port
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole:
            hole.bind((SILENT, port))  # takes everything and says nothing, like a firewall
            findings = await look(server)
        told = {text.partition(": ")[0]: (state, text) for state, text in findings if str(port) in text}
        for kind in ("UDP", "TCP"):
            state, text = told[f"{kind} {CLOSED}:{port}"]
            assert state == "bad"
            assert "nothing listens there" in text
            assert "ONEINBOX_ANNOUNCED_ADDRESSES" in text
        state, text = told[f"UDP {SILENT}:{port}"]
        assert state == "bad"
        assert f"open {port}/udp in the firewall" in text
        assert findings[-1] == ("bad", "a browser here could not talk: calls would ring and stay silent")


@pytest.mark.parametrize(
    ("udp", "tcp", "last"),
    [
        (True, True, ("ok", "a browser here would talk over UDP")),
        (True, False, ("ok", "a browser here would talk over UDP")),
        (
            False,
            True,
            ("note", "a browser here would talk over TCP: it works, but lost packets make it stutter; open UDP"),
        ),
    ],
)
async def test_either_transport(udp: bool, tcp: bool, last: tuple[str, str]):
    async with probed(MediaSettings(bind_host="127.0.0.1,::1", port=0)) as server:
        server.media.allow_transports(udp=udp, tcp=tcp)
        findings = await look(server)
        assert findings[-1] == last
        assert "bad" not in [state for state, _ in findings]
        assert sum(text.startswith(f"UDP [::1]:{server.media_port} answers") for _, text in findings) == udp


async def test_a_turn_server_that_answers_and_one_whose_secret_is_another():
    async with coturn() as turn:
        address = f"turn:127.0.0.1:{turn.port}?transport=udp"
        async with probed(behind(turn)) as server:
            assert any(
                state == "ok" and text.startswith(f"{address} gives relays") for state, text in await look(server)
            )
        async with probed(behind(turn, secret="another")) as server:
            (found,) = [(state, text) for state, text in await look(server) if text.startswith(address)]
            assert found[0] == "bad"
            assert "check its address and its secret" in found[1]


async def test_a_server_that_is_not_there_or_does_not_know_the_token():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"ws://127.0.0.1:{free.getsockname()[1]}"
    ((state, text),) = await look_from_here(nobody, token("probe"))
    assert state == "bad"
    assert "is the server running, at this address?" in text
    async with probed(MediaSettings(bind_host="127.0.0.1", port=0)) as server:
        ((state, text),) = await look_from_here(server.url, "x.y.z")
        assert state == "bad"
        assert "refuses the probe's token" in text
        ((state, text),) = await look_from_here(server.url, token("another room"))
        assert state == "bad"
        assert "no such worker" in text


@pytest.mark.parametrize(
    ("announced", "pages", "state", "words"),
    [
        (["192.0.2.7", "127.0.0.1"], ["127.0.0.1"], "ok", "browsers are told of 192.0.2.7, 127.0.0.1"),
        ([], ["127.0.0.1"], "bad", "no address is announced"),
        (["127.0.0.1", "::1"], ["127.0.0.1"], "note", "Firefox does not use them"),
        (["127.0.0.1"], ["192.168.1.4"], "bad", "though the pages are served to others"),
        (["192.168.1.4"], ["8.8.8.8"], "bad", "the media only to a private network"),
        (["8.8.8.8"], ["9.9.9.9"], "ok", "browsers are told of 8.8.8.8"),
        (["192.168.1.4"], ["192.168.1.4"], "ok", "browsers are told of 192.168.1.4"),
    ],
)
def test_addresses_are_judged_beside_those_of_the_pages(announced: list[str], pages: list[str], state: str, words: str):
    judged = list(judge_addresses(announced, pages))
    assert judged[-1][0] == state
    assert words in judged[-1][1]


def test_what_does_not_work_is_no_alarm_where_something_else_does():
    assert [state for state, _ in judge_checks([(UDP, ANSWERS), (TCP, SAYS_NOTHING)], [])] == ["ok", "note", "ok"]
    assert [state for state, _ in judge_checks([(UDP, SAYS_NOTHING), (TCP, SAYS_NOTHING)], [])] == ["bad"] * 3
    relayed = list(judge_checks([(UDP, SAYS_NOTHING)], [("turn:x", ANSWERS)]))
    assert relayed[-1] == ("note", "a browser here could talk through the TURN server only")
