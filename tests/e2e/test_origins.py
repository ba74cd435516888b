"""The origin lock in a real browser: a listed page, another one, a sandboxed frame, and a file."""

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Frame, Page

from tests.e2e.conftest import OpenBrowser
from tests.support.chromium import serve_files
from tests.support.running import RunningServer

ASK = """async ([url, key, agentId]) => {
  try {
    const answer = await fetch(url + "/v1/web-calls/token", {
      method: "POST",
      headers: { Authorization: "Bearer " + key, "Content-Type": "application/json" },
      body: JSON.stringify({ agent_id: agentId }),
    });
    return { status: answer.status, body: await answer.json(), origin: self.origin };
  } catch (error) {
    return { status: 0, error: error.name, origin: self.origin };
  }
}"""
JOIN = """async ([url, token]) => {
  const opened = await new Promise((resolve) => {
    const socket = new WebSocket(url.replace("http", "ws") + "/rtc/v1?access_token=" + token);
    socket.onopen = () => { socket.close(); resolve(true); };
    socket.onerror = () => resolve(false);
  });
  if (opened) return "open";
  return await (await fetch(url + "/rtc/v1/validate?access_token=" + token)).text();
}"""
"""Opens the signalling socket; where that is refused, asks why, as LiveKit's clients do."""
FOREIGN = "the token belongs to a page of another origin"
PAGE = {"/": ("text/html", b"<!doctype html><title>A page</title>")}
SANDBOX = b"<!doctype html><iframe sandbox='allow-scripts' srcdoc='<p>inside</p>'></iframe>"


SDK_PAGE = """<!doctype html><link rel="icon" href="data:,"><title>sdk</title>
<script type="module">import * as sdk from "{server}/sdk/web-sdk.js"; window.sdk = sdk;</script>"""
TALK = """async ([url, key, agentId]) => {
  window.oi = new sdk.OneInbox(key, { baseUrl: url });
  await oi.start(agentId);
  return oi.state;
}"""


def assert_refused_as_null(answer: dict[str, Any]) -> None:
    """Refused, and told why."""
    assert (answer["status"], answer["origin"]) == (403, "null"), answer
    error = answer["body"]["error"]
    assert error["code"] == "ORIGIN_NOT_ALLOWED"
    assert "sandboxed" in error["message"]


def test_a_page_on_the_list_joins_its_call(server: RunningServer, open_browser: OpenBrowser) -> None:
    """The whole way with a publishable key: token, signalling, two-way audio, hanging up."""
    page = open_browser().new_page()
    with serve_files({"/": ("text/html", SDK_PAGE.format(server=server.url).encode())}) as listed:
        body = {"name": "page", "allowed_origins": [listed]}
        key = server.json("POST", "/v1/publishable-keys", json=body)["key"]
        page.goto(listed)
        page.wait_for_function("window.sdk")
        assert page.evaluate(TALK, [server.url, key, server.demo_agent_id]) == "active"
        (call,) = server.json("GET", f"/v1/calls?agent_id={server.demo_agent_id}")["items"]
        assert server.wait_for_call(call["id"], status=("in_progress",))["started_at"]
        page.evaluate("oi.stop()")
        record = server.wait_for_call(call["id"])
        assert (record["status"], record["end_reason"]) == ("completed", "user_hangup")
        assert record["metadata"]["concurrency_at_dispatch"] == 1


def test_only_pages_on_the_list_start_calls(server: RunningServer, open_browser: OpenBrowser, tmp_path: Path) -> None:
    page = open_browser().new_page()

    def ask(where: Page | Frame) -> dict[str, Any]:
        return where.evaluate(ASK, [server.url, key, server.demo_agent_id])

    before = server.json("GET", "/v1/calls")["total"]
    with serve_files({**PAGE, "/frame": ("text/html", SANDBOX)}) as listed, serve_files(PAGE) as other:
        made = server.json("POST", "/v1/publishable-keys", json={"name": "page", "allowed_origins": [listed]})
        key = made["key"]
        page.goto(f"{listed}/")
        allowed = ask(page)
        assert (allowed["status"], allowed["origin"]) == (201, listed), json.dumps(allowed)
        token = allowed["body"]["participant_token"]

        page.goto(f"{other}/")
        refused = ask(page)
        assert (refused["status"], refused["body"]["error"]["code"]) == (403, "ORIGIN_NOT_ALLOWED")
        assert page.evaluate(JOIN, [server.url, token]) == FOREIGN  # a token that leaked to another page

        page.goto(f"{listed}/frame")
        frame = page.frames[1]
        assert_refused_as_null(ask(frame))
        assert frame.evaluate(JOIN, [server.url, token]) == FOREIGN

        file = tmp_path / "page.html"
        file.write_text("<!doctype html><title>A file</title>")
        page.goto(file.as_uri())
        assert_refused_as_null(ask(page))
        assert page.evaluate(JOIN, [server.url, token]) == FOREIGN

        page.goto(f"{listed}/")
        # The origin is right; what else the worker wants of a client is not asked for here.
        assert page.evaluate(JOIN, [server.url, token]).startswith("no join_request")
    assert server.json("GET", "/v1/calls")["total"] == before + 1
