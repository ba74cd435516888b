"""Starts that share a transaction: limits, keys and agents hold for each as if it had come alone."""

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from oneinbox.api.audit import trail
from oneinbox.api.db.tables import Agent, PublishableKey
from oneinbox.core.errors import ErrorKind
from tests.support.api import Api, refused

SITE = "https://shop.example.com"
PATH = "/v1/web-calls/token"


async def make_key(api: Api, **limits: Any) -> dict[str, Any]:
    return await api.made("/v1/publishable-keys", name="Widget", allowed_origins=[SITE], limits=limits)


async def ask(api: Api, key: dict[str, Any], **body: Any) -> httpx.Response:
    body.setdefault("agent_id", api.first.demo_agent_id)
    return await api.client.post(PATH, json=body, headers={"Authorization": f"Bearer {key['key']}", "Origin": SITE})


def codes(answers: list[httpx.Response]) -> Counter[str]:
    return Counter("made" if one.status_code == 201 else one.json()["error"]["code"] for one in answers)


async def test_limits_count_within_a_group(api: Api) -> None:
    limited = {
        "rate_limited": await make_key(api, calls_per_minute=3),
        "ip_rate_limited": await make_key(api, calls_per_minute_per_ip=4),
        "too_many_calls": await make_key(api, max_concurrent_calls=5),
        "daily_minutes_used_up": await make_key(api, daily_minutes=2),
    }
    free = await make_key(api)
    keys = [*limited.values(), free] * 8
    answers = await asyncio.gather(*(ask(api, key) for key in keys))
    by_key = {
        code: [one for one, asked in zip(answers, keys, strict=True) if asked is key] for code, key in limited.items()
    }
    admitted = {"rate_limited": 3, "ip_rate_limited": 4, "too_many_calls": 5, "daily_minutes_used_up": 2}
    for code, mine in by_key.items():
        assert codes(mine) == {"made": admitted[code], code: 8 - admitted[code]}, code
    assert codes([one for one, asked in zip(answers, keys, strict=True) if asked is free]) == {"made": 8}
    assert await api.count("calls") == len(api.dispatcher.started) == 22
    remaining = sorted(one.headers["ratelimit"] for one in by_key["rate_limited"] if one.status_code == 201)
    assert [text.split(";")[1] for text in remaining] == ["r=0", "r=1", "r=2"]


async def test_one_bad_start_spoils_no_other(api: Api) -> None:
    key = await make_key(api)
    asks = [ask(api, key), ask(api, key, agent_id="agt_nobody"), ask(api, key, overrides={}), ask(api, key)]
    answers = await asyncio.gather(*asks)
    assert [one.status_code for one in answers] == [201, 404, 422, 201]


async def test_the_audit_chain_holds_after_groups_of_several_organisations(api: Api) -> None:
    key = await make_key(api)
    theirs = {"name": "x", "llm_id": (await other(api, "POST", "/v1/models", json={"name": "x"})).json()["id"]}
    agent = (await other(api, "POST", "/v1/agents", json=theirs)).json()

    async def theirs_too() -> httpx.Response:
        return await other(api, "POST", "/v1/calls/web", json={"agent_id": agent["id"]})

    answers = await asyncio.gather(*(one for _ in range(10) for one in (ask(api, key), theirs_too())))
    assert Counter(one.status_code for one in answers) == {201: 20}
    async with api.database.read() as rows:
        assert await trail.verify(rows) == []
    listed = (await api.ask("GET", "/v1/audit-events?action=call.created&limit=100")).json()["items"]
    assert {item["resource_id"] for item in listed} == {one.json()["id"] for one in answers[::2]}
    assert {item["request_id"] for item in listed} == {one.headers["x-request-id"] for one in answers[::2]}


async def other(api: Api, method: str, path: str, **arguments: Any) -> httpx.Response:
    return await api.client.request(method, path, headers=api.other_auth, **arguments)


async def test_what_another_process_changes_counts_at_once(api: Api) -> None:
    key = await make_key(api)
    for _ in range(3):
        assert (await ask(api, key)).status_code == 201
    elsewhere = await api.open_again()
    try:
        async with elsewhere.write() as rows:
            agent = await rows.get_one(Agent, api.first.demo_agent_id)
            agent.first_message = "From elsewhere"
        assert (await ask(api, key)).status_code == 201
        assert api.dispatcher.started[-1].first_message == "From elsewhere"
        async with elsewhere.write() as rows:
            (await rows.get_one(PublishableKey, key["id"])).is_active = False
        refusal = await ask(api, key)
        assert (refusal.status_code, refusal.json()["error"]["code"]) == (401, "key_paused")
        async with elsewhere.write() as rows:
            row = await rows.get_one(PublishableKey, key["id"])
            row.is_active, row.allowed_origins = True, ["https://other.example"]
        assert (await ask(api, key)).json()["error"]["code"] == "ORIGIN_NOT_ALLOWED"
    finally:
        await elsewhere.aclose()


async def test_two_that_draw_one_room_name_get_two(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    key = await make_key(api)
    before = await api.count("audit_events")
    names = iter(["web-0000000a", "web-0000000a", *(f"web-{number:08x}" for number in range(100, 140))])
    monkeypatch.setattr("oneinbox.api.calls.start.new_room_name", lambda: next(names))
    answers = await asyncio.gather(*(ask(api, key) for _ in range(6)))
    rooms = [one.json()["room_name"] for one in answers]
    assert len(set(rooms)) == 6
    assert {spec.room_name for spec in api.dispatcher.started} == set(rooms)
    assert await api.count("audit_events") == before + 6  # one for each call: what was rolled back left none


async def test_a_call_that_nobody_waits_for_is_taken_back(api: Api) -> None:
    key = await make_key(api)
    going = [asyncio.create_task(ask(api, key)) for _ in range(5)]
    while not await api.count("calls"):
        await asyncio.sleep(0)
        if all(one.done() for one in going):
            break
    for one in going:
        one.cancel()
    finished = await asyncio.gather(*going, return_exceptions=True)
    answered = [one for one in finished if isinstance(one, httpx.Response)]
    handed_over = {spec.call_id for spec in api.dispatcher.started}
    assert {one.json()["id"] for one in answered} <= handed_over
    async with asyncio.timeout(30):
        while {call["id"] for call in (await api.ask("GET", "/v1/calls?limit=100")).json()["items"]} != handed_over:
            await asyncio.sleep(0.01)


async def test_a_full_server_refuses_without_a_trace(api: Api) -> None:
    key = await make_key(api)
    api.dispatcher.full = refused(ErrorKind.UNAVAILABLE, "server_full")
    before = await api.count("audit_events")
    answer = await ask(api, key)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "server_full")
    assert (await api.count("calls"), await api.count("audit_events")) == (0, before)


async def test_a_full_server_still_answers_a_repetition(api: Api) -> None:
    headers = {"Idempotency-Key": "once"}
    body = {"agent_id": api.first.demo_agent_id}
    first = await api.ask("POST", "/v1/calls/web", json=body, headers=headers)
    api.dispatcher.full = refused(ErrorKind.UNAVAILABLE, "server_full")
    again = await api.ask("POST", "/v1/calls/web", json=body, headers=headers)
    assert again.json()["id"] == first.json()["id"]
