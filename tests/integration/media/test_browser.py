"""``livekit-client`` in Chromium, unchanged, over loopback: the pinned one, and those of one and two years ago."""

import base64
import functools
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from livekit.protocol import models
from playwright.async_api import Page, async_playwright

from oneinbox.live.engine.ports import Caption
from tests.support.media_server import RecordingListener, media_server, token, until
from tests.support.media_signal import babble, likeness, samples, tone
from tests.support.speech import need_prompts, prompt
from tests.support.tools import missing

CLIENT_VERSION = "2.23.0"
OLDER_CLIENTS = {
    "2.16.0": "2iYJ4dok17yV5CGeaY1yaFvz7rMuNUmXN1+nXvhUrkxTS/RcuteWTpxwrgLG/Vl1yxkf/YquVQ7bbRwFye20CA==",
    "2.6.0": "hpxNBtyWIFCefoHjHoSjqPCw3m7AfSJVcVZw6rMsqds4u+dSpWLfYkglWP8JuPGUIssyOsZm/+bV3gBWfuOGGQ==",
}
"""Releases of one and of two years ago, and what the packages must hash to (SHA-512)."""
CHROMIUM = "/usr/bin/chromium"
HERE = Path(__file__).resolve()
PAGE = HERE.parents[2] / "support" / "media_page.html"
INSTALLED = HERE.parents[3] / "clients" / "web-sdk" / "node_modules" / "livekit-client"


@functools.cache
def client_bundle(version: str) -> bytes:
    """Return livekit-client as one script: the Web SDK's own copy, or the published package."""
    about = INSTALLED / "package.json"
    if version == CLIENT_VERSION and about.is_file() and json.loads(about.read_text())["version"] == CLIENT_VERSION:
        return (INSTALLED / "dist" / "livekit-client.umd.js").read_bytes()
    npm = shutil.which("npm")
    if npm is None:
        missing(f"livekit-client {version}, and npm to get it with")
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(
            [npm, "pack", "--silent", f"livekit-client@{version}"], cwd=folder, capture_output=True, check=False
        )
        if packed.returncode:
            missing(f"livekit-client {version} (npm pack failed)")
        package = next(Path(folder).glob("*.tgz"))
        if version in OLDER_CLIENTS:
            assert base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode() == OLDER_CLIENTS[version]
        with tarfile.open(package) as archive:
            found = archive.extractfile("package/dist/livekit-client.umd.js")
            assert found is not None
            return found.read()


@asynccontextmanager
async def browser_page(microphone: bytes) -> AsyncIterator[Page]:
    """Open Chromium with a microphone that plays 16 kHz ``microphone`` over and over."""
    if shutil.which(CHROMIUM) is None:
        missing("Chromium")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "microphone.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16_000)
            file.writeframes(microphone)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=CHROMIUM,
                args=[
                    "--no-sandbox",
                    "--disable-background-networking",
                    "--autoplay-policy=no-user-gesture-required",
                    "--use-fake-ui-for-media-stream",
                    "--use-fake-device-for-media-stream",
                    f"--use-file-for-fake-audio-capture={path}",
                ],
            )
            try:
                yield await browser.new_page()
            finally:
                await browser.close()


def files(version: str = CLIENT_VERSION) -> dict[str, tuple[str, bytes]]:
    return {
        "/": ("text/html; charset=utf-8", PAGE.read_bytes()),
        "/livekit-client.umd.js": ("text/javascript", client_bundle(version)),
    }


