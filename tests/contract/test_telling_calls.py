"""Telling live calls something, and what tools leave on their records."""

from typing import Any

import pytest

from oneinbox.core.events import (
    CallActive,
    CallEnded,
    CallPrepared,
    EndReason,
    InformationExtracted,
    LatencyMeasured,
    MessageAdded,
    Role,
    ToolCalled,
)
from oneinbox.core.instructions import AddContext, Say, UserMessage
from tests.support.api import Api

WAYS = {
    "say": Say(text="Hello."),
    "context": AddContext(text="Hello."),
    "message": UserMessage(text="Hello."),
}


async def start(api: Api, *, active: bool = True) -> str:
    call_id = await api.start_call()
    if active:
        await api.tell(CallActive(call_id=call_id, answer_ms=1))
    return call_id


@pytest.mark.parametrize("way", WAYS)
async def test_a_live_call_is_told(api: Api, way: str) -> None:
    call_id = await start(api)
    answer = await api.ask("POST", f"/v1/calls/{call_id}/{way}", json={"text": "Hello."})
    assert (answer.status_code, answer.json()) == (202, {"call_id": call_id, "status": "accepted"})
    assert api.dispatcher.told == [(call_id, WAYS[way])]


async def test_how_something_is_said(api: Api) -> None:
    call_id = await start(api)
    body = {"text": "Hello.", "interruptible": False, "interrupt": True}
    assert (await api.ask("POST", f"/v1/calls/{call_id}/say", json=body)).status_code == 202
    assert api.dispatcher.told == [(call_id, Say(text="Hello.", interruptible=False, interrupt=True))]


@pytest.mark.parametrize("way", WAYS)
async def test_told_once_with_an_idempotency_key(api: Api, way: str) -> None:
    call_id = await start(api)
    for _ in range(2):
        answer = await api.ask(
            "POST", f"/v1/calls/{call_id}/{way}", json={"text": "Hello."}, headers={"Idempotency-Key": "once"}
        )
        assert answer.status_code == 202
    assert len(api.dispatcher.told) == 1


@pytest.mark.parametrize("way", WAYS)
async def test_what_cannot_be_told(api: Api, way: str) -> None:
    path = f"/v1/calls/{await start(api)}/{way}"
    for body in ({}, {"text": ""}, {"text": " \n"}, {"text": "x" * 5001}, {"text": "x", "more": 1}):
        assert (await api.ask("POST", path, json=body)).status_code == 422
    assert (await api.client.post(path, json={"text": "x"})).status_code == 401
    assert (await api.client.post(path, json={"text": "x"}, headers=api.other_auth)).status_code == 404
    assert (await api.ask("POST", f"/v1/calls/call_nobody/{way}", json={"text": "x"})).status_code == 404
    assert api.dispatcher.told == []


@pytest.mark.parametrize("way", WAYS)
async def test_a_call_that_is_not_live_is_a_conflict(api: Api, way: str) -> None:
    waiting = await start(api, active=False)
    answer = await api.ask("POST", f"/v1/calls/{waiting}/{way}", json={"text": "x"})
    assert answer.status_code == (202 if way == "context" else 409)
    over = await start(api)
    await api.tell(CallEnded(call_id=over, reason=EndReason.USER_HANGUP, duration_s=1))
    lost = await start(api)
    api.dispatcher.holds.discard(lost)
    for call_id in (over, lost):
        answer = await api.ask("POST", f"/v1/calls/{call_id}/{way}", json={"text": "x"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "call_not_live")


# ---- what tools leave ---------------------------------------------------------------------------------------------


def used(call_id: str, result: str | None, **more: Any) -> ToolCalled:
    done = {"duration_ms": 250.0} if result is not None else {}
    return ToolCalled(
        call_id=call_id,
        tool_call_id="tc_1",
        name="look_up",
        arguments='{"order": 7}',
        result=result,
        turn=1,
        start_s=3.0,
        **{**done, **more},
    )


def said(call_id: str, role: Role, turn: int, start_s: float, content: str) -> MessageAdded:
    return MessageAdded(
        call_id=call_id,
        message_id=f"msg_{start_s}",
        role=role,
        content=content,
        turn=turn,
        start_s=start_s,
        end_s=start_s + 0.5,
    )


async def test_tools_stand_among_the_messages(api: Api) -> None:
    call_id = await start(api)
    await api.tell(CallPrepared(call_id=call_id, worker_id="worker-0", setup_ms=1))
    events = [
        said(call_id, Role.USER, 1, 1.0, "Where is my order?"),
        said(call_id, Role.AGENT, 1, 2.0, "Let me see."),
        used(call_id, None),
        used(call_id, "shipped"),
        LatencyMeasured(call_id=call_id, part="tool:look_up", turn=1, ms=250.0),
        said(call_id, Role.AGENT, 1, 3.25, "It is on its way."),
    ]
    await api.tell(*events, *events)  # each may come twice, and late
    await api.tell(used(call_id, None))
    record = await api.record_of(call_id)
    assert [message["role"] for message in record["messages"]] == ["user", "agent", "tool_call", "tool_result", "agent"]
    assert record["messages"][2] == {
        "role": "tool_call",
        "name": "look_up",
        "arguments": '{"order": 7}',
        "tool_call_id": "tc_1",
        "turn": 1,
        "start_s": 3.0,
    }
    assert record["messages"][3] == {
        "role": "tool_result",
        "tool_call_id": "tc_1",
        "content": "shipped",
        "is_error": False,
        "turn": 1,
        "start_s": 3.25,
        "duration_ms": 250.0,
    }
    assert {"type": "tool:look_up", "turn": 1, "ms": 250.0} in record["latency"]["events"]
    assert "look_up" not in record["transcript"]


async def test_a_tool_that_a_crash_cut_off_stands_there_without_a_result(api: Api) -> None:
    call_id = await start(api)
    await api.tell(used(call_id, None))
    record = await api.record_of(call_id)
    assert [message["role"] for message in record["messages"]] == ["tool_call"]


async def test_what_was_noted_is_kept_by_tool_and_the_newest_counts(api: Api) -> None:
    call_id = await start(api)
    assert (await api.record_of(call_id))["analysis"] is None
    for name, values in (
        ("lead", {"budget": 5, "town": "U\0lm"}),
        ("lead", {"budget": 9}),
        ("mood", {"tags": ["calm"]}),
    ):
        await api.tell(InformationExtracted(call_id=call_id, name=name, values=values))
    record = await api.record_of(call_id)
    assert record["analysis"] == {
        "outcome": None,
        "summary": None,
        "sentiment": None,
        "extracted_data": {"lead": {"budget": 9, "town": "Ulm"}, "mood": {"tags": ["calm"]}},
    }
