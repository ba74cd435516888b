"""Stopping a call, and deleting its record."""

from typing import Any

from oneinbox.core.events import CallActive, CallEnded, CallPrepared, EndReason
from tests.support.api import Api


async def start(api: Api, **body: Any) -> dict[str, Any]:
    body.setdefault("agent_id", api.first.demo_agent_id)
    return await api.made("/v1/calls/web", **body)


async def test_stop_ends_a_live_call_and_the_answer_shows_it(api: Api) -> None:
    api.dispatcher.recorder = api.recorder
    call = await start(api)
    await api.recorder.record(CallPrepared(call_id=call["id"], worker_id="w", setup_ms=3))
    await api.recorder.record(CallActive(call_id=call["id"], answer_ms=1))
    answer = await api.ask("POST", f"/v1/calls/{call['id']}/stop")
    assert answer.status_code == 200
    record = answer.json()
    assert (record["status"], record["end_reason"], record["end_owner"]) == ("completed", "api_stop", "account")
    assert record["duration_seconds"] == 1.5
    assert record["credits_used"] == 0.025
    again = await api.ask("POST", f"/v1/calls/{call['id']}/stop")
    assert again.json() == record  # nothing happens to a call that has ended
    assert len(api.dispatcher.stopped) == 1


async def test_stop_ends_a_call_that_no_worker_has(api: Api) -> None:
    call = await start(api)
    api.dispatcher.holds.clear()
    record = (await api.ask("POST", f"/v1/calls/{call['id']}/stop")).json()
    assert (record["status"], record["end_reason"], record["duration_seconds"]) == ("completed", "api_stop", 0)
    assert record["started_at"] is None


async def test_stop_answers_though_the_end_takes_long(api: Api) -> None:
    call = await start(api)
    record = (await api.ask("POST", f"/v1/calls/{call['id']}/stop")).json()
    assert record["status"] == "queued"
    assert api.dispatcher.stopped == [(call["id"], EndReason.API_STOP)]


async def test_an_ended_call_can_be_deleted_and_a_live_one_not(api: Api) -> None:
    call = await start(api)
    live = await api.ask("DELETE", f"/v1/calls/{call['id']}")
    assert live.status_code == 409
    assert live.json()["error"]["code"] == "call_is_live"
    await api.recorder.record(CallEnded(call_id=call["id"], reason=EndReason.USER_HANGUP, duration_s=0))
    assert (await api.ask("DELETE", f"/v1/calls/{call['id']}")).status_code == 204
    assert (await api.ask("GET", f"/v1/calls/{call['id']}")).status_code == 404
    assert (await api.ask("DELETE", f"/v1/calls/{call['id']}")).status_code == 404


async def test_calls_outlive_their_agent(api: Api) -> None:
    agent = await api.made("/v1/agents", name="Ann")
    call = await start(api, agent_id=agent["id"])
    assert (await api.ask("DELETE", f"/v1/agents/{agent['id']}")).status_code == 204
    record = await api.ask("GET", f"/v1/calls/{call['id']}")
    assert record.status_code == 200
    assert record.json()["agent_id"] == agent["id"]
