"""The Web SDK in Chromium against the real embedded media endpoint: sound, words and ends, with no server around it."""

import asyncio
import math
import struct
import wave
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from oneinbox.live.engine.ports import Caption
from oneinbox.live.media.leg import MediaLeg
from tests.support.chromium import CHROMIUM, FLAGS, need_chromium, sdk_file, serve_files
from tests.support.media_server import MediaServer, RecordingListener, media_server, token, until
from tests.support.speech import flite, need_flite

# one browser, and so one event loop, for all of them
pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = b"""<!doctype html><link rel="icon" href="data:,"><title>sdk</title><button id="go">go</button>
<script type="module">import * as sdk from "/sdk/web-sdk.js"; window.sdk = sdk;</script>"""

# keeps what the call tells, in order, and what comes out of the loudspeaker
START = """
async ([serverUrl, token, more]) => {
  window.told = [];
  window.transcript = [];
  const call = new sdk.OneinboxCall({
    serverUrl, token,
    onStateChange: (state) => told.push(state),
    onEnded: ({ reason, error }) => told.push("ended: " + reason + (error ? " " + error.reason : "")),
    onTranscript: (segment) => transcript.push(segment),
    onAgentState: (state) => told.push("agent " + state),
    onSuggestions: (phrases) => told.push("say " + phrases.join("/")),
    onConnectionChange: (health) => told.push(health),
    onError: (error) => told.push("error " + error.reason),
    onAudioBlocked: () => told.push("blocked"),
    ...more,
  });
  window.call = call;
  await call.connect();
  told.push("connected");
}
"""

FREQUENCY = """
async () => {
  const stream = document.querySelector("audio[data-oneinbox]").srcObject;
  const context = new AudioContext({ sampleRate: 48000 });
  await context.resume();
  const analyser = context.createAnalyser();
  analyser.fftSize = 8192;
  context.createMediaStreamSource(stream).connect(analyser);
  const bins = new Float32Array(analyser.frequencyBinCount);
  let loudest = 0;
  // a busy machine takes its time to play: wait for sound, then look at a window that is full of it
  for (let turn = 0; turn < 16 && !(bins[loudest] > -40); turn++) {
    await new Promise((done) => setTimeout(done, 300));
    analyser.getFloatFrequencyData(bins);
    loudest = bins.reduce((best, level, bin) => (level > bins[best] ? bin : best), 0);
  }
  await new Promise((done) => setTimeout(done, 300));
  analyser.getFloatFrequencyData(bins);
  loudest = bins.reduce((best, level, bin) => (level > bins[best] ? bin : best), 0);
  await context.close();
  return { hz: loudest * 48000 / 8192, db: bins[loudest] };
}
"""


def tone(seconds: float, hz: float = 1000.0, rate_hz: int = 24_000) -> bytes:
    samples = (int(12_000 * math.sin(2 * math.pi * hz * i / rate_hz)) for i in range(int(seconds * rate_hz)))
    return b"".join(struct.pack("<h", sample) for sample in samples)


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WAV file of speech, which Chromium's fake microphone repeats."""
    need_flite()
    path = tmp_path_factory.mktemp("microphone") / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(flite("The quick brown fox jumps over the lazy dog, again and again and again."))
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(microphone: Path) -> AsyncGenerator[Browser]:
    """Chromium whose user allows the microphone, and keeps talking."""
    async with chromium("--use-fake-ui-for-media-stream", f"--use-file-for-fake-audio-capture={microphone}") as opened:
        yield opened


@asynccontextmanager
async def chromium(*more_flags: str) -> AsyncGenerator[Browser]:
    need_chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *more_flags])
        try:
            yield browser
        finally:
            await browser.close()


