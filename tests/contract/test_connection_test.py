"""Tokens to test a connection with: they lead into no call, and nothing is put on record for them."""

from typing import Any

from oneinbox.core.tokens import read_participant_token
from tests.support.api import TOKEN_SECRET, Api

SITE = "https://shop.example.com"
PAGE_PATH = "/v1/web-calls/connection-test"


def read(answer: Any) -> Any:
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"server_url", "participant_token"}
    assert body["server_url"].startswith("ws")
    return read_participant_token(body["participant_token"], secret=TOKEN_SECRET, issuer="oneinbox")


async def test_a_page_gets_one_for_its_own_origin(api: Api) -> None:
    made = await api.made("/v1/publishable-keys", name="Widget", allowed_origins=[SITE])
    headers = {"Authorization": f"Bearer {made['key']}", "Origin": SITE}
    answer = await api.client.post(PAGE_PATH, headers=headers)
    assert answer.headers["access-control-allow-origin"] == SITE
    token = read(answer)
    assert token.probe
    assert not token.rejoin
    assert token.origin == SITE
    assert token.room_name.startswith("probe-any-")
    again = read(await api.client.post(PAGE_PATH, headers=headers, json={}))
    assert again.room_name != token.room_name, "each has a room of its own"
    assert (await api.ask("GET", "/v1/calls")).json()["total"] == 0
    refused = await api.client.post(PAGE_PATH, headers={**headers, "Origin": "https://other.example"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "ORIGIN_NOT_ALLOWED")
    asked = {"Origin": SITE, "Access-Control-Request-Method": "POST"}
    assert (await api.client.options(PAGE_PATH, headers=asked)).headers["access-control-allow-origin"] == SITE


async def test_a_server_gets_one_for_any_page(api: Api) -> None:
    token = read(await api.ask("POST", "/v1/calls/web/connection-test"))
    assert token.probe
    assert token.origin is None
