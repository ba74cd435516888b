"""Who may ask what: every operation of the OpenAPI document with every kind of credential."""

import asyncio
from typing import Any

import jwt
import pytest
from sqlalchemy import text

from oneinbox.api.accounts.service import create_sign_in_link
from oneinbox.core.tokens import mint_participant_token
from tests.support.api import BASE_URL, SESSION_SECRET, TOKEN_SECRET, Api, running_api

OPEN = {
    *(("GET", path) for path in ("/v1/health", "/v1/health/ready")),
    *(("POST", f"/v1/auth/{way}") for way in ("sign-in-link", "signup", "login")),
}
PAGES = {("POST", "/v1/web-calls/token"), ("POST", "/v1/web-calls/connection-test")}
PEOPLE = {
    ("GET", "/v1/auth/me"),
    ("POST", "/v1/auth/logout"),
    ("POST", "/v1/auth/refresh"),
    *((method, "/v1/api-keys") for method in ("GET", "POST")),
    *((method, "/v1/api-keys/{key_id}") for method in ("PATCH", "DELETE")),
    ("POST", "/v1/api-keys/{key_id}/rotate"),
}
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/v1/api-keys"): {"name": "x"},
    ("PATCH", "/v1/api-keys/{key_id}"): {"name": "x"},
    ("POST", "/v1/agents"): {"name": "x"},
    ("POST", "/v1/models"): {"name": "x"},
    ("POST", "/v1/webhooks"): {"name": "x", "url": "https://hooks.example", "events": ["call.ended"]},
    ("POST", "/v1/publishable-keys"): {"name": "x", "allowed_origins": ["https://a.example"]},
    ("POST", "/v1/calls/web"): {"agent_id": "agt_nobody"},
    ("POST", "/v1/web-calls/token"): {"agent_id": "agt_nobody"},
}
COVERED = {
    *((method, "/v1/knowledge-bases") for method in ("GET", "POST")),
    *((method, "/v1/knowledge-bases/{kb_id}") for method in ("GET", "PATCH", "DELETE")),
    *((method, "/v1/knowledge-bases/{kb_id}/sources") for method in ("GET", "POST")),
    ("POST", "/v1/knowledge-bases/sources"),
    ("DELETE", "/v1/knowledge-bases/{kb_id}/sources/{source_id}"),
    ("GET", "/v1/knowledge-bases/{kb_id}/jobs"),
    ("GET", "/v1/knowledge-bases/{kb_id}/jobs/{job_id}"),
    *((method, path) for path in ("/v1/integrations", "/v1/credentials", "/v1/tools") for method in ("GET", "POST")),
    *((method, "/v1/integrations/{credential_id}") for method in ("GET", "PATCH", "DELETE")),
    *((method, "/v1/credentials/{credential_id}") for method in ("GET", "PATCH", "DELETE")),
    *((method, "/v1/tools/{tool_id}") for method in ("GET", "PATCH", "DELETE")),
    ("GET", "/v1/voices"),
    ("POST", "/v1/voices/import"),
    *((method, "/v1/voices/{voice_id}") for method in ("GET", "DELETE")),
    *((method, "/v1/workspace/call-outcomes") for method in ("GET", "POST")),
    ("PATCH", "/v1/workspace/call-outcomes/{outcome_id}"),
    ("GET", "/v1/phone-numbers/search"),
    ("POST", "/v1/phone-numbers/purchase"),
    *((method, "/v1/phone-numbers") for method in ("GET", "POST")),
    *((method, "/v1/phone-numbers/{number_id}") for method in ("GET", "PATCH", "DELETE")),
    *((method, "/v1/phone-numbers/{number_id}/inbound-routing") for method in ("GET", "POST")),
    *(("POST", f"/v1/auth/{way}") for way in ("sign-in-link", "signup", "login", "refresh")),
    *((method, "/v1/workspace") for method in ("GET", "PATCH")),
    ("GET", "/v1/auth/me"),
    ("POST", "/v1/auth/logout"),
    ("GET", "/v1/audit-events"),
    *(("GET", path) for path in ("/v1/usage", "/v1/activity/summary", "/v1/activity/timeseries")),
    *((method, "/v1/api-keys") for method in ("GET", "POST")),
    *((method, "/v1/api-keys/{key_id}") for method in ("PATCH", "DELETE")),
    ("POST", "/v1/api-keys/{key_id}/rotate"),
    *(("GET", path) for path in ("/v1/health", "/v1/health/ready")),
    ("POST", "/v1/web-calls/token"),
    ("POST", "/v1/calls/web"),
    ("POST", "/v1/web-calls/connection-test"),
    ("POST", "/v1/calls/web/connection-test"),
    ("GET", "/v1/calls"),
    ("GET", "/v1/calls/cursor"),
    ("GET", "/v1/calls/{call_id}"),
    ("PATCH", "/v1/calls/{call_id}"),
    *(("POST", f"/v1/calls/{{call_id}}/{what}") for what in ("stop", "say", "context", "message")),
    ("DELETE", "/v1/calls/{call_id}"),
    *((method, "/v1/webhooks") for method in ("GET", "POST")),
    ("GET", "/v1/webhooks/call-secret"),
    *((method, "/v1/webhooks/{webhook_id}") for method in ("GET", "PATCH", "DELETE")),
    ("POST", "/v1/webhooks/{webhook_id}/rotate-secret"),
    ("POST", "/v1/webhooks/{webhook_id}/test"),
    ("GET", "/v1/webhooks/{webhook_id}/deliveries"),
    ("POST", "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver"),
    *((method, "/v1/publishable-keys") for method in ("GET", "POST")),
    *((method, "/v1/publishable-keys/{key_id}") for method in ("PATCH", "DELETE")),
    *((method, path) for path in ("/v1/agents", "/v1/models") for method in ("GET", "POST")),
    *((method, "/v1/agents/{agent_id}") for method in ("GET", "PATCH", "DELETE")),
    *((method, "/v1/models/{model_id}") for method in ("GET", "PATCH", "DELETE")),
}


