"""The recorder: every way of a call's status, events twice, late and out of order, crashes in between."""

import asyncio
import itertools
import random
from typing import Any

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from oneinbox.api.calls.recorder import Recorder
from oneinbox.api.first_run import ensure_first_organisation
from oneinbox.core.events import (
    AnyCallEvent,
    CallActive,
    CallEnded,
    CallPrepared,
    EndReason,
    GreetingStarted,
    LatencyMeasured,
    LineQuality,
    MessageAdded,
    MessageAmended,
    ParticipantJoined,
    ProviderFailed,
    QualityMeasured,
    Role,
)
from tests.support.api import Api


def said(call_id: str, role: Role, turn: int, start_s: float, content: str, **more: Any) -> MessageAdded:
    return MessageAdded(
        call_id=call_id,
        message_id=f"msg_{turn}_{role}",
        role=role,
        content=content,
        turn=turn,
        start_s=start_s,
        end_s=start_s + 1,
        **more,
    )


def whole_call(call_id: str) -> list[AnyCallEvent]:
    """A call of two turns, as a worker tells it."""
    latencies = [("eou_delay", 1, 200.0), ("stt", 1, 120.0), ("llm_ttft", 1, 300.0), ("tts_ttfb", 1, 90.0)]
    latencies += [("perceived", 1, 600.0), ("eou_delay", 2, 400.0), ("llm_ttft", 2, 500.0), ("perceived", 2, 1000.0)]
    return [
        CallPrepared(call_id=call_id, worker_id="worker-0", setup_ms=12.5),
        ParticipantJoined(call_id=call_id, wait_ms=1000),
        CallActive(call_id=call_id, answer_ms=150),
        GreetingStarted(call_id=call_id, delay_ms=20),
        said(call_id, Role.AGENT, 0, 0.02, "Hello.", interrupted=True),
        said(call_id, Role.USER, 1, 2.0, "Hi, ünï😀", confidence=0.9),
        *(LatencyMeasured(call_id=call_id, part=part, turn=turn, ms=ms) for part, turn, ms in latencies),
        said(call_id, Role.AGENT, 1, 3.6, "How are you?"),
        said(call_id, Role.USER, 2, 5.0, "Fine", typed=True),
        ProviderFailed(call_id=call_id, provider="openai_compatible", stage="tts", kind="timeout", detail="slow"),
        CallEnded(call_id=call_id, reason=EndReason.USER_HANGUP, duration_s=6.5, worker_load1=0.4, worker_mem_pct=31.0),
    ]


async def test_the_record_of_a_whole_call(api: Api) -> None:
    call_id = await api.start_call()
    statuses: list[str] = []
    for event in whole_call(call_id):
        await api.tell(event)
        statuses.append((await api.record_of(call_id))["status"])
    assert [status for status, _ in itertools.groupby(statuses)] == ["initiated", "in_progress", "completed"]
    record = await api.record_of(call_id)
    assert (record["end_reason"], record["end_owner"], record["duration_seconds"]) == ("user_hangup", "caller", 6.5)
    assert record["credits_used"] == pytest.approx(6.5 / 60, abs=1e-4)
    assert record["created_at"] <= record["started_at"] <= record["ended_at"]
    assert record["transcript"] == "Agent: Hello.\nUser: Hi, ünï😀\nAgent: How are you?\nUser: Fine"
    assert record["messages"][0] == {
        "id": record["messages"][0]["id"],
        "role": "agent",
        "content": "Hello.",
        "start_s": 0.02,
        "end_s": 1.02,
        "turn": 0,
        "interrupted": True,
        "typed": False,
        "confidence": None,
    }
    spoken = [event.message_id for event in whole_call(call_id) if isinstance(event, MessageAdded)]
    assert [message["id"] for message in record["messages"]] == spoken
    assert [message["typed"] for message in record["messages"]] == [False, False, False, True]
    assert record["messages"][1]["confidence"] == 0.9
    assert [failure["kind"] for failure in record["provider_failures"]] == ["timeout"]