@pytest.mark.parametrize(("udp", "tcp"), [(True, True), (False, True)], ids=["udp", "tcp only"])
async def test_a_whole_call_in_chromium(udp: bool, tcp: bool):
    need_prompts()
    speech = prompt("demo-congrats")[: 4 * 32_000]
    async with media_server(files=files()) as server, browser_page(speech) as page:
        server.media.allow_transports(udp=udp, tcp=tcp)
        listener = RecordingListener()
        leg = server.media.open_leg(room_name="web-1", identity="caller", agent_name="Ann", listener=listener)
        leg.playout.write(tone(1000, 12, 24_000))
        await page.goto(server.url.replace("ws://", "http://") + "/")
        assert await page.evaluate("([url, token]) => join(url, token)", [server.url, token("web-1")]) == "connected"
        await until(lambda: "active" in listener.events, what="two-way audio")
        await page.wait_for_function("analyser && hear().rms > 0.05")
        await page.wait_for_timeout(400)  # until the whole window is the tone
        heard = await page.evaluate("hear()")
        assert heard["hz"] == pytest.approx(1000, abs=12)
        assert heard["rms"] == pytest.approx(8000 / 32_768 / 2**0.5, rel=0.2)

        leg.send_event("suggestions", {"phrases": ["yes"]})
        await page.wait_for_function(
            "seen.data.length"
        )  # the channel is open: no caption waits, and so none is replaced
        leg.show_caption(Caption(segment_id="a1", from_agent=True, text="Good", final=False))
        leg.show_caption(Caption(segment_id="a1", from_agent=True, text="Good morning.", final=True))
        leg.show_caption(Caption(segment_id="u1", from_agent=False, text="I would", final=False))
        leg.show_caption(Caption(segment_id="u1", from_agent=False, text="I would like a table.", final=True))
        leg.set_attributes({"lk.agent.state": "speaking"})
        await page.wait_for_function("seen.captions.length == 4 && seen.captions.every((one) => one[2] !== null)")
        await page.wait_for_function("seen.attributes.agent")
        seen = await page.evaluate("seen")
        identity, is_agent, voice_sid = seen["voice"]
        assert (identity, is_agent) == ("agent", True)
        assert seen["captions"] == [
            ["agent", "a1", "Good", "false", voice_sid],
            ["agent", "a1", "Good morning.", "true", voice_sid],
            ["caller", "u1", "I would", "false", seen["microphone"]],
            ["caller", "u1", "I would like a table.", "true", seen["microphone"]],
        ]
        assert seen["attributes"] == {"agent": {"lk.agent.state": "speaking"}}
        assert seen["data"] == [["agent", "oi.event", '{"type":"suggestions","phrases":["yes"]}']]
        assert seen["mode"] == "publisher-only"

        await page.evaluate("room.localParticipant.sendText('typed text', { topic: 'lk.chat' })")
        await until(lambda: listener.texts == ["typed text"], what="the typed text")
        await until(lambda: len(listener.pcm) > 5 * 32_000, what="5 s of the microphone")
        assert likeness(listener.pcm, samples(speech)[16_000:32_000]) > 0.9
        assert listener.frame_sizes == {640}
        path = await page.evaluate("path()")
        assert (path["protocol"], path["port"]) == ("udp" if udp else "tcp", server.media_port)
        assert path["senderReports"] >= 1
        if os.environ.get("ONEINBOX_SHOW_MEDIA"):
            print(path)

        await page.evaluate("room.disconnect()")
        await until(lambda: "left, goodbye" in listener.events, what="the goodbye")
        assert listener.events == ["joined", "active", "left, goodbye"]
        await leg.aclose()
        assert set(server.media.holdings().values()) == {0}


@pytest.mark.parametrize("version", [CLIENT_VERSION, *OLDER_CLIENTS])
async def test_a_call_by_the_older_signalling(version: str):
    need_prompts()
    speech = prompt("demo-congrats")[: 4 * 32_000]
    async with media_server(files=files(version)) as server, browser_page(speech) as page:
        listener = RecordingListener()
        leg = server.media.open_leg(room_name="web-1", identity="caller", agent_name="Ann", listener=listener)
        leg.playout.write(tone(1000, 12, 24_000))
        await page.goto(server.url.replace("ws://", "http://") + "/")
        options = {"singlePeerConnection": False} if version == CLIENT_VERSION else {}  # older ones: as they come
        joined = "([url, token, options]) => join(url, token, options)"
        assert await page.evaluate(joined, [server.url, token("web-1"), options]) == "connected"
        await until(lambda: "active" in listener.events, what="two-way audio")
        assert server.paths == ["/rtc"]
        await page.wait_for_function("analyser && hear().rms > 0.05")
        await page.wait_for_timeout(400)  # until the whole window is the tone
        assert (await page.evaluate("hear()"))["hz"] == pytest.approx(1000, abs=12)
        leg.send_event("suggestions", {"phrases": ["yes"]})
        leg.set_attributes({"lk.agent.state": "speaking"})
        await page.wait_for_function("seen.data.length && seen.attributes.agent")
        seen = await page.evaluate("seen")
        assert seen["voice"][:2] == ["agent", True]
        assert seen["data"] == [["agent", "oi.event", '{"type":"suggestions","phrases":["yes"]}']]
        assert seen["attributes"] == {"agent": {"lk.agent.state": "speaking"}}
        await page.evaluate(
            "room.localParticipant.publishData(new TextEncoder().encode('clicked'), { reliable: true, topic: 'lk.chat' })"
        )
        await until(lambda: listener.texts == ["clicked"], what="the typed text")
        if version != "2.6.0":  # text streams came later
            leg.show_caption(Caption(segment_id="a1", from_agent=True, text="Good morning.", final=True))
            await page.wait_for_function("seen.captions.length == 1 && seen.captions[0][2] == 'Good morning.'")
        await until(lambda: len(listener.pcm) > 5 * 32_000, what="5 s of the microphone")
        assert likeness(listener.pcm, samples(speech)[16_000:32_000]) > 0.9
        path = await page.evaluate("path()")
        assert (path["protocol"], path["port"]) == ("udp", server.media_port)
        assert path["senderReports"] >= 1

        await page.wait_for_function("seen.quality.agent == 'excellent' && seen.quality.caller == 'excellent'")
        await page.evaluate("room.localParticipant.setAttributes({ plan: 'gold' })")
        assert await page.evaluate("room.localParticipant.attributes") == {"plan": "gold"}

        server.cut_signalling()
        await page.wait_for_function("seen.resumed == 1", timeout=20_000)
        assert await page.evaluate("seen.rejoined") == 0
        if version == CLIENT_VERSION:
            called = "room.localParticipant.performRpc({ destinationIdentity: 'agent', method: 'x', payload: '' })"
            assert await page.evaluate(f"{called}.catch((error) => error.code)") == 1400
        await page.evaluate("room.disconnect()")
        await until(lambda: "left, goodbye" in listener.events, what="the goodbye")
        assert listener.events == ["joined", "active", "left, goodbye"]
        await leg.aclose()
        assert set(server.media.holdings().values()) == {0}


