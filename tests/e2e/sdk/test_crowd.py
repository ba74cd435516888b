"""Many calls at once in one page: every one hears its agent and is answered, and what they took of the worker is given back.

Their models are behind OpenAI's wire: the demo's recognisers are made one by one, as many as callers speak at once, and
stay (four at most, 46 MB each), which would hide what a call leaves behind.

``ONEINBOX_LONG_TESTS=1``: twenty calls, six rounds, of which the first warms up; else four calls, once.
"""

import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psutil
import pytest
from playwright.sync_api import Page

from oneinbox.live.worker import IDLE_S
from tests.e2e.conftest import OpenBrowser
from tests.support.chromium import sdk_page, serve_files
from tests.support.memory import anonymous_mb
from tests.support.microphone import write_microphone
from tests.support.model_server import asks, model_server
from tests.support.running import RunningServer
from tests.support.speech import flite, need_flite

LONG = os.environ.get("ONEINBOX_LONG_TESTS") == "1"
CALLS, ROUNDS = (20, 6) if LONG else (4, 1)
GROWTH = 1.05
FILES_MORE = 2  # opened once for all calls
PATIENCE_S = 90.0
QUESTION, ANSWER = "Where is my order?", "It left the warehouse this morning."
SPOKEN_AT_S = range(4, 90, 8)
"""From the opening of the microphone, which all calls of the page share."""

PAGE = b"""<!doctype html><link rel="icon" href="data:,"><title>crowd</title><script type="module">
import * as sdk from "/sdk/web-sdk.js";
import { firstSound } from "/first-sound.js";
let calls = [], heard = [], ended = [];
const Peer = window.RTCPeerConnection;
let current = -1;
window.RTCPeerConnection = class extends Peer {
  constructor(...args) {
    super(...args);
    const mine = current;
    this.addEventListener("track", ({ track }) => { if (track.kind === "audio") firstSound(track, 0.01).then(() => { heard[mine] = true; }); });
  }
};
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
    """What it has written to. Pages of libraries are left out: whether they count as its own is up to other processes."""
    files: int
    """Without the connections to the models: they are kept for the next call, as many as were in use at once."""
    threads: int


def held(process: psutil.Process, models_port: int) -> Held:
    connections = process.net_connections("tcp")
    kept = sum(1 for one in connections if one.raddr and one.raddr[1] == models_port)
    return Held(anonymous_mb(process.pid), process.num_fds() - kept, process.num_threads())


@pytest.fixture
def page(open_browser: OpenBrowser, tmp_path: Path) -> Generator[Page]:
    need_flite()
    question = flite(QUESTION)
    microphone = write_microphone(tmp_path / "caller.wav", [(float(at_s), question) for at_s in SPOKEN_AT_S])
    with serve_files(sdk_page(PAGE)) as origin:
        opened = open_browser(microphone).new_context().new_page()
        opened.goto(origin)
        opened.wait_for_function("window.ready")
        yield opened


def one_round(server: RunningServer, agent_id: str, page: Page) -> None:
    made = [server.make_call(agent_id=agent_id) for _ in range(CALLS)]
    page.evaluate("(made) => join(made)", made)
    page.wait_for_function("window.heard().every((one) => one)", timeout=PATIENCE_S * 1000)
    assert page.evaluate("window.ended()") == [None] * CALLS  # all at once, none in another's place
    for one in made:
        wait_for_answer(server, one["id"])
    page.evaluate("window.leave()")
    for one in made:
        record = server.wait_for_call(one["id"], limit_s=PATIENCE_S)
        assert record["status"] == "completed", record


def wait_for_answer(server: RunningServer, call_id: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        record = server.json("GET", f"/v1/calls/{call_id}")
        roles = [message["role"] for message in record["messages"]]
        if "user" in roles and "agent" in roles[roles.index("user") :]:
            return
        assert time.monotonic() < deadline, record
        time.sleep(0.5)


def settled(process: psutil.Process, models_port: int, files: int) -> Held:
    """Return what is held once memory was given back and no more than ``files`` are open, or after a good while."""
    time.sleep(3 * IDLE_S)
    deadline = time.monotonic() + 20
    while True:
        now = held(process, models_port)
        if now.files <= files or time.monotonic() > deadline:
            return now
        time.sleep(0.2)


@pytest.mark.timeout(900 if LONG else 180)
def test_a_page_full_of_calls(tmp_path: Path, page: Page) -> None:
    script = {"transcripts": [QUESTION] * 10_000, "replies": {QUESTION: ANSWER}}
    with model_server(tmp_path, script) as url:
        environ = {"ONEINBOX_MAX_CALLS_PER_WORKER": "50", **asks(url)}
        with RunningServer(tmp_path / "data", environ=environ) as server:
            rounds(server, page, models_port=urlsplit(url).port or 0)


def rounds(server: RunningServer, page: Page, *, models_port: int) -> None:
    shop = {"name": "Shop", "first_message": "Hello, this is the shop.", "silence_timeout_seconds": 0}
    agent_id = server.json("POST", "/v1/agents", json=shop)["id"]
    worker = psutil.Process(server.worker_pids()[0])
    idle = held(worker, models_port)
    found: list[Held] = []
    for _ in range(ROUNDS):
        one_round(server, agent_id, page)
        found.append(settled(worker, models_port, idle.files + FILES_MORE))
        print(f"{CALLS} calls over: {found[-1]}", flush=True)
    assert worker.is_running()
    assert worker.pid in server.worker_pids()
    for after in found:
        assert after.files <= idle.files + FILES_MORE, (idle, found)
        assert after.threads <= found[0].threads + 1, (idle, found)
        assert after.memory_mb <= found[0].memory_mb * GROWTH, (idle, found)