async def test_an_amended_message_stands_as_amended_in_any_order(api: Api) -> None:
    for order in itertools.permutations("AAMM"):
        call_id = await api.start_call()
        await api.tell(CallActive(call_id=call_id, answer_ms=1))
        added = said(call_id, Role.USER, 1, 2.0, "a table for too", confidence=0.9)
        better = msgspec.structs.replace(added, content="a table for two", confidence=0.7)
        amended = MessageAmended(call_id=call_id, message=better)
        for one in order:
            await api.tell(added if one == "A" else amended)
        (message,) = (await api.record_of(call_id))["messages"]
        assert (message["content"], message["confidence"], message["turn"]) == ("a table for two", 0.7, 1)
    await api.tell(CallEnded(call_id=call_id, reason=EndReason.USER_HANGUP, duration_s=6))
    assert (await api.record_of(call_id))["transcript"] == "User: a table for two"


QUALITY = LineQuality(
    transport="udp",
    packets_received=990,
    packets_sent=1000,
    loss=0.01,
    late_packets=2,
    concealed_ms=120.5,
    recovered_ms=80.0,
    jitter_ms_p50=3.2,
    jitter_ms_p95=9.9,
    round_trip_ms_p50=None,
    round_trip_ms_p95=None,
    agent_loss=0.0,
    agent_jitter_ms=1.0,
    ice_ms=20.0,
    dtls_ms=35.0,
    resumes=1,
    rejoins=2,
    path_changes=3,
    tick_late_ms_p95=2.0,
    ticks_skipped=0,
)


async def test_the_latest_quality_before_the_end_stands(api: Api) -> None:
    call_id = await api.start_call()
    assert (await api.record_of(call_id))["quality"] is None
    await api.tell(QualityMeasured(call_id=call_id, quality=QUALITY))
    assert (await api.record_of(call_id))["quality"] == msgspec.to_builtins(QUALITY)
    worse = msgspec.structs.replace(QUALITY, loss=0.2, transport="tcp")
    await api.tell(
        QualityMeasured(call_id=call_id, quality=worse),
        CallEnded(call_id=call_id, reason=EndReason.USER_HANGUP, duration_s=1),
        QualityMeasured(call_id=call_id, quality=QUALITY),
    )
    found = (await api.record_of(call_id))["quality"]
    assert (found["loss"], found["transport"], found["round_trip_ms_p50"]) == (0.2, "tcp", None)


async def test_the_latency_object(api: Api) -> None:
    call_id = await api.start_call()
    await api.tell(*whole_call(call_id))
    latency = (await api.record_of(call_id))["latency"]
    assert latency["eou_delay"] == {"avg_ms": 300.0, "p50_ms": 300.0, "min_ms": 200.0, "max_ms": 400.0, "samples": 2}
    assert latency["llm_ttft"] == {"avg_ms": 400.0, "p50_ms": 400.0, "min_ms": 300.0, "max_ms": 500.0, "samples": 2}
    assert latency["tts_ttfb"]["samples"] == latency["stt"]["samples"] == 1
    assert latency["perceived"] == {"avg_ms": 800.0, "p50_ms": 800.0, "turns": 2}
    assert latency["events"] == [
        {"type": "eou_delay", "turn": 1, "ms": 200.0},
        {"type": "llm_ttft", "turn": 1, "ms": 300.0},
        {"type": "tts_ttfb", "turn": 1, "ms": 90.0},
        {"type": "eou_delay", "turn": 2, "ms": 400.0},
        {"type": "llm_ttft", "turn": 2, "ms": 500.0},
    ]
    assert latency["turns"][1] == {
        "turn": 2,
        "eou_delay": 400.0,
        "stt": None,
        "llm_ttft": 500.0,
        "tts_ttfb": None,
        "perceived": 1000.0,
    }
    assert latency["connect"] == {
        "setup_ms": 170.0,
        "dispatch_to_answer_ms": 1012.5,
        "answer_to_active_ms": 150.0,
        "active_to_greeting_ms": 20.0,
        "prepare_ms": 12.5,
    }
    assert latency["providers"] == {"stt": "demo", "llm": "demo", "tts": "demo"}
    assert latency["worker"] == {"worker_id": "worker-0", "load1": 0.4, "mem_pct": 31.0}


async def test_before_anything_happened_every_field_is_there(api: Api) -> None:
    latency = (await api.record_of(await api.start_call()))["latency"]
    assert latency["events"] == latency["turns"] == []
    for part in ("llm_ttft", "tts_ttfb", "eou_delay", "stt", "perceived", "worker"):
        assert latency[part] is None
    assert set(latency["connect"].values()) == {None}