async def operations(api: Api) -> dict[tuple[str, str], dict[str, Any]]:
    document = (await api.client.get("/openapi.json")).json()
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


async def test_every_operation_is_in_this_matrix_and_typed(api: Api) -> None:
    found = await operations(api)
    assert set(found) == COVERED
    names = [operation["operationId"] for operation in found.values()]
    assert len(set(names)) == len(names)
    assert "create_web_call_token" in names
    for (method, path), operation in found.items():
        success = [code for code in operation["responses"] if code.startswith("2")]
        assert len(success) == 1, path
        if success != ["204"]:
            assert operation["responses"][success[0]]["content"]["application/json"]["schema"], path
        if (method, path) not in OPEN:
            for status in ("401", "403"):
                schema = operation["responses"][status]["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/ErrorAnswer"}, path
            assert operation["security"], path
        if "422" in operation["responses"]:
            schema = operation["responses"]["422"]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/ErrorAnswer"}, path
        assert operation["tags"], path
        assert operation["summary"], path


async def test_no_operation_is_open_by_mistake(api: Api) -> None:
    """Each operation with each credential that is not enough for it: 401, or 403 where the key is good elsewhere."""
    page_key = (await api.made("/v1/publishable-keys", name="x", allowed_origins=["*"]))["key"]
    participant = mint_participant_token(
        secret=TOKEN_SECRET, issuer="oneinbox", room_name="web-1", identity="user", ttl_s=60
    )
    forged = jwt.encode({"iss": "oneinbox-dashboard", "sub": "usr", "sid": "ses", "exp": 2**31}, "x" * 40)
    unsigned = jwt.encode({"iss": "oneinbox-dashboard", "sub": "usr", "sid": "ses", "exp": 2**31}, "", algorithm="none")
    unknown_session = jwt.encode(
        {"iss": "oneinbox-dashboard", "sub": "usr", "sid": "ses_nobody", "exp": 2**31}, SESSION_SECRET
    )
    flipped = api.key[:20] + ("A" if api.key[20] != "A" else "B") + api.key[21:]
    people = {"Authorization": f"Bearer {await api.sign_in()}"}
    dead = [(await api.client.post("/v1/api-keys", json={"name": "x"}, headers=people)).json() for _ in range(3)]
    revoked, expired, paused = (f"Bearer {made['api_key']}" for made in dead)
    paths = [f"/v1/api-keys/{made['id']}" for made in dead]
    assert (await api.client.delete(paths[0], headers=people)).status_code == 204
    for path, change in ((paths[1], {"expires_at": "2026-01-01T00:00:00Z"}), (paths[2], {"is_active": False})):
        assert (await api.client.patch(path, json=change, headers=people)).status_code == 200
    credentials: dict[str, tuple[str | None, int]] = {
        "revoked": (revoked, 401),
        "expired": (expired, 401),
        "paused": (paused, 401),
        "none": (None, 401),
        "empty": ("Bearer ", 401),
        "no scheme": (api.key, 401),
        "basic": (f"Basic {api.key}", 401),
        "garbage": ("Bearer abc", 401),
        "mistyped": (f"Bearer {flipped}", 401),
        "cut off": (f"Bearer {api.key[:-1]}", 401),
        "two": (f"Bearer {api.key} {api.key}", 401),
        "participant": (f"Bearer {participant}", 401),
        "forged session": (f"Bearer {forged}", 401),
        "unsigned session": (f"Bearer {unsigned}", 401),
        "unknown session": (f"Bearer {unknown_session}", 401),
        "publishable": (f"Bearer {page_key}", 403),
    }
    before = [await api.count(table) for table in ("agents", "models", "publishable_keys", "calls")]
    for operation in COVERED - OPEN:
        method, path = operation
        for name, (value, enough) in credentials.items():
            expected = enough
            if operation in PAGES and name == "publishable":
                continue
            headers = {} if value is None else {"Authorization": value}
            answer = await api.client.request(
                method, path.replace("{", "").replace("}", ""), headers=headers, json=BODIES.get(operation)
            )
            if operation in PAGES and (value or "").startswith("Bearer oi_sk_"):
                expected = 403  # whatever it is, it has no place in a page
            assert answer.status_code == expected, (operation, name, answer.text)
            assert answer.json()["error"]["message"]
            if expected == 401:
                assert answer.headers["www-authenticate"] == "Bearer"
            if value is not None and len(value) > 15:
                assert value.split()[-1] not in answer.text
    assert [await api.count(table) for table in ("agents", "models", "publishable_keys", "calls")] == before


