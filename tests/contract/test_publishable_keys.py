"""Publishable keys, and the one route they open: origins that may and may not, and what a browser can read."""

from typing import Any

import jwt
import pytest

from oneinbox.core.errors import ErrorKind
from tests.support.api import TOKEN_SECRET, Api, refused, running_api

SITE = "https://shop.example.com"
PATH = "/v1/web-calls/token"


async def make_key(api: Api, *origins: str) -> dict[str, Any]:
    return await api.made("/v1/publishable-keys", name="Widget", allowed_origins=list(origins or (SITE,)))


async def ask(api: Api, key: str, origin: str | None = SITE, **body: Any) -> Any:
    body.setdefault("agent_id", api.first.demo_agent_id)
    headers = {b"Authorization": f"Bearer {key}".encode()}
    if origin is not None:
        headers[b"Origin"] = origin.encode("latin-1")
    return await api.client.post(PATH, json=body, headers=headers)


@pytest.mark.sqlite_file
async def test_a_key_is_shown_once_and_kept_as_a_hash(api: Api) -> None:
    made = await make_key(api)
    key = made["key"]
    assert key.startswith("oi_pk_live_")
    assert len(key) == len("oi_pk_live_") + 38
    assert key.startswith(made["key_prefix"])
    assert made["last4"] == key[-4:]
    assert (made["is_active"], made["allowed_origins"], made["scopes"]) == (True, [SITE], [])
    listed = await api.ask("GET", "/v1/publishable-keys")
    assert isinstance(listed.json(), list)
    assert [item["id"] for item in listed.json()] == [made["id"]]
    assert "key" not in listed.json()[0]
    assert key not in listed.text
    stored = b"".join(file.read_bytes() for file in api.data_dir.glob("oneinbox.db*"))
    assert key.encode() not in stored
    assert api.key.encode() not in stored
    assert made["id"].encode() in stored  # we did look at the right file


async def test_a_page_starts_a_call_as_the_seed_shows(api: Api) -> None:
    made = await make_key(api)
    answer = await ask(api, made["key"], variables={"customer_name": "Suman"}, metadata={"source": "homepage_widget"})
    assert answer.status_code == 201, answer.text
    call = answer.json()
    assert set(call) == {
        "id",
        "agent_id",
        "type",
        "status",
        "room_name",
        "server_url",
        "participant_token",
        "created_at",
    }
    assert answer.headers["access-control-allow-origin"] == SITE
    assert "origin" in answer.headers["vary"].lower()
    assert "access-control-allow-credentials" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    claims = jwt.decode(call["participant_token"], TOKEN_SECRET, algorithms=["HS256"], issuer="oneinbox")
    assert claims["attributes"] == {"oi.origin": SITE}
    record = (await api.ask("GET", f"/v1/calls/{call['id']}")).json()
    assert record["metadata"] == {"source": "homepage_widget"}
    assert (await api.ask("GET", "/v1/publishable-keys")).json()[0]["last_used_at"] is not None


HOSTILE = [
    None,
    "",
    "null",
    "NULL",
    "*",
    "https://*",
    "https://",
    "http://shop.example.com",
    "https://shop.example.com:8443",
    "https://shop.example.com.",
    "https://shop.example.com/",
    "https://shop.example.com?x",
    "https://shop.example.com#x",
    "https://shop.example.com\\@evil.com",
    "https://evil.com@shop.example.com",
    "https://shop.example.com@evil.com",
    "https://shop.example.com.evil.com",
    "https://evilshop.example.com",
    "https://shop.example.co",
    "https://shop.example.comm",
    "https://shopXexample.com",
    "https://shop-example.com",
    "https://shop_example.com",
    "https://example.com",
    "https://deeper.shop.example.com",
    "https://shop.example.com%00.evil.com",
    "https://shop.example.com%2eevil.com",
    "https://shop.example.com\u200b".encode().decode("latin-1"),
    "https://shop.example.com ,https://evil.com",
    "https://shop.example.com, https://evil.com",
    "https://evil.com https://shop.example.com",
    "//shop.example.com",
    "shop.example.com",
    "https:shop.example.com",
    "https:/shop.example.com",
    "https:///shop.example.com",
    "https://shop..example.com",
    "https://.shop.example.com",
    "https://[shop.example.com]",
    "https://xn--shop.example.com",
    "file://",
    "data:text/html,x",
    "blob:https://shop.example.com",
    "chrome-extension://shop.example.com",
    "capacitor://shop.example.com",
    "ws://shop.example.com",
    "https://" + "a" * 300 + ".example.com",
    "https://shop.example.com:99999",
    "https://shop.example.com:0",
    "https://shop.example.com:443x",
    "https://shop.example.com:",
]