@pytest.mark.parametrize("dual", [False, True], ids=["newer signalling", "older signalling"])
async def test_a_lost_socket_costs_no_sound_in_chromium(dual: bool):
    speech = babble(20, 16_000)
    async with media_server(files=files()) as server, browser_page(speech) as page:
        listener = RecordingListener()
        leg = server.media.open_leg(room_name="web-1", identity="caller", agent_name="Ann", listener=listener)
        leg.playout.write(tone(1000, 20, 24_000))
        await page.goto(server.url.replace("ws://", "http://") + "/")
        joined = "([url, token, dual]) => join(url, token, { singlePeerConnection: !dual })"
        await page.evaluate(joined, [server.url, token("web-1"), dual])
        await until(lambda: "active" in listener.events, what="two-way audio")
        await page.wait_for_timeout(1500)
        before = await page.evaluate("path()")
        listener.pcm.clear()
        await page.wait_for_timeout(1000)
        server.cut_signalling()
        await page.wait_for_function("seen.resumed == 1", timeout=20_000)
        await page.wait_for_timeout(1500)
        heard = bytes(listener.pcm)
        after = await page.evaluate("path()")
        assert await page.evaluate("[seen.subscribed, seen.rejoined, room.state]") == [1, 0, "connected"]
        alike = likeness(speech + speech, heard)
        elapsed_s = (after["at_ms"] - before["at_ms"]) / 1000
        packets = after["received"] - before["received"]
        concealed_ms = (after["concealed"] - before["concealed"]) / 48
        print(
            f"caller: likeness {alike:.3f} over {len(heard) / 32_000:.2f} s; agent: {packets} packets"
            f" in {elapsed_s:.2f} s, {concealed_ms:.0f} ms concealed"
        )
        assert alike > 0.85
        assert packets == pytest.approx(50 * elapsed_s, rel=0.05)
        assert after["lost"] == before["lost"]
        assert listener.events == ["joined", "active"]
        await leg.aclose()
        await page.wait_for_function("seen.disconnected !== undefined")


async def test_where_the_transport_is_gone_too_a_full_join_leads_back_into_the_same_call_in_chromium():
    async with media_server(files=files()) as server, browser_page(tone(300, 2, 16_000)) as page:
        listener = RecordingListener()
        leg = server.media.open_leg(room_name="web-1", identity="caller", agent_name="Ann", listener=listener)
        await page.goto(server.url.replace("ws://", "http://") + "/")
        await page.evaluate("([url, token]) => join(url, token)", [server.url, token("web-1")])
        await until(lambda: "active" in listener.events, what="two-way audio")
        assert leg._peer is not None
        leg._peer.down = True  # type: ignore[misc]  # as if its DTLS had ended: it cannot be resumed
        server.cut_signalling()
        await page.wait_for_function("seen.subscribed == 2 && room.state == 'connected'")
        leg.playout.write(tone(800, 3, 24_000))
        leg.show_caption(Caption(segment_id="a2", from_agent=True, text="Still here.", final=True))
        await page.wait_for_function("hear().rms > 0.05")
        assert (await page.evaluate("hear()"))["hz"] == pytest.approx(800, abs=12)
        await page.wait_for_function("seen.captions.length == 1 && seen.captions[0][2] == 'Still here.'")
        before = len(listener.pcm)
        await until(lambda: len(listener.pcm) > before + 16_000, what="the microphone after the reconnect")
        assert listener.events == ["joined", "active"]
        await leg.aclose()
        await page.wait_for_function("seen.disconnected !== undefined")
        assert await page.evaluate("seen.disconnected") == models.ROOM_DELETED
        assert listener.events == ["joined", "active"]


class MicrophoneEar(RecordingListener):
    """Also keeps what is told of the microphone."""

    def __init__(self) -> None:
        super().__init__()
        self.silences: list[bool] = []

    def on_microphone(self, *, silent: bool) -> None:
        self.silences.append(silent)


@pytest.mark.parametrize("alive", [False, True], ids=["zeros", "speech"])
async def test_a_microphone_of_zeros_is_noticed_in_chromium_and_no_other(alive: bool):
    sound = babble(2, 16_000) if alive else bytes(2 * 32_000)
    async with media_server(files=files()) as server, browser_page(sound) as page:
        listener = MicrophoneEar()
        leg = server.media.open_leg(room_name="web-1", identity="caller", agent_name="Ann", listener=listener)
        await page.goto(server.url.replace("ws://", "http://") + "/")
        assert await page.evaluate("([url, token]) => join(url, token)", [server.url, token("web-1")]) == "connected"
        await until(lambda: len(listener.pcm) > 5 * 32_000, 40, what="five seconds of sound")
        assert listener.silences == ([] if alive else [True])
        await leg.aclose()