@pytest.mark.parametrize("reason", list(EndReason))
async def test_every_end_has_its_status(api: Api, reason: EndReason) -> None:
    call_id = await api.start_call()
    await api.tell(CallEnded(call_id=call_id, reason=reason, duration_s=0))
    record = await api.record_of(call_id)
    assert (record["status"], record["end_reason"]) == (reason.status, reason)
    assert record["end_owner"] == reason.owner
    assert record["ended_at"] is not None


async def test_events_in_any_order_and_twice_give_the_same_record(api: Api) -> None:
    expected = None
    for seed in range(12):
        call_id = await api.start_call()
        events = whole_call(call_id)
        if seed:
            head, end = events[:-1], events[-1]
            head = head + random.Random(seed).sample(head, 6)
            random.Random(seed).shuffle(head)
            faults = [event for event in head if isinstance(event, ProviderFailed)]
            events = [event for event in head if event not in faults] + faults[:1] + [end, end]
        await api.tell(*events)
        record = await api.record_of(call_id)
        for name in ("id", "room_name", "created_at", "updated_at", "started_at", "ended_at", "provider_failures"):
            del record[name]
        events_told: list[dict[str, Any]] = record["latency"]["events"]
        record["latency"]["events"] = sorted((told["turn"], told["type"], told["ms"]) for told in events_told)
        expected = expected or record
        assert record == expected, f"seed {seed}"


async def test_the_clock_starts_once(api: Api) -> None:
    call_id = await api.start_call()
    active = CallActive(call_id=call_id, answer_ms=1)
    await api.tell(active)
    started_at = (await api.record_of(call_id))["started_at"]
    await api.tell(active)
    await api.tell(CallPrepared(call_id=call_id, worker_id="w", setup_ms=1))  # late
    record = await api.record_of(call_id)
    assert (record["started_at"], record["status"]) == (started_at, "in_progress")


async def test_a_final_status_never_changes(api: Api) -> None:
    for first in (EndReason.USER_HANGUP, EndReason.WORKER_LOST):
        call_id = await api.start_call()
        events = whole_call(call_id)
        await api.tell(events[2], CallEnded(call_id=call_id, reason=first, duration_s=3))
        final = await api.record_of(call_id)
        await api.tell(*events[:4], CallEnded(call_id=call_id, reason=EndReason.LLM_FAILED, duration_s=9))
        await api.recorder.fail_calls([call_id], EndReason.WORKER_LOST)
        await api.recorder.fail_all_open()
        after = await api.record_of(call_id)
        assert after == final
        await api.tell(said(call_id, Role.USER, 1, 2.0, "late"))  # a finished turn is not lost
        assert [message["content"] for message in (await api.record_of(call_id))["messages"]] == ["late"]


