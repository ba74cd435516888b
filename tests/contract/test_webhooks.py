"""Webhooks over the API: making, changing, testing, secrets, deliveries, and who is told of which call."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from standardwebhooks.webhooks import Webhook as Verifier

from oneinbox.core.events import CallActive, CallEnded, EndReason
from oneinbox.core.outbound import AddressPolicy
from tests.support.api import Api, running_api
from tests.support.receiver import Receiver, running_receiver

LOOPBACK = AddressPolicy.allowing(["127.0.0.0/8"])
ALL_EVENTS = [
    "call.started",
    "call.ended",
    "call.failed",
    "call.recording.available",
    "transcript.partial",
    "transcript.final",
    "call.analyzed",
]


@pytest.fixture
async def hooked(tmp_path: Path) -> AsyncIterator[Api]:
    """An API whose operator allows loopback."""
    async with running_api(tmp_path, outbound=LOOPBACK) as running:
        yield running


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as running:
        yield running


async def events_of(api: Api, call_id: str) -> list[tuple[str, str | None, str | None]]:
    """What the outbox holds of the call, in order: event, webhook, the call's own address."""
    async with api.database.read() as rows:
        query = (
            "SELECT d.event, d.webhook_id, d.url FROM webhook_deliveries d JOIN webhook_events e ON e.id = d.event_id "
            "WHERE e.call_id = :call_id ORDER BY d.seq"
        )
        return [(row[0], row[1], row[2]) for row in (await rows.execute(text(query), {"call_id": call_id})).all()]


async def start(api: Api, **body: Any) -> str:
    return (await api.made("/v1/calls/web", agent_id=api.first.demo_agent_id, **body))["id"]


async def test_a_webhooks_life(api: Api) -> None:
    made = await api.made("/v1/webhooks", name="CRM", url="https://hooks.example/a", events=["call.ended"] * 2)
    assert made["id"].startswith("wh_")
    assert made["secret"].startswith("whsec_")
    assert (made["events"], made["status"]) == (["call.ended"], "active")
    shown = {name: value for name, value in made.items() if name != "secret"}
    path = f"/v1/webhooks/{made['id']}"
    assert (await api.ask("GET", path)).json() == shown
    page = (await api.ask("GET", "/v1/webhooks")).json()
    assert page == {"items": [shown], "total": 1, "limit": 20, "offset": 0}
    changed = (await api.ask("PATCH", path, json={"name": "New", "events": ALL_EVENTS})).json()
    assert (changed["name"], changed["events"], changed["url"]) == ("New", ALL_EVENTS, made["url"])
    assert changed["updated_at"] > made["updated_at"]
    assert (await api.ask("DELETE", path)).status_code == 204
    gone = await api.ask("GET", path)
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "webhook_not_found")


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"name": ""}, "name", "validation_error"),
        ({"name": "x" * 256}, "name", "validation_error"),
        ({"events": []}, "events", "validation_error"),
        ({"events": ["call.exploded"]}, "events.0", "validation_error"),
        ({"events": ["call.ended"] * 21}, "events", "validation_error"),
        ({"url": ""}, "url", "validation_error"),
        ({"url": "ftp://hooks.example/"}, "url", "url_not_allowed"),
        ({"url": "https://" + "a" * 2050}, "url", "validation_error"),
        ({"url": "http://127.0.0.1:9/"}, "url", "url_not_allowed"),
        ({"url": "http://[::1]/"}, "url", "url_not_allowed"),
        ({"url": "http://169.254.169.254/latest"}, "url", "url_not_allowed"),
        ({"url": "http://localhost/"}, "url", "url_not_allowed"),
        ({"url": "https://user:pass@hooks.example/"}, "url", "url_not_allowed"),
        ({"secret": "whsec_mine"}, "secret", "validation_error"),
    ],
)
async def test_what_is_no_webhook(api: Api, body: dict[str, Any], param: str, code: str) -> None:
    whole = {"name": "x", "url": "https://hooks.example/", "events": ["call.ended"], **body}
    answer = await api.ask("POST", "/v1/webhooks", json=whole)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (422, code, param), error
    kept = await api.made("/v1/webhooks", name="x", url="https://hooks.example/", events=["call.ended"])
    patched = await api.ask("PATCH", f"/v1/webhooks/{kept['id']}", json=body)
    assert (patched.status_code, patched.json()["error"]["code"]) == (422, code)
    assert await api.count("webhooks") == 1


