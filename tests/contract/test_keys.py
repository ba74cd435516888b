"""Secret keys by REST; what each kind of wrong key is told; what a publishable key may use up."""

import asyncio
from datetime import timedelta
from typing import Any

from oneinbox.core.clock import utc_now
from oneinbox.core.errors import ErrorKind
from oneinbox.core.events import CallEnded, EndReason
from tests.support.api import Api, began, refused

SITE = "https://shop.example.com"
IN_AN_HOUR = (utc_now() + timedelta(hours=1)).isoformat()
AN_HOUR_AGO = (utc_now() - timedelta(hours=1)).isoformat()


async def person(api: Api) -> dict[str, str]:
    return {"Authorization": f"Bearer {await api.sign_in()}"}


async def make(api: Api, headers: dict[str, str], **body: Any) -> dict[str, Any]:
    answer = await api.client.post("/v1/api-keys", json={"name": "Backend", **body}, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def told(api: Api, key: str) -> tuple[int, str]:
    answer = await api.client.get("/v1/agents", headers={"Authorization": f"Bearer {key}"})
    return answer.status_code, answer.json().get("error", {}).get("code", "")


async def test_a_secret_keys_life(api: Api) -> None:
    headers = await person(api)
    made = await make(api, headers, scopes=["calls"], expires_at=IN_AN_HOUR)
    key = made["api_key"]
    assert key.startswith("oi_sk_live_")
    assert key.startswith(made["key_prefix"])
    assert (made["last4"], made["scopes"], made["is_active"]) == (key[-4:], ["calls"], True)
    assert (await told(api, key))[0] == 200
    listed = await api.client.get("/v1/api-keys", headers=headers)
    assert key not in listed.text
    assert listed.json()[0]["id"] == made["id"]
    assert listed.json()[0]["last_used_at"] is not None
    path = f"/v1/api-keys/{made['id']}"
    assert (await api.client.patch(path, json={"is_active": False}, headers=headers)).json()["is_active"] is False
    assert await told(api, key) == (401, "key_paused")
    await api.client.patch(path, json={"is_active": True, "expires_at": AN_HOUR_AGO}, headers=headers)
    assert await told(api, key) == (401, "key_expired")
    await api.client.patch(path, json={"expires_at": None}, headers=headers)
    assert (await told(api, key))[0] == 200
    rotated = (await api.client.post(f"{path}/rotate", headers=headers)).json()
    assert rotated["id"] == made["id"]
    assert await told(api, key) == (401, "key_revoked")
    assert (await told(api, rotated["api_key"]))[0] == 200
    assert (await api.client.delete(path, headers=headers)).status_code == 204
    assert await told(api, rotated["api_key"]) == (401, "key_revoked")
    assert (await api.client.delete(path, headers=headers)).status_code == 404
    events = (await api.ask("GET", "/v1/audit-events", params={"resource_type": "api_key"})).json()["items"]
    actions = [event["action"].partition(".")[2] for event in events]
    assert actions[:6] == ["revoked", "rotated", "updated", "updated", "updated", "created"]


async def test_keys_are_made_by_people_only(api: Api) -> None:
    for method, path in (("GET", "/v1/api-keys"), ("POST", "/v1/api-keys"), ("POST", "/v1/api-keys/x/rotate")):
        answer = await api.ask(method, path, json={"name": "x"} if method == "POST" and "x/" not in path else None)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "session_required")


async def test_another_organisations_keys_are_not_there(api: Api) -> None:
    headers = await person(api)
    for method, path in (
        ("PATCH", "/v1/api-keys/key_other"),
        ("DELETE", "/v1/api-keys/key_other"),
        ("POST", "/v1/api-keys/key_other/rotate"),
    ):
        answer = await api.client.request(method, path, json={} if method == "PATCH" else None, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "key_not_found")
    assert (await told(api, api.other_key))[0] == 200
    ids = [item["id"] for item in (await api.client.get("/v1/api-keys", headers=headers)).json()]
    assert "key_other" not in ids


