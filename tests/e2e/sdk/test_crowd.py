"""Many calls at once in one page: every one hears its agent, and what they took of the worker is given back.

``ONEINBOX_LONG_TESTS=1``: twenty calls, four rounds, of which the first warms up; else four calls, once.
"""

import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from playwright.sync_api import Page

from tests.e2e.conftest import OpenBrowser
from tests.support.chromium import sdk_file, serve_files
from tests.support.running import RunningServer

LONG = os.environ.get("ONEINBOX_LONG_TESTS") == "1"
CALLS, ROUNDS = (20, 4) if LONG else (4, 1)
GROWTH = 1.05
FILES_MORE = 2  # opened once for all calls
PATIENCE_S = 90.0

PAGE = b"""<!doctype html><link rel="icon" href="data:,"><title>crowd</title><script type="module">
import * as sdk from "/sdk/web-sdk.js";
let calls = [], heard = [], ended = [];
const Peer = window.RTCPeerConnection;
let current = -1;
window.RTCPeerConnection = class extends Peer {
  constructor(...args) {
    super(...args);
    const mine = current;
    this.addEventListener("track", ({ track }) => { if (track.kind === "audio") listen(mine, track); });
  }
};
async function listen(mine, track) {
  const frames = new MediaStreamTrackProcessor({ track }).readable.getReader();
  const samples = new Float32Array(4800);
  for (;;) {
    const { value: frame, done } = await frames.read();
    if (done) return;
    frame.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
    const sounds = samples.subarray(0, frame.numberOfFrames).some((one) => Math.abs(one) > 0.01);
    frame.close();
    if (sounds) { heard[mine] = true; frames.cancel(); return; }
  }
}
window.join = async (made) => {
  [calls, heard, ended] = [[], made.map(() => false), made.map(() => null)];
  for (const [number, { server_url, participant_token }] of made.entries()) {
    current = number;  // one joins after the other, so that a connection is known to be its call's; then all go on at once
    const onEnded = ({ reason }) => { ended[number] = reason; };
    const call = new sdk.OneinboxCall({ serverUrl: server_url, token: participant_token, onEnded });
    calls.push(call);
    await call.connect();
  }
};
window.heard = () => heard;
window.ended = () => ended;
window.leave = () => Promise.all(calls.map((call) => call.disconnect()));
window.ready = true;
</script>"""


class Held(NamedTuple):
    """What a process holds."""

    memory_mb: float
    files: int
    threads: int


def held(process: psutil.Process) -> Held:
    return Held(process.memory_full_info().uss / 1e6, process.num_fds(), process.num_threads())


@pytest.fixture
def page(open_browser: OpenBrowser) -> Generator[Page]:
    files = {"/": ("text/html", PAGE), "/sdk/web-sdk.js": ("text/javascript", sdk_file("web-sdk.js"))}
    with serve_files(files) as origin:
        opened = open_browser().new_context().new_page()
        opened.goto(origin)
        opened.wait_for_function("window.ready")
        yield opened


def one_round(server: RunningServer, page: Page) -> None:
    made = [server.make_call() for _ in range(CALLS)]
    page.evaluate("(made) => join(made)", made)
    page.wait_for_function("window.heard().every((one) => one)", timeout=PATIENCE_S * 1000)
    assert page.evaluate("window.ended()") == [None] * CALLS  # all at once, none in another's place
    page.evaluate("window.leave()")
    for one in made:
        record = server.wait_for_call(one["id"], limit_s=PATIENCE_S)
        assert record["status"] == "completed", record


def settled(process: psutil.Process, files: int) -> Held:
    """Return what is held once no more than ``files`` are open, or after a good while."""
    deadline = time.monotonic() + 20
    while True:
        now = held(process)
        if now.files <= files or time.monotonic() > deadline:
            return now
        time.sleep(0.2)


@pytest.mark.timeout(900 if LONG else 180)
def test_a_page_full_of_calls(tmp_path: Path, page: Page) -> None:
    # room and time for all of them: they join one after the other, and nobody says anything
    environ = {"ONEINBOX_MAX_CALLS_PER_WORKER": "50"}
    with RunningServer(tmp_path / "data", environ=environ) as server:
        server.json("PATCH", f"/v1/agents/{server.demo_agent_id}", json={"silence_timeout_seconds": 0})
        worker = psutil.Process(server.worker_pids()[0])
        idle = held(worker)
        found: list[Held] = []
        for _ in range(ROUNDS):
            one_round(server, page)
            found.append(settled(worker, idle.files + FILES_MORE))
            print(f"{CALLS} calls over: {found[-1]}", flush=True)
        assert worker.is_running()
        assert worker.pid in server.worker_pids()
        for after in found:
            assert after.files <= idle.files + FILES_MORE, (idle, found)
            assert after.threads <= found[0].threads + 1, (idle, found)
            assert after.memory_mb <= found[0].memory_mb * GROWTH, (idle, found)