class Line:
    """One page, one media endpoint, one leg between them."""

    def __init__(self, server: MediaServer, page: Page) -> None:
        self.server = server
        self.page = page
        self.listener = RecordingListener()
        self.leg: MediaLeg = server.media.open_leg(
            room_name="web-1", identity="caller", agent_name="Agent", listener=self.listener
        )

    async def start(self, *, with_token: str | None = None, more: str = "{}") -> None:
        """Connect; ``more`` is JavaScript: further options of the call."""
        options = await self.page.evaluate_handle(f"() => ({more})")
        await self.page.evaluate(START, [self.server.url, with_token or token("web-1"), options])

    async def told(self) -> list[str]:
        return await self.page.evaluate("told")

    async def until_told(self, what: str) -> list[str]:
        await self.page.wait_for_function("(what) => told.includes(what)", arg=what, timeout=15_000)
        return await self.told()


@asynccontextmanager
async def open_line(browser: Browser) -> AsyncGenerator[Line]:
    files = {"/": ("text/html", PAGE), "/sdk/web-sdk.js": ("text/javascript", sdk_file("web-sdk.js"))}
    with serve_files(files) as origin:
        async with media_server() as server:
            page = await browser.new_page()
            await page.goto(origin + "/")
            await page.wait_for_function("window.sdk")
            yield Line(server, page)
            await page.close()


async def test_both_sides_hear_each_other(browser: Browser) -> None:
    async with open_line(browser) as line:
        line.leg.playout.write(tone(20))
        await line.start()
        assert (await line.told())[:3] == ["connecting", "active", "connected"]
        heard = await line.page.evaluate(FREQUENCY)
        assert heard["hz"] == pytest.approx(1000, abs=12)
        assert heard["db"] > -40
        await until(lambda: len(line.listener.pcm) > 3 * 32_000, what="three seconds of the microphone")
        assert rms(line.listener.pcm) > 300
        levels = await line.page.evaluate("call.volumeLevels()")
        assert 0.5 < levels["agent"] <= 1
        await line.page.wait_for_function("call.volumeLevels().user > 0.3")

        await line.page.evaluate("call.mute()")
        await asyncio.sleep(0.5)
        line.listener.pcm.clear()
        await until(lambda: len(line.listener.pcm) > 16_000, what="half a second of the muted microphone")
        assert rms(line.listener.pcm) < 5
        await line.page.evaluate("call.unmute()")
        await asyncio.sleep(0.5)
        line.listener.pcm.clear()
        await until(lambda: len(line.listener.pcm) > 2 * 32_000, what="two seconds of the microphone")
        assert rms(line.listener.pcm) > 300

        await line.page.evaluate("call.disconnect()")
        await until(lambda: "left, goodbye" in line.listener.events, what="the goodbye")
        assert (await line.told())[3:] == ["ended", "ended: user_hangup"]
        assert await line.page.evaluate("document.querySelectorAll('audio').length") == 0


async def test_words_and_attributes_of_both_sides(browser: Browser) -> None:
    async with open_line(browser) as line:
        await line.start()
        leg = line.leg
        leg.set_attributes({"lk.agent.state": "listening", "oi.suggestions": '["Book a table","Opening hours"]'})
        leg.show_caption(Caption(segment_id="u1", from_agent=False, text="Book a", final=False))
        leg.show_caption(Caption(segment_id="u1", from_agent=False, text="Book a table, größer", final=True))
        leg.show_caption(Caption(segment_id="a1", from_agent=True, text="For how", final=False))
        leg.show_caption(Caption(segment_id="a1", from_agent=True, text="For how many?", final=True))
        await line.page.wait_for_function("transcript.length >= 4 && told.some((it) => it.startsWith('say'))")
        assert await line.page.evaluate("transcript") == [
            {"segmentId": "u1", "role": "user", "text": "Book a", "final": False},
            {"segmentId": "u1", "role": "user", "text": "Book a table, größer", "final": True},
            {"segmentId": "a1", "role": "agent", "text": "For how", "final": False},
            {"segmentId": "a1", "role": "agent", "text": "For how many?", "final": True},
        ]
        told = await line.told()
        assert "agent listening" in told
        assert "say Book a table/Opening hours" in told
        await line.page.evaluate("call.sendText('for two, bitte schön')")
        await until(lambda: line.listener.texts == ["for two, bitte schön"], what="the typed text")