@pytest.mark.sqlite_file
async def test_secrets_are_not_stored_and_differ(api: Api) -> None:
    first = await api.made("/v1/webhooks", name="a", url="https://hooks.example/a", events=["call.ended"])
    second = await api.made("/v1/webhooks", name="b", url="https://hooks.example/b", events=["call.ended"])
    rotated = (await api.ask("POST", f"/v1/webhooks/{first['id']}/rotate-secret")).json()
    calls = (await api.ask("GET", "/v1/webhooks/call-secret")).json()["secret"]
    others = (await api.client.get("/v1/webhooks/call-secret", headers=api.other_auth)).json()["secret"]
    secrets = {first["secret"], second["secret"], rotated["secret"], calls, others}
    assert len(secrets) == 5
    assert (await api.ask("GET", "/v1/webhooks/call-secret")).json()["secret"] == calls
    for file in api.data_dir.iterdir():
        content = file.read_bytes()
        for secret in secrets:
            assert secret.removeprefix("whsec_").encode() not in content, file


async def test_trying_a_webhook_out(hooked: Api, receiver: Receiver) -> None:
    made = await hooked.made("/v1/webhooks", name="x", url=f"{receiver.url}/try", events=["call.ended"])
    path = f"/v1/webhooks/{made['id']}"
    tried = await hooked.ask("POST", f"{path}/test")
    assert tried.status_code == 200
    delivery = tried.json()
    assert (delivery["status"], delivery["response_status"], delivery["attempt"]) == ("delivered", 200, 1)
    assert (delivery["response_body"], delivery["error"], delivery["next_retry_at"]) == ("thank you", None, None)
    (received,) = receiver.on("/try")
    told = Verifier(made["secret"]).verify(received.body, received.headers)
    assert (told["event"], told["id"]) == ("webhook.test", delivery["event_id"])
    listed = (await hooked.ask("GET", f"{path}/deliveries")).json()
    assert (listed["items"], listed["total"], listed["limit"]) == ([delivery], 1, 50)


async def test_trying_out_an_endpoint_that_fails(hooked: Api, receiver: Receiver) -> None:
    receiver.answer, receiver.body = lambda path, attempt: 503, b"\xff\0" * 4_000
    made = await hooked.made("/v1/webhooks", name="x", url=f"{receiver.url}/try", events=["call.ended"])
    delivery = (await hooked.ask("POST", f"/v1/webhooks/{made['id']}/test")).json()
    assert (delivery["status"], delivery["response_status"]) == ("failed", 503)
    assert (delivery["error"], len(delivery["response_body"])) == ("the endpoint answered 503", 1_000)
    assert len(receiver.on("/try")) == 1


async def test_an_address_that_turned_private_is_not_connected_to(hooked: Api, receiver: Receiver) -> None:
    made = await hooked.made("/v1/webhooks", name="x", url="https://hooks.example/", events=["call.ended"])
    async with hooked.database.write() as rows:
        await rows.execute(text("UPDATE webhooks SET url = 'http://10.0.0.1/'"))
    delivery = (await hooked.ask("POST", f"/v1/webhooks/{made['id']}/test")).json()
    assert delivery["status"] == "failed"
    assert "public internet" in delivery["error"]


async def test_delivering_again(hooked: Api, receiver: Receiver) -> None:
    made = await hooked.made("/v1/webhooks", name="x", url=f"{receiver.url}/again", events=["call.ended"])
    path = f"/v1/webhooks/{made['id']}"
    first = (await hooked.ask("POST", f"{path}/test")).json()
    answer = await hooked.ask("POST", f"{path}/deliveries/{first['id']}/redeliver")
    again = answer.json()
    assert (answer.status_code, again["status"], again["attempt"]) == (202, "pending", 0)
    assert again["event_id"] == first["event_id"]
    assert again["id"] != first["id"]
    unknown = await hooked.ask("POST", f"{path}/deliveries/whd_nobody/redeliver")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "delivery_not_found")
    await hooked.ask("PATCH", path, json={"status": "disabled"})
    given_up = (await hooked.ask("GET", f"{path}/deliveries")).json()["items"][0]
    assert (given_up["id"], given_up["status"], given_up["error"]) == (again["id"], "failed", "the webhook is disabled")
    refused = await hooked.ask("POST", f"{path}/deliveries/{first['id']}/redeliver")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "webhook_disabled")


# ---- who is told ------------------------------------------------------------------------------------------------------