@pytest.mark.parametrize("patterns", [(SITE,), ("https://*.shop.example.com", SITE), (SITE, "https://other.example")])
async def test_hostile_origins_start_nothing(api: Api, patterns: tuple[str, ...]) -> None:
    key = (await make_key(api, *patterns))["key"]
    assert (await ask(api, key)).status_code == 201
    wild = any("*" in pattern for pattern in patterns)
    for origin in HOSTILE:
        if wild and origin == "https://deeper.shop.example.com":
            continue  # that is what this pattern is for
        answer = await ask(api, key, origin)
        assert answer.status_code == 403, (origin, answer.text)
        assert answer.json()["error"]["code"] == "ORIGIN_NOT_ALLOWED"
        assert answer.headers.get("access-control-allow-origin") != "*"
        assert answer.headers.get("access-control-allow-origin") in (None, origin)
    assert len(api.dispatcher.started) == 1


async def test_two_origin_headers_are_none(api: Api) -> None:
    key = (await make_key(api))["key"]
    headers = [("Authorization", f"Bearer {key}"), ("Origin", SITE), ("Origin", "https://evil.com")]
    answer = await api.client.post(PATH, json={"agent_id": api.first.demo_agent_id}, headers=headers)
    assert answer.status_code == 403


async def test_a_star_admits_every_page_and_still_no_program_without_one(api: Api) -> None:
    key = (await make_key(api, "*"))["key"]
    assert (await ask(api, key, "https://anything.example")).status_code == 201
    assert (await ask(api, key, "http://localhost:3000")).status_code == 201
    assert (await ask(api, key, "null")).status_code == 403
    assert (await ask(api, key, None)).status_code == 403


async def test_preflights_from_no_origin_are_refused(api: Api) -> None:
    granted: list[str | None] = []
    for origin in HOSTILE:
        headers = {b"Access-Control-Request-Method": b"POST"}
        if origin is not None:
            headers[b"Origin"] = origin.encode("latin-1")
        answer = await api.client.options(PATH, headers=headers)
        allowed = answer.headers.get("access-control-allow-origin")
        if answer.status_code == 204:
            assert allowed == origin  # a true origin: whether its key admits it is decided by the request
            granted.append(origin)
        else:
            assert (answer.status_code, allowed) == (403, None), origin
    assert not {None, "", "NULL", "*", "file://", "https://*"} & set(granted)
    assert "null" in granted  # so that it can read why it is refused
    assert "https://evilshop.example.com" in granted