@pytest.mark.parametrize("reason", ["agent_hangup", "silence_timeout"])
async def test_the_server_ends_the_call_and_says_why(browser: Browser, reason: str) -> None:
    async with open_line(browser) as line:
        await line.start()
        line.leg.send_event("call_ended", {"reason": reason})
        await line.leg.aclose()
        told = await line.until_told(f"ended: {reason}")
        assert told[-2:] == ["ended", f"ended: {reason}"]
        assert await line.page.evaluate("call.endReason") == reason
        assert "error" not in " ".join(told)


async def test_a_broken_line_comes_back(browser: Browser) -> None:
    async with open_line(browser) as line:
        await line.start()
        line.server.cut_signalling()
        told = await line.until_told("reconnecting")
        assert "ended" not in told
        told = await line.until_told("connected")
        await line.page.wait_for_function("told.filter((it) => it === 'connected').length === 2")  # ours, then theirs
        line.leg.playout.write(tone(10))
        assert (await line.page.evaluate(FREQUENCY))["hz"] == pytest.approx(1000, abs=12)
        assert "left, lost" not in line.listener.events


async def test_why_a_token_is_refused(browser: Browser) -> None:
    async with open_line(browser) as line:
        for bad, reason in [
            (token("web-1", ttl_s=-60), "token_expired"),
            (token("web-1")[:-6] + "AAAAAA", "token_invalid"),
        ]:
            with pytest.raises(Exception, match="CallError"):
                await line.start(with_token=bad)
            assert await line.told() == ["connecting", f"error {reason}", "ended", "ended: connect_failed " + reason]
        assert line.listener.events == []


async def test_a_refused_microphone_spends_no_token() -> None:
    async with chromium("--use-fake-ui-for-media-stream=deny") as shy, open_line(shy) as line:
        with pytest.raises(Exception, match="Allow the microphone"):
            await line.start()
        assert (await line.told())[1] == "error microphone_denied"
        assert line.listener.events == []


HANG_UP_AT = {
    "once": """
        let made;
        const set = (call) => { made = call; queueMicrotask(() => call.disconnect()); };
        Object.defineProperty(window, "call", { get: () => made, set });""",
    "the microphone": """
        const { mediaDevices } = navigator, open = mediaDevices.getUserMedia.bind(mediaDevices);
        mediaDevices.getUserMedia = (asked) => open(asked).finally(() => call.disconnect());""",
    "the open socket": """
        window.WebSocket = class extends WebSocket {
          constructor(...given) { super(...given); this.addEventListener("open", () => call.disconnect()); }
        };""",
    "the answer": """
        const { prototype } = RTCPeerConnection, set = prototype.setRemoteDescription;
        prototype.setRemoteDescription = function (...given) { call.disconnect(); return set.apply(this, given); };""",
}


async def test_hanging_up_at_any_moment_of_connecting(browser: Browser) -> None:
    for moment, code in HANG_UP_AT.items():
        async with open_line(browser) as line:
            await line.page.evaluate(f"() => {{ {code} }}")
            with pytest.raises(Exception, match="CallError"):
                await line.start()
            assert await line.told() == ["connecting", "ended", "ended: user_hangup"], moment
            assert await line.page.evaluate("document.querySelectorAll('audio').length") == 0, moment
            assert "active" not in line.listener.events, moment


async def test_a_server_that_does_not_answer(browser: Browser) -> None:
    async with open_line(browser) as line:
        line.server.url = "ws://127.0.0.1:9"  # discard: nobody listens
        with pytest.raises(Exception, match="CallError"):
            await line.start()
        assert (await line.told())[1] == "error server_unreachable"


def rms(pcm: bytes | bytearray) -> float:
    return float(np.linalg.norm(np.frombuffer(pcm, np.int16).astype(np.float64))) / math.sqrt(len(pcm) / 2)
