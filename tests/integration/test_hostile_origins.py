"""The origin lock against hostile origins: preflight, POST and WebSocket upgrade, judged by Node's URL parser.

What is let in has to be on the key's list as Node reads it; what Node calls a well-written origin on the list has to be
let in. Browsers write origins as ``new URL(...).origin`` does, so nothing else has a claim to be let in.
"""

import asyncio
import itertools
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from oneinbox.core.tokens import mint_participant_token
from oneinbox.server.sockets import socket_routes
from oneinbox.server.worker_configuration import TOKEN_ISSUER
from tests.support.api import TOKEN_SECRET, Storage, choose_storage, running_api
from tests.support.tools import missing

LISTED = [
    "https://example.com",
    "https://*.wild.example",
    "http://localhost:3000",
    "https://xn--bcher-kva.example:8443",
]
GOOD = [
    "https://example.com",
    "https://a.wild.example",
    "https://a.b.c.wild.example",
    "http://localhost:3000",
    "https://xn--bcher-kva.example:8443",
]
ORACLE = """
const listed = JSON.parse(process.argv[1]);
const entries = listed.map((text) => ({ wild: text.includes("*."), url: new URL(text.replace("*.", "")) }));
const judge = (text) => {
  let url;
  try { url = new URL(text); } catch { return { http: false, exact: false, listed: false }; }
  const http = url.protocol === "http:" || url.protocol === "https:";
  const bare = http && url.pathname === "/" && !url.search && !url.hash && !url.username && !url.password;
  const on = entries.some(({ wild, url: entry }) => entry.protocol === url.protocol && entry.port === url.port &&
    (wild ? url.hostname.endsWith("." + entry.hostname) && url.hostname.length > entry.hostname.length + 1
          : entry.hostname === url.hostname));
  // Names that no page can be fetched from (empty or over-long labels, signs that DNS hosts do not have, port 0) have
  // no claim either, though the parser lets them pass.
  const label = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;
  const host = url.hostname.startsWith("[") || (url.hostname.length <= 253 && url.hostname.split(".").every((one) => label.test(one)));
  return { http: bare, exact: http && host && url.port !== "0" && url.origin === text, listed: bare && on };
};
let input = "";
process.stdin.on("data", (more) => { input += more; });
process.stdin.on("end", () => console.log(JSON.stringify(JSON.parse(input).map(judge))));
"""


def hostile() -> list[str]:
    """At least 300 origins that somebody could try, with the good ones among them."""
    schemes = ["https", "http", "HTTPS", "ftp", "ws", "wss", "file", "javascript", "data", "blob", "chrome-extension"]
    schemes += ["https ", " https", "https:", "h\tttps", "httpsx", "view-source:https", ""]
    hosts = ["example.com", "a.wild.example", "wild.example", "localhost:3000", "xn--bcher-kva.example:8443"]
    found = [f"{scheme}://{host}" for scheme, host in itertools.product(schemes, hosts)]
    for host in ("example.com", "a.wild.example"):
        found += [
            f"https://{host}{end}"
            for end in (
                *(
                    "/",
                    "//",
                    "/x",
                    "?",
                    "?x",
                    "#",
                    "#x",
                    "\\",
                    "\\x",
                    ".",
                    "..",
                    ":",
                    ":443",
                    ":0443",
                    ":0",
                    ":80",
                    ":444",
                ),
                *(
                    ":65536",
                    ":-1",
                    ":4 4 3",
                    ":443/",
                    ":443x",
                    "@evil.com",
                    ":@evil.com",
                    "@",
                    ",https://evil.com",
                    ";x",
                ),
                *(
                    " ",
                    "\t",
                    "\n",
                    "\r\n",
                    "\0",
                    "%00",
                    "%2e",
                    "%2F",
                    " https://evil.com",
                    "\r\nX-Evil: 1",
                    "|",
                    "^",
                    "`",
                ),
                *(
                    ".evil.com",
                    "evil.com",
                    "_.evil.com",
                    "-evil.com",
                    "&.evil.com",
                    "{.evil.com",
                    "~.evil.com",
                    "!",
                    "$",
                ),
                *(
                    "\u200b",
                    "\u3002evil.com",
                    "\uff0eevil.com",
                    "\u00ad",
                    "\u2024com",
                    "\uff0f",
                    "\u2100",
                    "\x7f",
                    "*",
                    "'",
                    '"',
                ),
            )
        ]
        found += [
            f"https://{start}{host}"
            for start in (
                *("evil", "evil-", "evil_", "evil.com/", "evil.com\\", "evil.com#", "evil.com?", "evil.com@", "user@"),
                *("user:pw@", ":@", "@", "/", "//", "\\", " ", "\t", ".", "..", "*.", "%77%77%77.", "xn--.", "-", "_."),
                *(
                    "\u200b",
                    "\u00ad",
                    "\u0430.",
                    "\uff41.",
                    "\U0001f600.",
                    "evil.com%2F",
                    "evil.com%23",
                    "[::1]",
                    "127.0.0.1.",
                ),
            )
        ]
    numbers = [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::1%25lo]",
    ]
    numbers += ["0", "0.0.0.0", "[::]", "1.2.3.4.5", "256.1.1.1", "[fe80::1]", "[::1", "::1", "127.0.0.1.", "999"]
    found += [f"{scheme}://{number}:3000" for scheme, number in itertools.product(("http", "https"), numbers)]
    lookalikes = [
        "ex\u0430mple.com",
        "examp1e.com",
        "\u0435\u0445ample.com",
        "example.c\u043em",
        "EXAMPLE.COM",
        "Example.Com",
    ]
    lookalikes += [
        "\uff45xample.com",
        "example\u3002com",
        "example\uff61com",
        "exam\u00adple.com",
        "bücher.example:8443",
    ]
    lookalikes += ["BÜCHER.example:8443", "xn--bcher-kva.EXAMPLE:8443", "xn--bücher-kva.example:8443", "xn--a.example"]
    lookalikes += ["example.com.", "example..com", "localhost.:3000", "localhost.evil.com:3000", "LOCALHOST:3000"]
    lookalikes += ["a.wild.example.evil.com", "awild.example", "a.wild-example", ".wild.example", "a..wild.example"]
    lookalikes += ["*.wild.example", "*", "a.wild.example:8443", "a.b.wild.example.", f"{'a' * 64}.wild.example"]
    lookalikes += [f"{'a.' * 130}wild.example", "a" * 10_000 + ".wild.example", "-.wild.example", "a-.wild.example"]
    found += [f"{scheme}://{host}" for scheme, host in itertools.product(("https", "http"), lookalikes)]
    found += [
        "null",
        "NULL",
        "Null",
        "undefined",
        "none",
        "*",
        "",
        " ",
        "about:blank",
        "about:srcdoc",
        "file://",
        "file:///x",
    ]
    found += [
        "data:text/html,x",
        "blob:https://example.com/1",
        "blob:https://example.com",
        "example.com",
        "//example.com",
    ]
    found += [
        "https:example.com",
        "https:/example.com",
        "https:///example.com",
        "https//example.com",
        "https:\\\\example.com",
    ]
    found += [
        "https://example.com https://example.com",
        "https://example.com, https://example.com",
        "https://",
        "https://:443",
    ]
    return list(dict.fromkeys([*found, *GOOD]))