async def test_an_event_of_an_unknown_call_is_dropped(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    await api.tell(*whole_call("call_nobody"))
    assert "call_nobody" in caplog.text
    assert "Hello." not in caplog.text
    assert [await api.count(table) for table in ("calls", "call_messages", "call_latencies")] == [0, 0, 0]


async def test_a_lost_worker_fails_its_open_calls_only(api: Api) -> None:
    live, waiting, ended, other = [await api.start_call() for _ in range(4)]
    await api.tell(CallActive(call_id=live, answer_ms=1))
    await api.tell(CallEnded(call_id=ended, reason=EndReason.USER_HANGUP, duration_s=1))
    await api.recorder.fail_calls([live, waiting, ended, "call_nobody"], EndReason.WORKER_LOST)
    states = {call_id: await api.record_of(call_id) for call_id in (live, waiting, ended, other)}
    assert [states[call_id]["status"] for call_id in (live, waiting, ended, other)] == [
        "failed",
        "failed",
        "completed",
        "queued",
    ]
    assert states[live]["end_reason"] == states[waiting]["end_reason"] == "worker_lost"
    assert states[live]["duration_seconds"] >= 0
    assert states[waiting]["duration_seconds"] == 0
    await api.recorder.fail_calls([], EndReason.WORKER_LOST)
    assert (await api.record_of(other))["status"] == "queued"


async def test_a_server_that_died_at_any_event_leaves_no_call_open(api: Api) -> None:
    events = whole_call("x")
    for survived in range(len(events) + 1):
        call_id = await api.start_call()
        await api.tell(*whole_call(call_id)[:survived])
        # The process dies here: what counts is what another one finds in the file.
        database = await api.open_again()
        left_open = await Recorder(database).fail_all_open()
        await database.aclose()
        assert left_open == (0 if survived == len(events) else 1)
        record = await api.record_of(call_id)
        assert record["status"] == ("completed" if survived == len(events) else "failed")
        assert record["ended_at"] is not None
        kept = sum(isinstance(event, MessageAdded) for event in events[:survived])
        assert len(record["messages"]) == kept
        if survived < len(events):
            assert record["end_reason"] == "server_lost"
            spoken = max((message["end_s"] for message in record["messages"]), default=0)
            assert record["duration_seconds"] == spoken
    assert await Recorder(api.database).fail_all_open() == 0


async def test_a_write_that_is_cut_off_leaves_nothing_of_itself(api: Api) -> None:
    call_id = await api.start_call()

    async def cut_off() -> None:
        async with api.database.write() as rows:
            await rows.execute(text("UPDATE calls SET status = 'in_progress'"))
            raise RuntimeError("cut")

    with pytest.raises(RuntimeError, match="cut"):
        await cut_off()
    assert (await api.record_of(call_id))["status"] == "queued"


async def test_many_calls_at_once(api: Api) -> None:
    calls = [await api.start_call() for _ in range(8)]

    async def tell(call_id: str) -> None:
        await api.tell(*whole_call(call_id))

    async with asyncio.TaskGroup() as group:
        for call_id in calls:
            group.create_task(tell(call_id))
        for _ in range(10):
            assert (await api.ask("GET", "/v1/calls")).status_code == 200
    records = (await api.ask("GET", "/v1/calls")).json()["items"]
    assert {record["status"] for record in records} == {"completed"}
    assert {len(record["messages"]) for record in records} == {4}


async def test_another_process_may_write_meanwhile(api: Api) -> None:
    call_id = await api.start_call()
    other = await api.open_again()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.wait_for(api.recorder.record(whole_call(call_id)[0]), 10))
            for _ in range(5):
                async with other.write() as rows:
                    await rows.execute(text("UPDATE organisations SET name = name || '!'"))
    finally:
        await other.aclose()
    assert (await api.record_of(call_id))["status"] == "initiated"


async def test_a_reader_cannot_write(api: Api) -> None:
    with pytest.raises(DBAPIError):
        async with api.database.read() as rows:
            await rows.execute(text("UPDATE calls SET status = 'failed'"))


async def test_a_busy_database_is_a_503_that_says_when_to_come_back(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Any:
        raise OperationalError("INSERT", {}, Exception("database is locked"))

    monkeypatch.setattr(api.database, "write", refuse)
    answer = await api.ask("POST", "/v1/agents", json={"name": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "database_unavailable")
    assert answer.headers["retry-after"] == "1"


async def test_first_run_is_idempotent_and_respects_a_deletion(api: Api) -> None:
    before = [await api.count(table) for table in ("organisations", "users", "agents", "models")]
    assert await ensure_first_organisation(api.database) == api.first
    assert [await api.count(table) for table in ("organisations", "users", "agents", "models")] == before
    assert (await api.ask("DELETE", f"/v1/agents/{api.first.demo_agent_id}")).status_code == 204
    again = await ensure_first_organisation(api.database)
    assert (again.org_id, again.demo_agent_id) == (api.first.org_id, None)
    assert await api.count("agents") == 0


async def test_how_busy_it_was_when_a_worker_took_the_call(api: Api) -> None:
    first, second, third = [await api.start_call(metadata={"concurrency_at_dispatch": 99, "n": n}) for n in range(3)]
    assert (await api.record_of(first))["metadata"] == {"concurrency_at_dispatch": 99, "n": 0}  # no worker yet
    prepared = {call_id: CallPrepared(call_id=call_id, worker_id="w", setup_ms=1) for call_id in (first, second, third)}
    await api.tell(prepared[first], prepared[second])
    await api.tell(CallEnded(call_id=first, reason=EndReason.API_STOP, duration_s=0))
    await api.tell(prepared[third], prepared[second])  # the second one twice: it stays as it was
    found = [(await api.record_of(call_id))["metadata"] for call_id in (first, second, third)]
    assert found == [{"concurrency_at_dispatch": count, "n": n} for n, count in enumerate((1, 2, 2))]
