"""Clients that reach us only through a TURN server: coturn, with credentials that we make from a shared secret."""

import numpy as np
import pytest
from livekit import rtc

from oneinbox.core.link import IceServer, MediaSettings
from tests.integration.media.test_browser import browser_page, files
from tests.support.coturn import SECRET, Coturn, coturn
from tests.support.media_client import HEARD_HZ, MediaClient
from tests.support.media_server import RecordingListener, media_server, token, until
from tests.support.media_signal import babble, likeness, tone

JOIN_RELAYED = "([url, token]) => join(url, token, {}, { rtcConfig: { iceTransportPolicy: 'relay' } })"


def behind(turn: Coturn, transport: str = "udp", secret: str = SECRET) -> MediaSettings:
    address = f"turn:127.0.0.1:{turn.port}?transport={transport}"
    return MediaSettings(bind_host="127.0.0.1", port=0, ice_servers=(IceServer(urls=(address,), secret=secret),))


async def test_a_call_in_chromium_through_a_relay_only():
    speech = babble(6, 16_000)
    async with (
        coturn() as turn,
        media_server(settings=behind(turn), files=files()) as server,
        browser_page(speech) as page,
    ):
        listener = RecordingListener()
        leg = server.media.open_leg(room_name="web-1", identity="caller", agent_name="Ann", listener=listener)
        leg.playout.write(tone(1000, 30, 24_000))
        await page.goto(server.url.replace("ws://", "http://") + "/")
        assert await page.evaluate(JOIN_RELAYED, [server.url, token("web-1")]) == "connected"
        await until(lambda: "active" in listener.events, what="two-way audio")
        await page.wait_for_function("analyser && hear().rms > 0.05")
        assert await page.evaluate("local()") == {"type": "relay", "relayProtocol": "udp"}
        await until(lambda: len(listener.pcm) > 4 * 32_000, what="4 s of the microphone")
        assert likeness(speech + speech, bytes(listener.pcm[32_000 : 3 * 32_000])) > 0.85
        assert ":caller>: incoming packet ALLOCATE processed, success" in turn.said()
        await leg.aclose()


async def test_libwebrtc_through_a_relay_that_it_reaches_by_tcp():
    async with coturn() as turn, media_server(settings=behind(turn, "tcp")) as server:
        listener = RecordingListener()
        leg = server.media.open_leg(room_name="web-1", identity="caller", agent_name="Ann", listener=listener)
        leg.playout.write(tone(1000, 20, 24_000))
        client = MediaClient()
        relayed = rtc.RtcConfiguration(ice_transport_type=rtc.IceTransportType.TRANSPORT_RELAY, ice_servers=[])
        await client.join(server.url, token("web-1"), rtc_config=relayed)
        await client.say(babble(2, 16_000))
        await until(lambda: "active" in listener.events, what="two-way audio")
        client.heard()
        await client.say(babble(1, 16_000))
        heard = client.heard()[-HEARD_HZ // 2 :]
        assert np.argmax(np.abs(np.fft.rfft(heard))) * HEARD_HZ / len(heard) == pytest.approx(1000, abs=5)
        assert "ALLOCATE processed, success" in turn.said()
        await client.leave()
        await leg.aclose()


async def test_credentials_of_another_secret_lead_nowhere():
    async with (
        coturn() as turn,
        media_server(settings=behind(turn, secret="another"), files=files()) as server,
        browser_page(bytes(32_000)) as page,
    ):
        leg = server.media.open_leg(
            room_name="web-1", identity="caller", agent_name="Ann", listener=RecordingListener()
        )
        await page.goto(server.url.replace("ws://", "http://") + "/")
        await page.evaluate(f"(given) => {{ ({JOIN_RELAYED})(given).catch(() => 0); }}", [server.url, token("web-1")])
        await until(lambda: "401" in turn.said(), what="coturn's refusal")
        assert "ALLOCATE processed, success" not in turn.said()
        await leg.aclose()
