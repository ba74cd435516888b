"""The audit log: every change is on it, with its change or not at all, and nobody can mend it unseen."""

from datetime import timedelta

from sqlalchemy import text

from oneinbox.api.audit import trail
from oneinbox.core.clock import utc_now
from tests.support.api import Api


async def breaks(api: Api) -> list[str]:
    async with api.database.read() as rows:
        return [f"{found.seq}: {found.reason}" for found in await trail.verify(rows)]


async def change(api: Api, statement: str) -> None:
    async with api.database.write() as rows:
        await rows.execute(text(statement))


async def some_changes(api: Api) -> str:
    agent = await api.made("/v1/agents", name="Ann")
    await api.ask("PATCH", f"/v1/agents/{agent['id']}", json={"name": "Bob"})
    await api.ask("DELETE", f"/v1/agents/{agent['id']}")
    return agent["id"]


async def test_changes_are_on_it_newest_first(api: Api) -> None:
    before = await api.count("audit_events")
    headers = {"X-Request-Id": "my-request", "User-Agent": "curl/9"}
    made = (await api.ask("POST", "/v1/agents", json={"name": "Ann"}, headers=headers)).json()
    await api.ask("DELETE", f"/v1/agents/{made['id']}")
    await api.ask("DELETE", f"/v1/agents/{made['id']}")  # 404: nothing was changed, nothing is written down
    assert await api.count("audit_events") == before + 2
    answer = (await api.ask("GET", "/v1/audit-events", params={"resource_type": "agent"})).json()
    assert [item["action"] for item in answer["items"]] == ["agent.deleted", "agent.created"]
    created = answer["items"][1]
    assert created["resource_id"] == made["id"]
    assert (created["request_id"], created["user_agent"], created["ip"]) == ("my-request", "curl/9", "127.0.0.1")
    assert len(created["payload_hash"]) == 64
    assert created["user_id"] is None
    assert created["api_key_id"].startswith("key_")
    assert (answer["has_more"], answer["next_cursor"], answer["limit"]) == (False, None, 20)


async def test_filters(api: Api) -> None:
    await some_changes(api)
    session = {"Authorization": f"Bearer {await api.sign_in()}"}
    await api.client.post("/v1/models", json={"name": "mine"}, headers=session)

    async def actions(headers: dict[str, str], **params: str) -> list[str]:
        answer = await api.client.get("/v1/audit-events", params=params, headers=headers)
        assert answer.status_code == 200, answer.text
        return [item["action"] for item in answer.json()["items"]]

    assert await actions(api.auth, action="agent.updated") == ["agent.updated"]
    assert await actions(api.auth, resource_type="nothing") == []
    assert await actions(session, actor="me", resource_type="model") == ["model.created"]
    assert "agent.created" not in await actions(session, actor="me")
    assert "model.created" not in await actions(api.auth, actor="me")
    later = (utc_now() + timedelta(minutes=1)).isoformat()
    assert await actions(api.auth, since=later) == []
    assert "agent.created" in await actions(api.auth, until=later)
    for params in ({"since": "yesterday"}, {"actor": "you"}, {"cursor": "x"}, {"cursor": "aud0"}, {"limit": "101"}):
        answer = await api.ask("GET", "/v1/audit-events", params=params)
        assert answer.status_code == 422, params


async def test_pages_are_stable_while_events_come_in(api: Api) -> None:
    for _ in range(3):
        await some_changes(api)
    everything = (await api.ask("GET", "/v1/audit-events", params={"limit": 100})).json()["items"]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params: dict[str, str | int] = {"limit": 2} if cursor is None else {"limit": 2, "cursor": cursor}
        page = (await api.ask("GET", "/v1/audit-events", params=params)).json()
        seen += [item["id"] for item in page["items"]]
        await api.made("/v1/models", name="between")
        if not page["has_more"]:
            break
        cursor = page["next_cursor"]
    assert seen == [item["id"] for item in everything]


async def test_another_organisation_sees_none_of_it(api: Api) -> None:
    await some_changes(api)
    answer = await api.client.get("/v1/audit-events", headers=api.other_auth)
    assert answer.json()["items"] == []


async def test_the_chain_holds_until_somebody_touches_it(api: Api) -> None:
    await some_changes(api)
    assert await breaks(api) == []
    await change(api, "UPDATE audit_events SET action = 'agent.read' WHERE seq = 3")
    assert await breaks(api) == ["3: the row was changed, or one before it was"]
    await change(api, "UPDATE audit_events SET action = 'agent.updated' WHERE seq = 3")
    assert await breaks(api) == []


async def test_rows_that_are_gone_are_missed(api: Api) -> None:
    await some_changes(api)
    total = await api.count("audit_events")
    await change(api, f"DELETE FROM audit_events WHERE seq = {total}")
    assert await breaks(api) == [f"{total}: rows are missing at the end: there were {total}"]
    await change(api, "DELETE FROM audit_events WHERE seq = 2")
    assert await breaks(api) == ["2: a row is missing"]
    await change(api, "DELETE FROM audit_events")
    assert len(await breaks(api)) == 1
    await change(api, "DELETE FROM audit_heads")
    assert await breaks(api) == []  # no chain at all: nothing to compare with


async def test_a_head_that_is_gone_is_missed(api: Api) -> None:
    await some_changes(api)
    total = await api.count("audit_events")
    await change(api, "DELETE FROM audit_heads")
    assert await breaks(api) == [f"{total}: the end of the chain is not on record"]
