"""A page that dies while it joins comes back into the same call: before the media is up, and before its voice was heard.

The page itself reloads, at the moment that is asked for, so that no run hits another moment than the last one did.
"""

from collections.abc import Generator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.e2e.conftest import OpenBrowser
from tests.support.chromium import sdk_file, serve_files
from tests.support.running import RunningServer

LIMIT_MS = 30_000
MOMENTS = ("socket open", "told: join", "told: answer", "told: token", "ice connected", "greeting")

PAGE = b"""<!doctype html><link rel="icon" href="data:,"><title>dies</title>
<script type="module">
import * as sdk from "/sdk/web-sdk.js";
const moment = (name) => { if (window.dieAt && window.dieAt === name) { window.dieAt = ""; location.reload(); } };
const Socket = window.WebSocket;
window.WebSocket = class extends Socket {
  constructor(...args) {
    super(...args);
    this.addEventListener("open", () => moment("socket open"));
    // fields of LiveKit's SignalResponse: join, answer, refresh_token
    const told = { 1: "told: join", 2: "told: answer", 16: "told: token" };
    this.addEventListener("message", ({ data }) => { moment(told[fieldOf(new Uint8Array(data))]); });
  }
};
const fieldOf = ([first, second]) => (first & 128 ? (first & 127) | (second << 7) : first) >> 3;
const Peer = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Peer {
  constructor(...args) {
    super(...args);
    this.addEventListener("iceconnectionstatechange", () => moment("ice " + this.iceConnectionState));
    this.addEventListener("track", ({ track }) => track.addEventListener("unmute", () => moment("greeting")));
  }
};
// a microphone that is published and from which nothing ever comes: not even silence
const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (asked) => {
  if (window.dieAt !== "greeting") return real(asked);
  const context = new AudioContext();
  await context.suspend();
  return context.createMediaStreamDestination().stream;
};
const oi = new sdk.OneInbox(undefined, { baseUrl: location.origin });
window.oi = oi;
window.transcript = new Map();
oi.on("transcript", ({ segmentId, role, text }) => transcript.set(segmentId, { role, text }));
window.resumed = oi.resume().catch((error) => error.reason);
</script>"""


@pytest.fixture
def origin() -> Generator[str]:
    files = {"/": ("text/html", PAGE), "/sdk/web-sdk.js": ("text/javascript", sdk_file("web-sdk.js"))}
    with serve_files(files) as served:
        yield served


def die_while_joining(server: RunningServer, page: Page, moment: str) -> dict[str, Any]:
    """Start a call on a page that reloads itself at ``moment``; return the call when the next page is there."""
    made = server.json("POST", "/v1/calls/web", json={"agent_id": server.demo_agent_id})
    with page.expect_event("load", timeout=LIMIT_MS):
        page.evaluate(
            "([call, moment]) => { window.dieAt = moment; void oi.start({ ...call, resumable: true }).catch(() => 0); }",
            [{"serverUrl": made["server_url"], "token": made["participant_token"]}, moment],
        )
    return made


def test_it_comes_back_into_the_same_call(server: RunningServer, open_browser: OpenBrowser, origin: str) -> None:
    context = open_browser().new_context()
    for moment in MOMENTS:
        page = context.new_page()
        come_back(server, page, origin, moment)
        page.close()


def come_back(server: RunningServer, page: Page, origin: str, moment: str) -> None:
    page.goto(origin)
    page.wait_for_function("window.oi")
    made = die_while_joining(server, page, moment)
    if moment == "greeting":
        assert server.json("GET", f"/v1/calls/{made['id']}")["status"] == "initiated", "no voice of it was heard yet"
    page.wait_for_function("window.oi?.state === 'active'", timeout=LIMIT_MS)
    assert page.evaluate("resumed") is True
    server.wait_for_call(made["id"], status=("in_progress",))
    page.wait_for_function("[...transcript.values()].some((one) => one.text.includes('demo desk'))", timeout=LIMIT_MS)
    live = [call["id"] for call in server.json("GET", "/v1/calls")["items"] if call["status"] == "in_progress"]
    assert live == [made["id"]]
    page.evaluate("oi.stop()")
    ended = server.wait_for_call(made["id"])
    assert (ended["status"], ended["end_reason"]) == ("completed", "user_hangup")
    assert sum(message["role"] == "agent" for message in ended["messages"]) == 1, "the greeting was said once"
