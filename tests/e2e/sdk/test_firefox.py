"""The Web SDK in Debian's Firefox against the real embedded media endpoint, as the server starts it by default."""

import numpy as np

from oneinbox.core.link import MediaSettings
from oneinbox.live.engine.ports import Caption
from tests.support.chromium import sdk_file, serve_files
from tests.support.firefox import FAKE_HZ, FirefoxPage, firefox
from tests.support.media_server import RecordingListener, media_server, token, until
from tests.support.media_signal import samples, tone
from tests.support.microphone import LISTEN_SCRIPT

PAGE = f"""<!doctype html><link rel="icon" href="data:,"><title>sdk</title><script>{LISTEN_SCRIPT}</script>
<script type="module">import * as sdk from "/sdk/web-sdk.js"; window.sdk = sdk;</script>"""

START = """async (serverUrl, token, resumable) => {
  window.told = [];
  window.transcript = [];
  window.oi = new sdk.OneInbox(undefined, { baseUrl: location.origin });
  oi.on("state", (state) => told.push(state));
  oi.on("transcript", ({ role, text }) => transcript.push(role + ": " + text));
  oi.on("error", (error) => told.push("error " + error.message));
  oi.on("connection", (health) => told.push(health));
  if (serverUrl === null) return await oi.resume();
  await oi.start({ serverUrl, token, resumable });
}"""

PATH = """async () => {
  for (const peer of window.__peers) {
    const stats = [...(await peer.getStats()).values()];
    const pair = stats.find((one) => one.type === "candidate-pair" && one.nominated && one.state === "succeeded");
    const remote = stats.find((one) => one.id === pair?.remoteCandidateId);
    if (remote) return [remote.protocol, remote.port];
  }
}"""


async def hears(page: FirefoxPage) -> None:
    """Wait until the page receives sound: its energy grows."""
    await page.until("(await window.__received())?.energy > 0.01")


async def test_a_call_in_firefox_and_a_reload_in_the_middle_of_it():
    files = {"/": ("text/html", PAGE.encode()), "/sdk/web-sdk.js": ("text/javascript", sdk_file("web-sdk.js"))}
    # Firefox pairs no other address with a loopback one: the machine's own is announced too, as it is by default
    settings = MediaSettings(bind_host="0.0.0.0", port=0)
    with serve_files(files) as origin:
        async with media_server(settings=settings) as server, firefox() as page:
            listener = RecordingListener()
            leg = server.media.open_leg(room_name="web-1", identity="caller", agent_name="Ann", listener=listener)
            leg.playout.write(tone(1000, 60, 24_000))
            await page.goto(origin)
            await page.until("window.sdk")
            await page.evaluate(START, server.url, token("web-1"), True)
            await until(lambda: "active" in listener.events, what="two-way audio")
            await hears(page)
            assert await page.evaluate(PATH) == ["udp", server.media_port]

            leg.show_caption(Caption(segment_id="a1", from_agent=True, text="Good morning.", final=True))
            await page.until("transcript.includes('agent: Good morning.')")
            await page.evaluate("async () => await oi.sendText('typed')")
            await until(lambda: listener.texts == ["typed"], what="the typed text")

            listener.pcm.clear()
            await until(lambda: len(listener.pcm) > 3 * 32_000, what="3 s of the microphone")
            heard = samples(bytes(listener.pcm[-2 * 32_000 :]))
            spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
            loudest_hz = float(np.argmax(spectrum) * 16_000 / len(heard))
            assert spectrum.max() > 50 * np.median(spectrum), "a tone"
            assert abs(loudest_hz - FAKE_HZ) < 30, loudest_hz

            server.cut_signalling()
            await page.until("told.at(-1) === 'connected'")

            await page.goto(origin)
            await page.until("window.sdk")
            assert await page.evaluate(START, None, None, True) is True
            await hears(page)
            await page.until("transcript.includes('agent: Good morning.')")
            assert listener.events == ["joined", "active"]
            await page.evaluate("async () => await oi.stop()")
            await until(lambda: "left, goodbye" in listener.events, what="the goodbye")
            await leg.aclose()
            assert set(server.media.holdings().values()) == {0}
