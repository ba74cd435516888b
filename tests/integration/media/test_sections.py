"""A client whose offer has no room left for the agent's voice is asked for more, and gives it."""

import pytest

from oneinbox.live.media.embedded import sdp
from tests.integration.media.test_browser import browser_page, files
from tests.support.media_client import MediaClient
from tests.support.media_server import RecordingListener, media_server, token, until
from tests.support.media_signal import babble, tone


@pytest.fixture
def three_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients offer three spare sections: let all of them be somebody else's."""
    plain = sdp.agent_section

    def choose(offer: sdp.Offer, previous_mid: str | None) -> str | None:
        able = [s for s in offer.sections if s.kind == "audio" and s.receives and s.opus is not None]
        taken = {section.mid for section in able[:3]}
        left = tuple(section for section in offer.sections if section.mid not in taken)
        return plain(offer._replace(sections=left), previous_mid)

    monkeypatch.setattr(sdp, "agent_section", choose)


@pytest.mark.usefixtures("three_are_taken")
async def test_chromium_is_heard_and_hears():
    async with media_server(files=files()) as server, browser_page(babble(3, 16_000)) as page:
        listener = RecordingListener()
        leg = server.media.open_leg(room_name="web-1", identity="caller", agent_name="Ann", listener=listener)
        leg.playout.write(tone(1000, 30, 24_000))
        await page.goto(server.url.replace("ws://", "http://") + "/")
        assert await page.evaluate("([url, token]) => join(url, token)", [server.url, token("web-1")]) == "connected"
        await until(lambda: "active" in listener.events, what="two-way audio")
        await page.wait_for_function("analyser && hear().rms > 0.05")
        assert (await page.evaluate("hear()"))["hz"] == pytest.approx(1000, abs=12)
        await leg.aclose()


@pytest.mark.usefixtures("three_are_taken")
async def test_libwebrtc_is_heard_and_hears():
    async with media_server() as server:
        listener = RecordingListener()
        leg = server.media.open_leg(room_name="web-1", identity="caller", agent_name="Ann", listener=listener)
        leg.playout.write(tone(1000, 30, 24_000))
        client = await MediaClient().join(server.url, token("web-1"))
        await client.say(babble(1, 16_000))
        await until(lambda: "active" in listener.events, what="two-way audio")
        await until(lambda: client.subscribed == 1, what="the agent's track")
        await client.leave()
        await leg.aclose()
