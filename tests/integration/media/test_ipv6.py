"""Calls over IPv6: announced beside IPv4, over UDP and over TCP, each family by a socket of its own."""

import socket

import pytest

from oneinbox.core.link import MediaSettings
from oneinbox.live.media.embedded.pair import PeerPair
from tests.integration.media.test_browser import browser_page, files
from tests.support.media_client import MediaClient
from tests.support.media_server import RecordingListener, media_server, token, until
from tests.support.media_signal import babble, likeness, tone
from tests.support.tools import missing


def need_ipv6() -> None:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        missing("IPv6 on the loopback interface")


@pytest.mark.parametrize(
    ("udp", "tcp", "dual"),
    [(True, False, False), (False, True, False), (True, False, True)],
    ids=["udp", "tcp", "older signalling"],
)
async def test_a_call_over_ipv6_alone(udp: bool, tcp: bool, dual: bool):
    need_ipv6()
    settings = MediaSettings(bind_host="127.0.0.1,::1", port=0, announced_addresses=("::1",))
    async with media_server(settings=settings) as server:
        server.media.allow_transports(udp=udp, tcp=tcp)
        listener = RecordingListener()
        leg = server.media.open_leg(room_name="web-1", identity="caller", agent_name="Ann", listener=listener)
        leg.playout.write(tone(1000, 20, 24_000))
        client = await MediaClient().join(server.url, token("web-1"), dual=dual)
        said = babble(3, 16_000)
        await client.say(said)
        await until(lambda: "active" in listener.events, what="two-way audio")
        await until(lambda: client.heard().size > 0, what="the agent's voice")
        listener.pcm.clear()
        await client.say(said)
        assert likeness(said, bytes(listener.pcm[16_000:-16_000])) > 0.9
        peer = leg._peer.publisher if isinstance(leg._peer, PeerPair) else leg._peer
        assert peer is not None
        path = peer._ice.selected
        assert path is not None
        assert path.transport == ("udp" if udp else "tcp")
        assert ":" in path.address[0]
        await client.leave()
        await leg.aclose()
        assert set(server.media.holdings().values()) == {0}


async def test_both_families_are_announced_and_either_is_taken():
    need_ipv6()
    settings = MediaSettings(bind_host="127.0.0.1,::1", port=0)
    async with media_server(settings=settings, files=files()) as server, browser_page(babble(4, 16_000)) as page:
        listener = RecordingListener()
        leg = server.media.open_leg(room_name="web-1", identity="caller", agent_name="Ann", listener=listener)
        leg.playout.write(tone(1000, 20, 24_000))
        await page.goto(server.url.replace("ws://", "http://") + "/")
        assert await page.evaluate("([url, token]) => join(url, token)", [server.url, token("web-1")]) == "connected"
        await until(lambda: "active" in listener.events, what="two-way audio")
        await page.wait_for_function("analyser && hear().rms > 0.05")
        description = await page.evaluate("room.engine.pcManager.publisher.getRemoteDescription().sdp")
        candidates = [line.split()[4] for line in description.splitlines() if line.startswith("a=candidate")]
        assert candidates == ["127.0.0.1", "127.0.0.1", "::1", "::1"]
        await leg.aclose()