SOURCE = {"file": ("hours.txt", b"We open at nine.", "text/plain")}


async def things(api: Api) -> dict[str, str]:
    """Return the id of one thing of each kind, by the name it has in paths; secret keys by ``secret_key_id``."""
    agent = await api.made("/v1/agents", name="Ann")
    credential = await api.made("/v1/integrations", name="x", provider="deepgram", api_key="dg-0123456789")
    hook = await api.made("/v1/webhooks", name="x", url="https://hooks.example", events=["call.ended"])
    base = await api.ask("POST", "/v1/knowledge-bases/sources", files=SOURCE)
    people = {"Authorization": f"Bearer {await api.sign_in()}"}
    voice = {"provider": "deepgram", "provider_voice_id": "asteria", "name": "x", "credential_id": credential["id"]}
    number = {"phone_number": "+4915112345678", "provider": "twilio", "agent_id": agent["id"]}
    tool = {"type": "end_call", "name": "x", "description": "When all is said"}
    return {
        "agent_id": agent["id"],
        "model_id": agent["llm_id"],
        "key_id": (await api.made("/v1/publishable-keys", name="x", allowed_origins=["*"]))["id"],
        "secret_key_id": (await api.client.post("/v1/api-keys", json={"name": "x"}, headers=people)).json()["id"],
        "call_id": (await api.made("/v1/calls/web", agent_id=agent["id"]))["id"],
        "webhook_id": hook["id"],
        "delivery_id": "whd_1",
        "kb_id": base.json()["knowledge_base_id"],
        "source_id": base.json()["source"]["id"],
        "job_id": base.json()["job"]["id"],
        "credential_id": credential["id"],
        "voice_id": (await api.made("/v1/voices/import", **voice))["id"],
        "tool_id": (await api.made("/v1/tools", **tool))["id"],
        "outcome_id": (await api.made("/v1/workspace/call-outcomes", label="Won"))["id"],
        "number_id": (await api.made("/v1/phone-numbers", **number))["id"],
    }


CHANGES: dict[str, dict[str, Any]] = {
    "/v1/calls/{call_id}": {"outcome": "mine"},
    "/v1/workspace/call-outcomes/{outcome_id}": {"label": "mine"},
    "/v1/phone-numbers/{number_id}": {"friendly_name": "mine"},
}