def judged_by_node(origins: list[str]) -> list[dict[str, bool]]:
    node = shutil.which("node")
    if node is None:
        missing("Node.js")
    done = subprocess.run(
        [node, "-e", ORACLE, json.dumps(LISTED)], input=json.dumps(origins), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.fixture(autouse=True)
def storage() -> None:
    choose_storage(Storage.SQLITE)


def test_there_are_enough_of_them() -> None:
    assert len(hostile()) >= 300


async def test_preflight_and_post(tmp_path: Path) -> None:
    origins = hostile()
    verdicts = await asyncio.to_thread(judged_by_node, origins)
    wrong: list[tuple[str, str]] = []
    let_in = 0
    async with running_api(tmp_path) as api:
        key = (await api.made("/v1/publishable-keys", name="x", allowed_origins=LISTED))["key"]
        for origin, verdict in zip(origins, verdicts, strict=True):
            sent = [(b"Origin", origin.encode()), (b"Authorization", f"Bearer {key}".encode())]
            answer = await api.client.post(
                "/v1/web-calls/token", headers=sent, json={"agent_id": api.first.demo_agent_id}
            )
            assert answer.status_code in (201, 403), answer.text
            allowed = answer.status_code == 201
            let_in += allowed
            if allowed and not verdict["listed"]:
                wrong.append(("POST let in", origin))
            if not allowed and verdict["listed"] and verdict["exact"]:
                wrong.append(("POST kept out", origin))
            assert allowed or answer.json()["error"]["code"] == "ORIGIN_NOT_ALLOWED"
            preflight = await api.client.options(
                "/v1/web-calls/token",
                headers=[(b"Origin", origin.encode()), (b"Access-Control-Request-Method", b"POST")],
            )
            readable = preflight.headers.get("access-control-allow-origin")
            assert (preflight.status_code == 204) == (readable is not None), origin
            assert readable in (None, origin)
            if readable is not None and not verdict["http"] and origin != "null":  # which may read, and is refused
                wrong.append(("preflight let in", origin))
            if readable is None and verdict["exact"]:
                wrong.append(("preflight kept out", origin))
            assert "access-control-allow-credentials" not in preflight.headers
        for several in ([GOOD[0], GOOD[0]], [GOOD[0], "https://evil.com"], ["https://evil.com", GOOD[0]], []):
            sent = [(b"Authorization", f"Bearer {key}".encode()), *((b"Origin", one.encode()) for one in several)]
            answer = await api.client.post(
                "/v1/web-calls/token", headers=sent, json={"agent_id": api.first.demo_agent_id}
            )
            assert answer.status_code == 403, several
        assert let_in == await api.count("calls")
    assert [(what, origin[:60]) for what, origin in wrong] == []
    assert len(GOOD) <= let_in < len(origins) / 4


class _NoCalls:
    """Stands for the workers: whoever gets as far as here is told that the call is over."""

    def open_socket(self, peer: Any, make_request: Any) -> None:
        return None


async def upgrade(app: FastAPI, token: str, origins: list[bytes]) -> int:
    """Ask for the signalling WebSocket; returns the status of the refusal."""
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "websocket",
        "path": "/rtc/v1",
        "query_string": f"access_token={token}".encode(),
        "headers": [(b"host", b"localhost"), *((b"origin", origin) for origin in origins)],
        "scheme": "ws",
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
    }

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"]


@pytest.mark.parametrize("belongs_to", GOOD)
async def test_the_websocket_takes_the_tokens_own_origin_only(belongs_to: str) -> None:
    app = FastAPI()
    app.include_router(socket_routes(_NoCalls(), TOKEN_SECRET))  # pyright: ignore[reportArgumentType] - all it is asked
    token = mint_participant_token(
        secret=TOKEN_SECRET, issuer=TOKEN_ISSUER, room_name="web-1", identity="u", ttl_s=60, origin=belongs_to
    )
    for origin in hostile():
        status = await upgrade(app, token, [origin.encode()])
        assert status == (404 if origin == belongs_to else 401), origin
    assert await upgrade(app, token, []) == 401
    assert await upgrade(app, token, [belongs_to.encode()] * 2) == 401
