"""The pinned ``livekit-client`` in Chromium, unchanged, against the endpoint over loopback."""

import functools
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
from tests.support.media_signal import likeness, samples, tone
from tests.support.speech import missing, need_prompts, prompt

CLIENT_VERSION = "2.23.0"
CHROMIUM = "/usr/bin/chromium"
HERE = Path(__file__).resolve()
PAGE = HERE.parents[2] / "support" / "media_page.html"
INSTALLED = HERE.parents[3] / "clients" / "web-sdk" / "node_modules" / "livekit-client"


@functools.cache
def client_bundle() -> bytes:
    """Return livekit-client as one script: the Web SDK's own copy, or the published package."""
    about = INSTALLED / "package.json"
    if about.is_file() and json.loads(about.read_text())["version"] == CLIENT_VERSION:
        return (INSTALLED / "dist" / "livekit-client.umd.js").read_bytes()
    npm = shutil.which("npm")
    if npm is None:
        missing(f"livekit-client {CLIENT_VERSION}, and npm to get it with")
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(
            [npm, "pack", "--silent", f"livekit-client@{CLIENT_VERSION}"], cwd=folder, capture_output=True, check=False
        )
        if packed.returncode:
            missing(f"livekit-client {CLIENT_VERSION} (npm pack failed)")
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
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


def files() -> dict[str, tuple[str, bytes]]:
    return {
        "/": ("text/html; charset=utf-8", PAGE.read_bytes()),
        "/livekit-client.umd.js": ("text/javascript", client_bundle()),
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


async def test_a_lost_socket_leads_back_into_the_same_call_in_chromium():
    async with media_server(files=files()) as server, browser_page(tone(300, 2, 16_000)) as page:
        listener = RecordingListener()
        leg = server.media.open_leg(room_name="web-1", identity="caller", agent_name="Ann", listener=listener)
        await page.goto(server.url.replace("ws://", "http://") + "/")
        await page.evaluate("([url, token]) => join(url, token)", [server.url, token("web-1")])
        await until(lambda: "active" in listener.events, what="two-way audio")
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