def filled(path: str, ids: dict[str, str]) -> str:
    """Put ids into a path of the document."""
    if path.startswith("/v1/api-keys"):
        ids = {**ids, "key_id": ids["secret_key_id"]}
    return path.format(**ids)


async def test_another_organisations_things_are_not_there(api: Api) -> None:
    """Every operation with an id in its path, with another organisation's secret key or session."""
    ids = await things(api)
    nobody = dict.fromkeys(ids, "nobody_1")
    before = [(await api.ask("GET", path)).json() for path in ("/v1/agents", "/v1/tools", "/v1/calls")]
    other_person = {"Authorization": f"Bearer {await other_session(api)}"}
    asked = 0
    for method, path in sorted(COVERED):
        if "{" not in path:
            continue
        asked += 1
        arguments: dict[str, Any] = {"headers": other_person if (method, path) in PEOPLE else api.other_auth}
        if path.endswith("/sources") and method == "POST":
            arguments["files"] = SOURCE
        elif path.endswith(("/say", "/context", "/message")):
            arguments["json"] = {"text": "mine"}
        elif path.endswith("/inbound-routing") and method == "POST":
            arguments["json"] = {"agent_id": ids["agent_id"]}
        elif method == "PATCH":
            arguments["json"] = CHANGES.get(path, {"name": "mine"})
        answer = await api.client.request(method, filled(path, ids), **arguments)
        assert answer.status_code == 404, (method, path, answer.text)
        unknown = await api.client.request(method, filled(path, nobody), **arguments)
        assert unknown.json()["error"]["code"] == answer.json()["error"]["code"], (method, path)
        if method == "GET":  # it is there, for whose it is
            assert (await api.ask("GET", filled(path, ids))).status_code == 200, path
    assert asked > 45
    assert [(await api.ask("GET", path)).json() for path in ("/v1/agents", "/v1/tools", "/v1/calls")] == before
    called = await api.client.post("/v1/calls/web", headers=api.other_auth, json={"agent_id": ids["agent_id"]})
    assert called.status_code == 404
    borrowed = await api.client.post(
        "/v1/agents", headers=api.other_auth, json={"name": "x", "llm_id": ids["model_id"]}
    )
    assert (borrowed.status_code, borrowed.json()["error"]["code"]) == (422, "model_not_found")
    assert api.dispatcher.stopped == []


async def test_no_list_shows_another_organisations_things(api: Api) -> None:
    ids = await things(api)
    person = {"Authorization": f"Bearer {await other_session(api)}"}
    for method, path in sorted(COVERED - OPEN):
        if method == "GET" and "{" not in path:
            answer = await api.client.get(path, headers=person)
            assert answer.status_code in (200, 422), (path, answer.text)  # 422: it needs a query
            for name, thing in ids.items():
                assert thing not in answer.text, (path, name)


async def other_session(api: Api) -> str:
    """Sign the other organisation's owner in; returns the session's token."""
    link = await create_sign_in_link(api.database)
    async with api.database.write() as rows:
        await rows.execute(
            text("UPDATE sign_in_links SET user_id = 'usr_other', org_id = 'org_other' WHERE used_at IS NULL")
        )
    answer = await api.client.post("/v1/auth/sign-in-link", json={"token": link.token})
    api.client.cookies.clear()
    return answer.json()["access_token"]


async def test_a_switched_off_secret_key_is_nobodys(api: Api) -> None:
    assert (await api.ask("GET", "/v1/agents")).status_code == 200
    async with api.database.write() as rows:
        await rows.execute(text("UPDATE api_keys SET is_active = false"))
    assert (await api.ask("GET", "/v1/agents")).status_code == 401


# ---- people ---------------------------------------------------------------------------------------------------------


async def test_signing_in_by_link_and_out_again(api: Api) -> None:
    link = await create_sign_in_link(api.database)
    answer = await api.client.post("/v1/auth/sign-in-link", json={"token": link.token})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["token_type"], body["expires_in_minutes"]) == ("Bearer", 7 * 24 * 60)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"oneinbox_token={body['access_token']};")
    for part in ("HttpOnly", "SameSite=strict", "Path=/", f"Max-Age={7 * 24 * 3600}"):
        assert part in cookie
    assert "Secure" not in cookie  # this server is reached over http
    assert answer.headers["cache-control"] == "no-store"
    me = (await api.client.get("/v1/auth/me")).json()  # the client sends the cookie back
    assert (me["email"], me["role"], me["organization"]["id"]) == ("owner@localhost", "owner", api.first.org_id)
    bearer = {"Authorization": f"Bearer {body['access_token']}"}
    assert (await api.client.post("/v1/auth/logout", headers=bearer)).status_code == 204
    api.client.cookies.clear()
    dead = await api.client.get("/v1/auth/me", headers=bearer)
    assert (dead.status_code, dead.json()["error"]["code"]) == (401, "session_ended")