async def test_an_agent_without_a_webhook_tells_all_of_the_organisations(hooked: Api) -> None:
    one = await hooked.made("/v1/webhooks", name="1", url="https://hooks.example/1", events=["call.started"])
    two = await hooked.made("/v1/webhooks", name="2", url="https://hooks.example/2", events=ALL_EVENTS)
    off = await hooked.made("/v1/webhooks", name="3", url="https://hooks.example/3", events=ALL_EVENTS)
    await hooked.ask("PATCH", f"/v1/webhooks/{off['id']}", json={"status": "disabled"})
    foreign = await hooked.client.post(
        "/v1/webhooks",
        headers=hooked.other_auth,
        json={"name": "4", "url": "https://hooks.example/4", "events": ALL_EVENTS},
    )
    assert foreign.status_code == 201
    call_id = await start(hooked, webhook_url="https://hooks.example/call")
    await hooked.recorder.record(CallActive(call_id=call_id, answer_ms=1))
    told = await events_of(hooked, call_id)
    assert {(event, hook, url) for event, hook, url in told} == {
        ("call.started", one["id"], None),
        ("call.started", two["id"], None),
        ("call.started", None, "https://hooks.example/call"),
    }


async def test_an_agent_with_a_webhook_tells_that_one(hooked: Api) -> None:
    await hooked.made("/v1/webhooks", name="1", url="https://hooks.example/1", events=ALL_EVENTS)
    mine = await hooked.made("/v1/webhooks", name="2", url="https://hooks.example/2", events=["call.failed"])
    path = f"/v1/agents/{hooked.first.demo_agent_id}"
    assert (await hooked.ask("PATCH", path, json={"webhook_id": mine["id"]})).status_code == 200
    call_id = await start(hooked)
    await hooked.recorder.record(CallEnded(call_id=call_id, reason=EndReason.USER_NEVER_JOINED, duration_s=0))
    assert await events_of(hooked, call_id) == [("call.failed", mine["id"], None)]
    refused = await hooked.ask("DELETE", f"/v1/webhooks/{mine['id']}")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "webhook_in_use")
    theirs = await hooked.client.post(
        "/v1/webhooks", headers=hooked.other_auth, json={"name": "4", "url": "https://a.example", "events": ALL_EVENTS}
    )
    for webhook_id in ("wh_nobody", theirs.json()["id"]):
        unknown = await hooked.ask("PATCH", path, json={"webhook_id": webhook_id})
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (422, "webhook_not_found")
    assert (await hooked.ask("PATCH", path, json={"webhook_id": None})).status_code == 200
    assert (await hooked.ask("DELETE", f"/v1/webhooks/{mine['id']}")).status_code == 204


@pytest.mark.parametrize("reason", list(EndReason))
@pytest.mark.parametrize("connected", [False, True])
async def test_each_end_is_told_once(hooked: Api, reason: EndReason, connected: bool) -> None:
    await hooked.made("/v1/webhooks", name="1", url="https://hooks.example/1", events=ALL_EVENTS)
    call_id = await start(hooked)
    if connected:
        for _ in range(2):
            await hooked.recorder.record(CallActive(call_id=call_id, answer_ms=1))
    for _ in range(2):
        await hooked.recorder.record(CallEnded(call_id=call_id, reason=reason, duration_s=1))
    await hooked.recorder.fail_calls([call_id], EndReason.WORKER_LOST)
    await hooked.recorder.fail_all_open()
    told = [event for event, _, _ in await events_of(hooked, call_id)]
    if connected:
        assert told == ["call.started", "call.ended", "transcript.final"]
    else:
        assert told == ["call.failed" if reason.status == "failed" else "call.ended"]


async def test_calls_that_a_dead_server_left_are_told_of(hooked: Api) -> None:
    await hooked.made("/v1/webhooks", name="1", url="https://hooks.example/1", events=ALL_EVENTS)
    call_id = await start(hooked)
    await hooked.recorder.fail_all_open()
    assert [event for event, _, _ in await events_of(hooked, call_id)] == ["call.failed"]


async def test_a_deleted_call_takes_its_events_along(hooked: Api) -> None:
    await hooked.made("/v1/webhooks", name="1", url="https://hooks.example/1", events=ALL_EVENTS)
    call_id = await start(hooked)
    await hooked.recorder.fail_all_open()
    assert (await hooked.ask("DELETE", f"/v1/calls/{call_id}")).status_code == 204
    assert [await hooked.count(table) for table in ("webhook_events", "webhook_deliveries")] == [0, 0]


async def test_where_nobody_listens_nothing_is_written(api: Api) -> None:
    call_id = await start(api)
    await api.recorder.record(CallActive(call_id=call_id, answer_ms=1))
    assert await api.count("webhook_events") == 0