async def test_a_browser_has_no_business_with_a_secret_key(api: Api) -> None:
    for origin in (SITE, "null", "http://oneinbox.test:8080"):
        answer = await api.ask("GET", "/v1/agents", headers={"Origin": origin})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "SECRET_KEY_IN_BROWSER")
        assert api.key not in answer.text


async def test_each_wrong_key_is_told_what_is_wrong(api: Api) -> None:
    page_key = await api.made("/v1/publishable-keys", name="x", allowed_origins=[SITE])
    assert await told(api, page_key["key"]) == (403, "publishable_key_not_allowed")
    assert await told(api, api.key[:-1]) == (401, "invalid_key")
    await api.ask("PATCH", f"/v1/publishable-keys/{page_key['id']}", json={"expires_at": AN_HOUR_AGO})
    assert await started(api, page_key) == (401, "key_expired")
    await api.ask("PATCH", f"/v1/publishable-keys/{page_key['id']}", json={"expires_at": None, "is_active": False})
    assert await started(api, page_key) == (401, "key_paused")
    await api.ask("DELETE", f"/v1/publishable-keys/{page_key['id']}")
    assert await started(api, page_key) == (401, "key_revoked")


# ---- what a publishable key may use up -------------------------------------------------------------------------------


async def page_key(api: Api, **body: Any) -> dict[str, Any]:
    return await api.made("/v1/publishable-keys", name="Widget", allowed_origins=[SITE], **body)


async def ask(api: Api, key: dict[str, Any], agent_id: str | None = None) -> Any:
    return await api.client.post(
        "/v1/web-calls/token",
        json={"agent_id": agent_id or api.first.demo_agent_id},
        headers={"Authorization": f"Bearer {key['key']}", "Origin": SITE},
    )


async def started(api: Api, key: dict[str, Any], agent_id: str | None = None) -> tuple[int, str]:
    answer = await ask(api, key, agent_id)
    return answer.status_code, answer.json().get("error", {}).get("code", "")


async def test_the_agents_a_key_may_call(api: Api) -> None:
    mine = await api.made("/v1/agents", name="Ann")
    key = await page_key(api, allowed_agent_ids=[mine["id"]])
    assert key["allowed_agent_ids"] == [mine["id"]]
    assert (await started(api, key, mine["id"]))[0] == 201
    assert await started(api, key) == (403, "agent_not_allowed")
    assert await started(api, key, "agt_nobody") == (403, "agent_not_allowed")
    await api.ask("PATCH", f"/v1/publishable-keys/{key['id']}", json={"allowed_agent_ids": []})
    assert (await started(api, key))[0] == 201
    for unknown in ("agt_nobody", "\u0001"):
        answer = await api.ask("PATCH", f"/v1/publishable-keys/{key['id']}", json={"allowed_agent_ids": [unknown]})
        assert (answer.status_code, answer.json()["error"]["param"]) == (422, "allowed_agent_ids")
    theirs = (await api.client.post("/v1/agents", json={"name": "x"}, headers=api.other_auth)).json()["id"]
    answer = await api.ask("PATCH", f"/v1/publishable-keys/{key['id']}", json={"allowed_agent_ids": [theirs]})
    assert answer.status_code == 422


async def test_limits_are_merged_and_taken_away(api: Api) -> None:
    key = await page_key(api, limits={"calls_per_minute": 5, "daily_minutes": 10})
    none = {
        "calls_per_minute": None,
        "calls_per_minute_per_ip": None,
        "max_concurrent_calls": None,
        "daily_minutes": None,
    }
    assert key["limits"] == {**none, "calls_per_minute": 5, "daily_minutes": 10}
    path = f"/v1/publishable-keys/{key['id']}"
    changed = await api.ask("PATCH", path, json={"limits": {"calls_per_minute": None, "max_concurrent_calls": 3}})
    assert changed.json()["limits"] == {**none, "max_concurrent_calls": 3, "daily_minutes": 10}
    assert (await api.ask("PATCH", path, json={"name": "x"})).json()["limits"]["daily_minutes"] == 10
    assert (await api.ask("PATCH", path, json={"limits": None})).json()["limits"] == none
    for wrong in ({"calls_per_minute": -1}, {"calls_per_hour": 1}, {"daily_minutes": "1"}):
        assert (await api.ask("PATCH", path, json={"limits": wrong})).status_code == 422