async def test_the_cookie_is_secure_behind_tls(tmp_path: Any) -> None:
    async with running_api(tmp_path, public_url="https://talk.example.com") as api:
        link = await create_sign_in_link(api.database)
        answer = await api.client.post("/v1/auth/sign-in-link", json={"token": link.token})
        assert "; Secure" in answer.headers["set-cookie"]


async def test_a_link_works_once_and_in_time(api: Api) -> None:
    link = await create_sign_in_link(api.database)
    late = await create_sign_in_link(api.database, minutes=-1)
    assert (await api.client.post("/v1/auth/sign-in-link", json={"token": link.token})).status_code == 200
    for token, code in (
        (link.token, "sign_in_link_used"),
        (late.token, "sign_in_link_expired"),
        ("nonsense", "sign_in_link_unknown"),
    ):
        answer = await api.client.post("/v1/auth/sign-in-link", json={"token": token})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)
        assert "set-cookie" not in answer.headers
        assert token not in answer.text
    assert await api.count("sessions") == 1


async def test_of_many_at_once_one_gets_in(api: Api) -> None:
    link = await create_sign_in_link(api.database)
    answers = await asyncio.gather(
        *(api.client.post("/v1/auth/sign-in-link", json={"token": link.token}) for _ in range(20))
    )
    assert sorted(answer.status_code for answer in answers) == [200, *[401] * 19]


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, False),
        ({"Origin": BASE_URL}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.com"}, True),  # browsers never send this pair
        ({"Origin": "https://evil.com"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
        ({"Origin": "http://oneinbox.test"}, False),
        ({"Origin": "http://oneinbox.test:8080.evil.com"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": BASE_URL}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
    ],
)
async def test_with_the_cookie_changes_come_from_our_own_page(api: Api, headers: dict[str, str], allowed: bool) -> None:
    api.client.cookies.set("oneinbox_token", await api.sign_in())
    assert (await api.client.get("/v1/agents")).status_code == 200  # reading is free: other origins cannot see it
    answer = await api.client.post("/v1/agents", json={"name": "x"}, headers=headers)
    assert answer.status_code == (201 if allowed else 403), answer.text
    if not allowed:
        assert answer.json()["error"]["code"] == "cross_site_request"
        assert await api.count("agents") == 1


async def test_signing_in_from_a_foreign_page_is_refused(api: Api) -> None:
    link = await create_sign_in_link(api.database)
    headers = {"Origin": "https://evil.com"}
    answer = await api.client.post("/v1/auth/sign-in-link", json={"token": link.token}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "cross_site_request")
    assert (await api.client.post("/v1/auth/sign-in-link", json={"token": link.token})).status_code == 200


async def test_a_session_may_do_what_a_secret_key_may(api: Api) -> None:
    bearer = {"Authorization": f"Bearer {await api.sign_in()}"}
    made = await api.client.post("/v1/calls/web", json={"agent_id": api.first.demo_agent_id}, headers=bearer)
    assert made.status_code == 201
    assert (await api.client.get(f"/v1/calls/{made.json()['id']}", headers=bearer)).status_code == 200


async def test_a_secret_key_is_nobody(api: Api) -> None:
    for method, path in PEOPLE:
        answer = await api.ask(method, path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "session_required")


async def test_a_session_past_its_time_is_over(tmp_path: Any) -> None:
    async with running_api(tmp_path, session_minutes=-1) as api:
        link = await create_sign_in_link(api.database)
        answer = await api.client.post("/v1/auth/sign-in-link", json={"token": link.token})
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        api.client.cookies.clear()
        assert (await api.client.get("/v1/auth/me", headers=bearer)).status_code == 401


async def test_health_needs_no_key(api: Api) -> None:
    answer = await api.client.get("/v1/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
