"""The examples, driven as they stand: in Chromium, against a real server, through the real Web SDK."""

import re
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenBrowser
from tests.support.chromium import sdk_file, serve_files
from tests.support.examples import EXAMPLES, free_port, install, npm, npm_running
from tests.support.running import RunningServer

PATIENCE_MS = 20_000

# The agent's sound as the page plays it: the loudest it got within ten seconds. A source node that is made before the
# first packet has come may stay silent for good in Chromium, so a fresh one is made twice a second.
LOUDNESS = """
async () => {
  const context = new AudioContext();
  await context.resume();
  const analyser = context.createAnalyser();
  const { srcObject } = document.querySelector("audio[data-oneinbox]");
  let source = null;
  const samples = new Float32Array(analyser.fftSize);
  let loudest = 0;
  for (let turn = 0; turn < 200 && loudest < 0.02; turn++) {
    if (turn % 10 === 0) {
      source?.disconnect();
      source = context.createMediaStreamSource(new MediaStream(srcObject.getAudioTracks()));
      source.connect(analyser);
    }
    await new Promise((done) => setTimeout(done, 50));
    analyser.getFloatTimeDomainData(samples);
    const rms = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
    loudest = Math.max(loudest, rms);
  }
  await context.close();
  return loudest;
}
"""


@pytest.fixture(scope="module")
def widget() -> str:
    """The built React page on a port of its own; gives the address of the broker that it expects."""
    sdk_file("web-sdk.js")  # what it is built with
    built = npm(install("react-widget"), "run", "build")
    assert built.returncode == 0, built.stdout
    return f"http://127.0.0.1:{free_port()}"


@contextmanager
def both_examples(server: RunningServer, broker_url: str, key: str) -> Generator[str]:
    """Start the broker and the page; gives the page's address."""
    port = free_port()
    broker = {
        "PORT": broker_url.rsplit(":", 1)[1],
        "ONEINBOX_API_KEY": key,
        "ONEINBOX_AGENT_ID": server.demo_agent_id,
        "ONEINBOX_BASE_URL": server.url,
    }
    page = {"PORT": str(port), "BROKER_URL": broker_url}
    with ExitStack() as running:
        running.enter_context(npm_running(install("express-broker"), "start", "listens on", broker))
        running.enter_context(npm_running(EXAMPLES / "react-widget", "preview", "Local:", page))
        yield f"http://127.0.0.1:{port}/"


def start_call(page: Page) -> dict[str, Any]:
    with page.expect_response("**/api/start-call") as answer:
        page.get_by_role("button", name="Talk to AI").click()
    return answer.value.json()


def test_the_seeds_widget_and_broker(server: RunningServer, widget: str, open_browser: OpenBrowser) -> None:
    with both_examples(server, widget, server.key) as address:
        page = open_browser().new_page()
        page.goto(address)

        made = start_call(page)
        assert set(made) == {"call_id", "server_url", "participant_token"}
        expect(page.get_by_text("Connected")).to_be_visible(timeout=PATIENCE_MS)
        assert page.evaluate(LOUDNESS) > 0.02
        page.get_by_role("button", name="End call").click()
        expect(page.get_by_text("Call ended.")).to_be_visible()
        record = server.wait_for_call(made["call_id"])
        assert (record["status"], record["end_reason"]) == ("completed", "user_hangup")
        assert record["variables"]["customer_name"] == "Ada"

        page.reload()
        made = start_call(page)
        expect(page.get_by_text("Connected")).to_be_visible(timeout=PATIENCE_MS)
        server.json("POST", f"/v1/calls/{made['call_id']}/stop")
        expect(page.get_by_text("Call ended.")).to_be_visible(timeout=PATIENCE_MS)
        assert server.wait_for_call(made["call_id"])["end_reason"] == "api_stop"


def test_the_widget_comes_back_when_the_key_is_wrong(
    server: RunningServer, widget: str, open_browser: OpenBrowser
) -> None:
    with both_examples(server, widget, "oi_sk_wrong") as address:
        page = open_browser().new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.goto(address)
        assert start_call(page) == {"error": "Failed to start call"}
        expect(page.get_by_role("button", name="Talk to AI")).to_be_visible()
        assert any("CallError" in line and "did the backend answer with an error" in line for line in said)


@contextmanager
def publishable_page(server: RunningServer, key: str) -> Generator[str]:
    """Serve the example page, filled in as its README says; gives its origin."""
    text = (EXAMPLES / "publishable-key" / "index.html").read_text()
    for blank, value in [
        ("http://127.0.0.1:8080", server.url),
        ("oi_pk_live_...", key),
        ("agt_...", server.demo_agent_id),
    ]:
        assert text.count(blank) == 1
        text = text.replace(blank, value)
    with serve_files({"/": ("text/html", text.encode())}) as origin:
        yield origin


def make_key(server: RunningServer, *origins: str) -> dict[str, Any]:
    return server.json("POST", "/v1/publishable-keys", json={"name": "page", "allowed_origins": list(origins)})


def test_a_page_with_a_publishable_key(server: RunningServer, open_browser: OpenBrowser) -> None:
    key = make_key(server, "https://example.com")
    with publishable_page(server, key["key"]) as origin:
        page = open_browser().new_page()
        page.goto(origin)
        status, talk = page.get_by_role("status"), page.locator("#talk")

        talk.click()
        expect(status).to_have_attribute("data-reason", "origin_not_allowed", timeout=PATIENCE_MS)
        expect(status).to_contain_text("allowed origins")
        expect(talk).to_have_text("Talk")

        server.json("PATCH", f"/v1/publishable-keys/{key['id']}", json={"allowed_origins": [origin]})
        talk.click()
        expect(status).to_have_text("Connected.", timeout=PATIENCE_MS)
        assert page.evaluate(LOUDNESS) > 0.02
        expect(page.locator("#transcript .agent").first).to_contain_text(
            re.compile("demo", re.IGNORECASE), timeout=PATIENCE_MS
        )
        page.get_by_role("button", name="Mute").click()
        expect(page.get_by_role("button", name="Unmute")).to_be_visible()
        talk.click()
        expect(status).to_have_text("Call ended (user_hangup).")
        record = server.json("GET", "/v1/calls")["items"][0]
        record = server.wait_for_call(record["id"])
        assert (record["status"], record["end_reason"]) == ("completed", "user_hangup")
        assert record["metadata"]["source"] == "example"

        talk.click()
        expect(status).to_have_text("Connected.", timeout=PATIENCE_MS)
        server.json("POST", f"/v1/calls/{server.json('GET', '/v1/calls')['items'][0]['id']}/stop")
        expect(status).to_have_text("Call ended (api_stop).", timeout=PATIENCE_MS)
