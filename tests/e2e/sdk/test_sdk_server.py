"""What the Web SDK makes of a real server's refusals: the reason that its user can act on."""

from collections.abc import Generator

import pytest
from playwright.sync_api import Page

from tests.e2e.conftest import OpenBrowser
from tests.support.chromium import serve_files
from tests.support.running import RunningServer

PAGE = """<!doctype html><link rel="icon" href="data:,"><title>sdk</title>
<script type="module">import * as sdk from "{server}/sdk/web-sdk.js"; window.sdk = sdk;</script>"""

# runs what is asked of the SDK; gives the reason of the CallError that it throws, or null
REASON = """
async ([what, ...rest]) => {
  const asked = {
    connect: async (serverUrl, token) => {
      const call = new sdk.OneinboxCall({ serverUrl, token });
      await call.connect();
      await call.disconnect();
    },
    start: async (key, agent, options) => {
      const oi = new sdk.OneInbox(key);
      await oi.start(agent, options);
      await oi.stop();
    },
  };
  try {
    await asked[what](...rest);
    return null;
  } catch (error) {
    if (!(error instanceof sdk.CallError)) throw error;
    return error.reason;
  }
}
"""


@pytest.fixture
def page(server: RunningServer, open_browser: OpenBrowser) -> Generator[Page]:
    """A page of another origin than the server's, which has loaded the SDK from it."""
    with serve_files({"/": ("text/html", PAGE.format(server=server.url).encode())}) as origin:
        opened = open_browser().new_page()
        opened.goto(origin)
        opened.wait_for_function("window.sdk")
        yield opened


def origin_of(page: Page) -> str:
    return page.evaluate("location.origin")


def make_key(server: RunningServer, *origins: str) -> str:
    body = {"name": "page", "allowed_origins": list(origins)}
    return server.json("POST", "/v1/publishable-keys", json=body)["key"]


def test_a_token_joins_once(server: RunningServer, page: Page) -> None:
    made = server.make_call()
    join = ["connect", made["server_url"], made["participant_token"]]
    assert page.evaluate(REASON, join) is None
    server.wait_for_call(made["id"])
    assert page.evaluate(REASON, join) in ("token_used", "call_not_found")

    made = server.make_call()
    join = ["connect", made["server_url"], made["participant_token"]]
    page.evaluate(
        "([, serverUrl, token]) => { window.first = new sdk.OneinboxCall({serverUrl, token}); return first.connect(); }",
        join,
    )
    assert page.evaluate(REASON, join) == "token_used"
    assert page.evaluate("first.state") == "active"  # the thief does not disturb the call
    page.evaluate("first.disconnect()")


def test_a_call_that_was_stopped_before_it_was_joined(server: RunningServer, page: Page) -> None:
    made = server.make_call()
    server.json("POST", f"/v1/calls/{made['id']}/stop")
    server.wait_for_call(made["id"])
    assert page.evaluate(REASON, ["connect", made["server_url"], made["participant_token"]]) == "call_not_found"


def test_a_token_that_is_not_ours(server: RunningServer, page: Page) -> None:
    made = server.make_call()
    for bad in ("nonsense", made["participant_token"][:-4] + "AAAA"):
        assert page.evaluate(REASON, ["connect", made["server_url"], bad]) == "token_invalid"


def test_keys_agents_and_origins(server: RunningServer, page: Page) -> None:
    key = make_key(server, origin_of(page))
    # no address was given: the SDK asks the server that served it
    assert page.evaluate(REASON, ["start", key, server.demo_agent_id]) is None
    assert page.evaluate(REASON, ["start", key, "agt_nobody"]) == "agent_not_found"
    assert page.evaluate(REASON, ["start", key, server.demo_agent_id, {"variables": "text"}]) == "invalid_request"
    assert page.evaluate(REASON, ["start", "oi_pk_live_nobody", server.demo_agent_id]) == "invalid_key"
    assert page.evaluate(REASON, ["start", server.key, server.demo_agent_id]) == "invalid_key"
    elsewhere = make_key(server, "https://example.com")
    assert page.evaluate(REASON, ["start", elsewhere, server.demo_agent_id]) == "origin_not_allowed"


def test_a_token_for_another_page(server: RunningServer, page: Page) -> None:
    key = make_key(server, "https://example.com")
    headers = {"Authorization": f"Bearer {key}", "Origin": "https://example.com"}
    made = server.json("POST", "/v1/web-calls/token", json={"agent_id": server.demo_agent_id}, headers=headers)
    join = ["connect", made["server_url"], made["participant_token"]]
    assert page.evaluate(REASON, join) == "origin_not_allowed"


def test_a_page_tests_its_connection_before_there_is_a_call(server: RunningServer, page: Page) -> None:
    calls = server.json("GET", "/v1/calls")["total"]
    key = make_key(server, origin_of(page))
    found = page.evaluate("(key) => new sdk.OneInbox(key).testConnection()", key)
    assert found["path"] == "udp"
    assert found["udp"]["works"]
    assert found["tcp"]["works"]
    assert found["turn"] == {"offered": False, "works": False}
    assert server.json("GET", "/v1/calls")["total"] == calls, "a test is no call"

    reason = "(given) => sdk.testConnection(given).then(() => null, (error) => error.reason)"
    given = server.json("POST", "/v1/calls/web/connection-test")
    test = {"serverUrl": given["server_url"], "token": given["participant_token"]}
    assert page.evaluate(reason, test) is None
    assert page.evaluate(reason, {**test, "token": test["token"][:-4] + "AAAA"}) == "token_invalid"
    assert page.evaluate(reason, {**test, "serverUrl": "ws://127.0.0.1:9"}) == "server_unreachable"
    made = server.make_call()
    call = {"serverUrl": made["server_url"], "token": made["participant_token"]}
    assert page.evaluate(reason, call) == "token_invalid", "a call's token is not used up"
    assert page.evaluate(REASON, ["connect", *call.values()]) is None
    elsewhere = make_key(server, "https://elsewhere.example")
    refused = "(key) => new sdk.OneInbox(key).testConnection().then(() => null, (error) => error.reason)"
    assert page.evaluate(refused, elsewhere) == "origin_not_allowed"
