"""``Idempotency-Key``: a POST that is sent again does nothing again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import jwt
import pytest

from oneinbox.api.agents.service import AgentService
from oneinbox.core.clock import utc_now
from oneinbox.core.errors import ErrorKind
from tests.support.api import TOKEN_SECRET, Api, refused

SITE = "https://shop.example.com"


async def post(api: Api, path: str, body: Any, key: str = "key-1", **headers: str) -> Any:
    return await api.ask("POST", path, json=body, headers={"Idempotency-Key": key, **headers})


async def page(api: Api, made: dict[str, Any], body: dict[str, Any], key: str = "key-1", origin: str = SITE) -> Any:
    headers = {"Authorization": f"Bearer {made['key']}", "Origin": origin, "Idempotency-Key": key}
    return await api.client.post("/v1/web-calls/token", json=body, headers=headers)


async def test_sent_again_it_does_nothing_again(api: Api) -> None:
    before = [await api.count(table) for table in ("agents", "models")]
    first = await post(api, "/v1/agents", {"name": "Ann", "first_message": "Hi"})
    again = await post(api, "/v1/agents", {"first_message": "Hi", "name": "Ann"})  # the same, in another order
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["content-type"] == first.headers["content-type"]
    assert [await api.count(table) for table in ("agents", "models")] == [count + 1 for count in before]


async def test_a_hundred_at_once_make_one(api: Api) -> None:
    before = await api.count("agents")
    answers = await asyncio.gather(*(post(api, "/v1/agents", {"name": "Ann"}) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert await api.count("agents") == before + 1


async def test_another_body_is_another_request(api: Api) -> None:
    await post(api, "/v1/agents", {"name": "Ann"})
    other = await post(api, "/v1/agents", {"name": "Bob"})
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert (await post(api, "/v1/models", {"name": "Ann"})).status_code == 201  # another route, another key
    theirs = await api.client.post(
        "/v1/agents", json={"name": "Bob"}, headers={**api.other_auth, "Idempotency-Key": "key-1"}
    )
    assert theirs.status_code == 201  # another organisation, another key
    session = {"Authorization": f"Bearer {await api.sign_in()}", "Idempotency-Key": "key-1"}
    one = await api.client.post("/v1/api-keys", json={"name": "one"}, headers=session)
    two = await api.client.post("/v1/api-keys", json={"name": "two"}, headers=session)
    path = f"/v1/api-keys/{one.json()['id']}/rotate"
    rotated, other = (
        await api.client.post(path, headers=session),
        await api.client.post("/v1/api-keys/key_x/rotate", headers=session),
    )
    assert [answer.status_code for answer in (one, two, rotated, other)] == [201, 422, 200, 422]


async def test_a_refusal_is_not_kept(api: Api) -> None:
    unknown = {"name": "Ann", "llm_id": "llm_nobody"}
    assert (await post(api, "/v1/agents", unknown)).json()["error"]["code"] == "model_not_found"
    assert (await post(api, "/v1/agents", unknown)).json()["error"]["code"] == "model_not_found"
    assert await api.count("idempotency_keys") == 0
    assert (await post(api, "/v1/agents", {"name": "Ann"})).status_code == 201  # the key was not used up


async def test_a_change_and_its_answer_are_one(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await api.count("agents"), await api.count("audit_events")
    create = AgentService.create

    async def fail_behind(*arguments: Any) -> Any:
        await create(*arguments)
        raise refused(ErrorKind.UNAVAILABLE, "no_worker_available")

    monkeypatch.setattr(AgentService, "create", fail_behind)
    assert (await post(api, "/v1/agents", {"name": "Ann"})).status_code == 503
    monkeypatch.undo()
    assert (await api.count("agents"), await api.count("audit_events")) == before
    assert (await post(api, "/v1/agents", {"name": "Ann"})).status_code == 201
    assert await api.count("agents") == before[0] + 1


@pytest.mark.parametrize("key", ["", " ", "ä", "a b", "x" * 256])
async def test_keys_that_are_none(api: Api, key: str) -> None:
    headers = {b"Idempotency-Key": key.encode(), **{k.encode(): v.encode() for k, v in api.auth.items()}}
    answer = await api.client.post("/v1/agents", json={"name": "x"}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_idempotency_key")


async def test_secrets_shown_once_are_shown_again_and_not_kept_in_clear(api: Api) -> None:
    body = {"name": "x", "allowed_origins": [SITE]}
    first, again = await post(api, "/v1/publishable-keys", body), await post(api, "/v1/publishable-keys", body)
    assert first.json()["key"] == again.json()["key"]
    async with api.database.read() as rows:
        row = (await rows.connection()).exec_driver_sql("SELECT answer, key_hash FROM idempotency_keys")
        stored = str((await row).all())
    assert len(stored) > 100
    assert first.json()["key"] not in stored
    assert "key-1" not in stored


async def test_after_a_day_the_key_is_free(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await post(api, "/v1/agents", {"name": "Ann"})
    monkeypatch.setattr("oneinbox.api.idempotency.store.utc_now", lambda: utc_now() + timedelta(hours=25))
    second = await post(api, "/v1/agents", {"name": "Bob"})
    assert (first.status_code, second.status_code) == (201, 201)
    assert await api.count("idempotency_keys") == 1


# ---- calls: a worker is asked in between -----------------------------------------------------------------------------


async def test_a_call_is_started_once_and_its_token_made_again(api: Api) -> None:
    made = await api.made("/v1/publishable-keys", name="x", allowed_origins=[SITE, "https://other.example"])
    body = {"agent_id": api.first.demo_agent_id, "metadata": {"source": "widget"}}
    for ask in (lambda: page(api, made, body), lambda: post(api, "/v1/calls/web", body)):
        started = len(api.dispatcher.started)
        answers = await asyncio.gather(*(ask() for _ in range(100)))
        assert {answer.status_code for answer in answers} <= {201, 409}
        for answer in answers:
            if answer.status_code == 409:
                assert answer.json()["error"]["code"] == "idempotency_in_flight"
                assert answer.headers["retry-after"] == "1"
        late = await ask()
        good = [answer.json() for answer in answers if answer.status_code == 201] + [late.json()]
        assert late.headers["idempotency-replayed"] == "true"
        assert len({(call["id"], call["room_name"], call["created_at"]) for call in good}) == 1
        assert len(api.dispatcher.started) == started + 1
        claims = [jwt.decode(call["participant_token"], TOKEN_SECRET, algorithms=["HS256"]) for call in good]
        assert {claim["sub"] for claim in claims} == {api.dispatcher.started[-1].identity}
        assert len({claim["jti"] for claim in claims}) == len(claims)
    assert await api.count("calls") == 2


async def test_one_pages_call_is_not_told_to_another(api: Api) -> None:
    made = await api.made("/v1/publishable-keys", name="x", allowed_origins=["*"])
    body = {"agent_id": api.first.demo_agent_id}
    assert (await page(api, made, body)).status_code == 201
    other = await page(api, made, body, origin="https://other.example")
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reused")


@asynccontextmanager
async def slow_worker(api: Api, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[asyncio.Event]:
    let_go, start_call = asyncio.Event(), api.dispatcher.start_call

    async def slow(spec: Any) -> None:
        await let_go.wait()
        await start_call(spec)

    monkeypatch.setattr(api.dispatcher, "start_call", slow)
    yield let_go
    monkeypatch.setattr(api.dispatcher, "start_call", start_call)


async def test_while_the_worker_is_asked_a_repetition_waits(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"agent_id": api.first.demo_agent_id}
    async with slow_worker(api, monkeypatch) as let_go, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(post(api, "/v1/calls/web", body))
        while await api.count("calls") == 0:
            await asyncio.sleep(0.01)
        again = await post(api, "/v1/calls/web", body)
        assert (again.status_code, again.json()["error"]["code"]) == (409, "idempotency_in_flight")
        let_go.set()
    assert (await post(api, "/v1/calls/web", body)).json()["id"] == first.result().json()["id"]


async def test_a_server_that_died_in_between_left_one_call(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"agent_id": api.first.demo_agent_id}

    async def dies(_: Any) -> None:
        return None

    monkeypatch.setattr("oneinbox.api.idempotency.store.IdempotencyStore.settle", lambda *_: dies(None))
    first = await post(api, "/v1/calls/web", body)
    monkeypatch.undo()
    assert (await post(api, "/v1/calls/web", body)).status_code == 409  # nobody can tell it from one under way
    monkeypatch.setattr("oneinbox.api.idempotency.store.utc_now", lambda: utc_now() + timedelta(seconds=31))
    assert (await post(api, "/v1/calls/web", body)).json()["id"] == first.json()["id"]
    assert await api.count("calls") == 1


async def test_a_call_that_no_worker_took_is_tried_again(api: Api) -> None:
    body = {"agent_id": api.first.demo_agent_id}
    api.dispatcher.refusal = refused(ErrorKind.UNAVAILABLE, "no_worker_available")
    assert (await post(api, "/v1/calls/web", body)).status_code == 503
    api.dispatcher.refusal = None
    assert (await post(api, "/v1/calls/web", body)).status_code == 201
    assert await api.count("calls") == 1
