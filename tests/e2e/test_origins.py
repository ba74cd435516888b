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


def test_only_pages_on_the_list_start_calls(server: RunningServer, open_browser: OpenBrowser, tmp_path: Path) -> None:
    page = open_browser().new_page()

    def ask(where: Page | Frame) -> dict[str, Any]:
        return where.evaluate(ASK, [server.url, key, server.demo_agent_id])

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
        assert (ask(frame)["status"], frame.evaluate("self.origin")) == (0, "null")
        assert frame.evaluate(JOIN, [server.url, token]) == FOREIGN

        file = tmp_path / "page.html"
        file.write_text("<!doctype html><title>A file</title>")
        page.goto(file.as_uri())
        assert (ask(page)["status"], page.evaluate("self.origin")) == (0, "null")
        assert page.evaluate(JOIN, [server.url, token]) == FOREIGN

        page.goto(f"{listed}/")
        # The origin is right; what else the worker wants of a client is not asked for here.
        assert page.evaluate(JOIN, [server.url, token]).startswith("no join_request")
    assert server.json("GET", "/v1/calls")["total"] == 1