async def test_calls_per_minute_and_what_the_headers_say(api: Api) -> None:
    key = await page_key(api, limits={"calls_per_minute": 2, "calls_per_minute_per_ip": 100})
    first, second, third = [await ask(api, key) for _ in range(3)]
    assert [answer.status_code for answer in (first, second, third)] == [201, 201, 429]
    assert first.headers["ratelimit-policy"] == '"key";q=2;w=60, "ip";q=100;w=60'
    assert first.headers["ratelimit"].startswith('"key";r=1;t=0, "ip";r=99;t=0')
    assert second.headers["ratelimit"].startswith('"key";r=0;t=')
    assert third.headers["ratelimit"].startswith('"key";r=0;t=')
    assert 55 <= int(third.headers["retry-after"]) <= 60
    assert third.json()["error"]["code"] == "rate_limited"
    exposed = third.headers["access-control-expose-headers"]
    assert all(name in exposed for name in ("RateLimit", "RateLimit-Policy", "Retry-After"))
    other = await page_key(api, limits={"calls_per_minute": 2})
    assert (await started(api, other))[0] == 201  # each key counts for itself
    unlimited = await page_key(api)
    assert "ratelimit" not in (await ask(api, unlimited)).headers


async def test_the_limit_of_one_address(api: Api) -> None:
    key = await page_key(api, limits={"calls_per_minute_per_ip": 1})
    assert [await started(api, key) for _ in range(2)] == [(201, ""), (429, "ip_rate_limited")]


async def test_calls_at_once(api: Api) -> None:
    key = await page_key(api, limits={"max_concurrent_calls": 2})
    answers = await asyncio.gather(*(ask(api, key) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] * 2 + [429] * 8
    ended = next(answer for answer in answers if answer.status_code == 201).json()["id"]
    await api.recorder.record(CallEnded(call_id=ended, reason=EndReason.USER_HANGUP, duration_s=1))
    assert [await started(api, key) for _ in range(2)] == [(201, ""), (429, "too_many_calls")]


async def test_the_minutes_of_a_day(api: Api) -> None:
    """A call that has not ended counts with a minute, or with how long it runs; an ended one with how long it was."""
    key = await page_key(api, limits={"daily_minutes": 2})
    first = (await ask(api, key)).json()["id"]
    assert (await started(api, key))[0] == 201
    assert [spec.turns.max_duration_s for spec in api.dispatcher.started] == [600.0, 600.0]
    refused = await ask(api, key)
    assert refused.json()["error"]["code"] == "daily_minutes_used_up"
    assert '"daily-minutes";q=2;w=86400' in refused.headers["ratelimit-policy"]
    assert 1 <= int(refused.headers["retry-after"]) <= 86_400
    await api.recorder.record(CallEnded(call_id=first, reason=EndReason.USER_HANGUP, duration_s=50))
    third = await ask(api, key)  # what the first did not use is there again: ten seconds
    assert third.status_code == 201
    assert await started(api, key) == (429, "daily_minutes_used_up")
    await began(api, third.json()["id"], seconds_ago=69.9)
    assert await started(api, key) == (429, "daily_minutes_used_up")


async def test_a_call_that_no_worker_takes_uses_nothing_up(api: Api) -> None:
    key = await page_key(api, limits={"calls_per_minute": 1})
    api.dispatcher.refusal = refused(ErrorKind.UNAVAILABLE, "no_worker_available")
    assert await started(api, key) == (503, "no_worker_available")
    api.dispatcher.refusal = None
    assert (await started(api, key))[0] == 201
