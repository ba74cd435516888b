"""The Web SDK's ``testConnection`` in Chromium: what it says of networks that have one way, another, or none."""

from typing import Any

from oneinbox.core.link import MediaSettings
from oneinbox.live.media.probe import Probe
from tests.integration.media.test_browser import browser_page
from tests.integration.media.test_turn import behind
from tests.support.chromium import sdk_file
from tests.support.coturn import coturn
from tests.support.media_server import MediaServer, media_server, token

PAGE = b"""<!doctype html><link rel="icon" href="data:,"><script type="module">
import * as sdk from "/web-sdk.js"; window.sdk = sdk;</script>"""
NOT_OFFERED = {"offered": False, "works": False}
NO_SOUND = {"offered": True, "works": False}


def files() -> dict[str, tuple[str, bytes]]:
    return {"/": ("text/html", PAGE), "/web-sdk.js": ("text/javascript", sdk_file("web-sdk.js"))}


async def found_from(server: MediaServer) -> dict[str, Any]:
    """Open a probe's room as a worker does, have a page test its way there, and return what it found."""
    probe = Probe(server.media, room_name="probe-any-1", identity="tester")
    async with browser_page(bytes(32_000)) as page:
        await page.goto(server.url.replace("ws://", "http://") + "/")
        await page.wait_for_function("window.sdk")
        given = {"serverUrl": server.url, "token": token("probe-any-1", "tester", probe=True)}
        found: dict[str, Any] = await page.evaluate("(given) => sdk.testConnection(given)", given)
        await probe.run()  # it ends, for the page said goodbye
    assert found["signalMs"] > 0
    return found


async def test_both_transports():
    async with media_server(files=files()) as server:
        found = await found_from(server)
        assert found["path"] == "udp"
        for path in ("udp", "tcp"):
            assert found[path]["works"]
            assert found[path]["address"] == f"127.0.0.1:{server.media_port}"
            assert found[path]["tookMs"] >= 0
        assert found["turn"] == NOT_OFFERED


async def test_tcp_only():
    async with media_server(files=files()) as server:
        server.media.allow_transports(udp=False, tcp=True)
        found = await found_from(server)
        assert found["path"] == "tcp"
        assert found["udp"] == NOT_OFFERED
        assert found["tcp"]["works"]


async def test_a_relay_beside_the_others():
    async with coturn() as turn, media_server(settings=behind(turn), files=files()) as server:
        found = await found_from(server)
        assert found["path"] == "udp"
        assert found["turn"]["works"]
        assert "ALLOCATE processed, success" in turn.said()


async def test_a_relay_that_refuses_and_addresses_that_lead_nowhere():
    nowhere = ("192.0.2.1",)  # of a network that is nobody's (RFC 5737)
    async with coturn() as turn:
        refused = behind(turn, secret="another")
        settings = MediaSettings(
            bind_host="127.0.0.1", port=0, announced_addresses=nowhere, ice_servers=refused.ice_servers
        )
        async with media_server(settings=settings, files=files()) as server:
            found = await found_from(server)
            assert found.get("path") is None
            assert [found[path] for path in ("udp", "tcp", "turn")] == [NO_SOUND] * 3
