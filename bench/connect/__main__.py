"""How long it takes from a token to the first sound of the agent, in Chromium over loopback.

``python -m bench.connect`` takes about two minutes. A real server with the demo agent, whose greeting has been made before; the
built Web SDK in a page that stays open (warm), one call after the other. Each call's token is had beforehand: the clock starts
with ``connect()`` and stops with the first sample of the agent's voice that is not silence, taken from the decoded track itself.
What it is made of: the client's own moments, the signalling messages as they pass, and (``server: ...``) parts from the call's record.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from tests.support.chromium import CHROMIUM, FLAGS, sdk_file, serve_files
from tests.support.running import RunningServer

PAGE = b"""<!doctype html><link rel="icon" href="data:,"><title>connect</title><script type="module">
import * as sdk from "/sdk/web-sdk.js";
let began = 0, marks = {};
const mark = (name) => { marks[name] ??= performance.now() - began; };
const Peer = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Peer {
  constructor(...args) {
    super(...args);
    mark("peer made");
    this.addEventListener("iceconnectionstatechange", () => mark("ice " + this.iceConnectionState));
    this.addEventListener("connectionstatechange", () => mark("peer " + this.connectionState));
    this.addEventListener("track", ({ track }) => { mark("track"); secured(this); track.onunmute = () => mark("first packet"); listen(track); });
  }
};
function secured(peer) {
  const dtls = peer.getTransceivers()[0]?.receiver.transport;
  const look = () => { if (dtls.state === "connected") mark("dtls connected"); };
  dtls?.addEventListener("statechange", look);
}
const Socket = window.WebSocket;
window.WebSocket = class extends Socket {
  constructor(...args) {
    super(...args);
    mark("socket asked");
    this.addEventListener("open", () => mark("socket open"));
    this.addEventListener("message", ({ data }) => mark(TOLD[tagOf(data)] ?? "told more"));
  }
  send(data) {
    const asked = ASKED[tagOf(data)];
    if (asked) mark(asked);
    super.send(data);
  }
};
const TOLD = { 1: "told: join", 2: "told: answer", 6: "told: microphone" };  // fields of LiveKit's SignalResponse
const ASKED = { 1: "asks: offer again", 4: "asks: microphone" };  // of its SignalRequest
const tagOf = (data) => new Uint8Array(data.buffer ?? data)[data.byteOffset ?? 0] >> 3;
async function listen(track) {
  if (track.kind !== "audio") return;
  const frames = new MediaStreamTrackProcessor({ track }).readable.getReader();
  const samples = new Float32Array(4800);
  for (;;) {
    const { value: frame, done } = await frames.read();
    if (done) return;
    frame.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
    const sounds = samples.subarray(0, frame.numberOfFrames).some((one) => Math.abs(one) > 0.002);
    frame.close();
    if (sounds) { mark("sound"); frames.cancel(); return; }
  }
}
window.once = async (serverUrl, token) => {
  marks = {};
  began = performance.now();
  const call = new sdk.OneinboxCall({ serverUrl, token });
  await call.connect();
  mark("connected");
  for (let turn = 0; turn < 500 && marks["sound"] === undefined; turn++) await new Promise((done) => setTimeout(done, 10));
  const measured = { ...marks };
  await new Promise((done) => setTimeout(done, 300));  // for the call to be on record as begun
  await call.disconnect();
  return measured;
};
window.ready = true;
</script>"""


def measure(server: RunningServer, page: Page, runs: int) -> list[dict[str, float]]:
    """Make calls one after the other; return when what was reached, in milliseconds."""
    found: list[dict[str, float]] = []
    for _ in range(runs):
        asked_s = time.perf_counter()
        made: dict[str, Any] = server.json("POST", "/v1/calls/web", json={"agent_id": server.demo_agent_id})
        token_ms = (time.perf_counter() - asked_s) * 1000
        page.wait_for_timeout(300)  # the greeting is made, or found, while a page would be asking for the microphone
        marks: dict[str, float] = page.evaluate(
            "([url, token]) => once(url, token)", [made["server_url"], made["participant_token"]]
        )
        found.append({"token (before)": token_ms, **marks, **_parts(server.wait_for_call(made["id"]))})
    return found


def _parts(call: dict[str, Any]) -> dict[str, float]:
    """Return what the call's record tells of how it came up."""
    connect: dict[str, float | None] = call["latency"]["connect"]
    quality: dict[str, float | None] = call["quality"] or {}
    told: dict[str, float | None] = {
        "server: join to path and microphone": connect["answer_to_active_ms"],
        "server: join to greeting sent": connect["setup_ms"],
        "server: ice": quality.get("ice_ms"),
        "server: dtls": quality.get("dtls_ms"),
    }
    return {name: ms for name, ms in told.items() if ms is not None}


def quantile(values: list[float], share: float) -> float:
    """Return the value below which ``share`` of them lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main() -> None:
    """Measure and print a table; ``--json`` prints everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    files = {"/": ("text/html", PAGE), "/sdk/web-sdk.js": ("text/javascript", sdk_file("web-sdk.js"))}
    with (
        tempfile.TemporaryDirectory() as folder,
        RunningServer(Path(folder) / "data") as server,
        serve_files(files) as origin,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, "--use-fake-ui-for-media-stream"])
        context = browser.new_context(permissions=["microphone"])
        page = context.new_page()
        page.goto(origin)
        page.wait_for_function("window.ready")
        cold = measure(server, page, 1)
        warm = measure(server, page, asked.runs)
        browser.close()
    if asked.json:
        json.dump({"cold": cold, "warm": warm}, sys.stdout)
        return
    print(
        f"{len(warm)} calls in one page; milliseconds since connect() (the first, cold: {cold[0].get('sound', -1):.0f})"
    )
    names = sorted(
        {name for one in warm for name in one}, key=lambda name: statistics.median(one.get(name, 1e9) for one in warm)
    )
    for name in names:
        values = [one[name] for one in warm if name in one]
        print(f"  {name:<36} p50 {quantile(values, 0.5):6.0f}   p95 {quantile(values, 0.95):6.0f}   in {len(values)}")


if __name__ == "__main__":
    main()