async def test_a_preflight_says_what_may_be_sent_and_looks_up_nothing(api: Api) -> None:
    await api.database.aclose()  # no key could be looked up now
    headers = {
        "Origin": "https://unknown.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    answer = await api.client.options(PATH, headers=headers)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "https://unknown.example"
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert "authorization" in allowed
    assert "content-type" in allowed
    assert 0 < int(answer.headers["access-control-max-age"]) <= 600
    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    ("case", "status", "code"),
    [
        ("no key", 401, "missing_key"),
        ("garbage", 401, "invalid_key"),
        ("mistyped", 401, "invalid_key"),
        ("basic", 401, "invalid_key"),
        ("secret", 403, "publishable_key_required"),
        ("origin", 403, "ORIGIN_NOT_ALLOWED"),
        ("file", 403, "ORIGIN_NOT_ALLOWED"),
        ("agent", 404, "agent_not_found"),
        ("overrides", 422, "validation_error"),
        ("json", 422, "invalid_json"),
        ("size", 413, "body_too_large"),
        ("type", 415, "unsupported_media_type"),
        ("full", 503, "server_full"),
        ("broken", 500, "internal_error"),
    ],
)
async def test_a_page_can_read_every_error(api: Api, case: str, status: int, code: str) -> None:
    key = (await make_key(api))["key"]
    headers = {"Authorization": f"Bearer {key}", "Origin": SITE, "Content-Type": "application/json"}
    body: Any = f'{{"agent_id": "{api.first.demo_agent_id}"}}'
    match case:
        case "no key":
            del headers["Authorization"]
        case "garbage":
            headers["Authorization"] = "Bearer oi_pk_garbage"
        case "mistyped":
            headers["Authorization"] = f"Bearer {key[:-1]}{'A' if key[-1] != 'A' else 'B'}"
        case "basic":
            headers["Authorization"] = f"Basic {key}"
        case "secret":
            headers["Authorization"] = f"Bearer {api.key}"
        case "origin":
            headers["Origin"] = "https://evil.com"
        case "file":
            headers["Origin"] = "null"
        case "agent":
            body = '{"agent_id": "agt_nobody"}'
        case "overrides":
            body = f'{{"agent_id": "{api.first.demo_agent_id}", "overrides": {{}}}}'
        case "json":
            body = "{"
        case "size":
            body = b" " * (1024 * 1024 + 1)
        case "type":
            headers["Content-Type"] = "text/plain"
        case "full":
            api.dispatcher.refusal = refused(ErrorKind.UNAVAILABLE, "server_full")
        case "broken":
            api.dispatcher.refusal = RuntimeError("boom")
        case _:
            raise AssertionError(case)
    answer = await api.client.post(PATH, content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    assert answer.headers["access-control-allow-origin"] == headers["Origin"]
    assert "origin" in answer.headers["vary"].lower()
    if case == "overrides":
        assert answer.json()["error"]["param"] == "overrides"
    assert await api.count("calls") == 0


async def test_a_key_is_paused_changed_and_deleted(api: Api) -> None:
    made = await make_key(api)
    path = f"/v1/publishable-keys/{made['id']}"
    paused = await api.ask("PATCH", path, json={"is_active": False})
    assert (paused.json()["is_active"], paused.json()["allowed_origins"]) == (False, [SITE])
    assert "key" not in paused.json()
    assert (await ask(api, made["key"])).status_code == 401
    changed = await api.ask(
        "PATCH", path, json={"is_active": True, "name": "New", "allowed_origins": ["https://New.Example:443"]}
    )
    assert (changed.json()["name"], changed.json()["allowed_origins"]) == ("New", ["https://new.example"])
    assert (await ask(api, made["key"])).status_code == 403
    assert (await ask(api, made["key"], "https://new.example")).status_code == 201
    assert (await api.ask("DELETE", path)).status_code == 204
    assert (await ask(api, made["key"], "https://new.example")).status_code == 401
    assert (await api.ask("DELETE", path)).status_code == 404
    assert (await api.ask("PATCH", path, json={"name": "x"})).json()["error"]["code"] == "key_not_found"


@pytest.mark.parametrize(
    ("body", "code", "param", "fragment"),
    [
        ({"allowed_origins": [SITE]}, "validation_error", "name", "required"),
        ({"name": "", "allowed_origins": [SITE]}, "validation_error", "name", ""),
        ({"name": " ", "allowed_origins": [SITE]}, "validation_error", "name", "blank"),
        ({"name": "x" * 256, "allowed_origins": [SITE]}, "validation_error", "name", "255"),
        ({"name": "x"}, "validation_error", "allowed_origins", "required"),
        ({"name": "x", "allowed_origins": None}, "validation_error", "allowed_origins", ""),
        ({"name": "x", "allowed_origins": SITE}, "validation_error", "allowed_origins", "list"),
        ({"name": "x", "allowed_origins": []}, "invalid_origin", "allowed_origins", "at least one"),
        ({"name": "x", "allowed_origins": [SITE + "/"]}, "invalid_origin", "allowed_origins", "slash"),
        ({"name": "x", "allowed_origins": ["http://a.com"]}, "invalid_origin", "allowed_origins", "https://"),
        ({"name": "x", "allowed_origins": ["https://*.com"]}, "invalid_origin", "allowed_origins", "anybody"),
        ({"name": "x", "allowed_origins": ["*", SITE]}, "invalid_origin", "allowed_origins", "alone"),
        ({"name": "x", "allowed_origins": [SITE], "key": "k"}, "validation_error", "key", "not known"),
    ],
)
async def test_a_bad_key_request_names_field_and_mend(
    api: Api, body: dict[str, Any], code: str, param: str, fragment: str
) -> None:
    answer = await api.ask("POST", "/v1/publishable-keys", json=body)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == (code, param)
    assert fragment in error["message"]
    assert await api.count("publishable_keys") == 0


async def test_a_bad_change_changes_nothing(api: Api) -> None:
    made = await make_key(api)
    path = f"/v1/publishable-keys/{made['id']}"
    refused_bodies: list[dict[str, Any]] = [
        {"name": "New", "allowed_origins": []},
        {"name": None},
        {"is_active": "no"},
        {"scopes": []},
    ]
    for body in refused_bodies:
        assert (await api.ask("PATCH", path, json=body)).status_code == 422, body
    assert (await api.ask("GET", "/v1/publishable-keys")).json()[0]["name"] == "Widget"


async def test_insecure_origins_need_the_operators_word(tmp_path: Any) -> None:
    async with running_api(tmp_path, allow_insecure_origins=True) as api:
        made = await make_key(api, "http://intranet.example")
        assert (await ask(api, made["key"], "http://intranet.example")).status_code == 201
        assert (await ask(api, made["key"], "https://intranet.example")).status_code == 403
