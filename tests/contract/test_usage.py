"""Usage and activity: counted from what is on record, for one organisation."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from oneinbox.api.db.tables import Call
from oneinbox.core.clock import utc_now
from oneinbox.core.events import CallActive, CallEnded, CallPrepared, EndReason, ParticipantJoined
from tests.support.api import Api


async def call(
    api: Api, *, at: datetime | None = None, agent_id: str | None = None, lasts_s: float | None = None
) -> str:
    made = await api.made("/v1/calls/web", agent_id=agent_id or api.first.demo_agent_id)
    if lasts_s is not None:
        await api.recorder.record(CallPrepared(call_id=made["id"], worker_id="w", setup_ms=100))
        await api.recorder.record(ParticipantJoined(call_id=made["id"], wait_ms=300))
        await api.recorder.record(CallActive(call_id=made["id"], answer_ms=100))
        await api.recorder.record(CallEnded(call_id=made["id"], reason=EndReason.USER_HANGUP, duration_s=lasts_s))
    if at is not None:
        async with api.database.write() as rows:
            await rows.execute(update(Call).where(Call.id == made["id"]).values(created_at=at))
    return made["id"]


async def get(api: Api, path: str, **params: Any) -> Any:
    answer = await api.ask("GET", path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_usage_of_today_and_this_month(api: Api) -> None:
    now = utc_now()
    await call(api, lasts_s=90)
    await call(api)
    await call(api, at=now.replace(day=1, hour=0, minute=0, second=0, microsecond=0), lasts_s=30)
    await call(
        api, at=now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) - timedelta(seconds=1), lasts_s=600
    )
    used = await get(api, "/v1/usage")
    assert used == {
        "calls_made_today": 2 if now.day > 1 else 3,
        "max_calls_per_day": None,
        "calls_remaining_today": None,
        "calls_this_month": 3,
        "minutes_used_this_month": 2.0,
        "cost_cents_this_month": None,
        "kb_token_budget": 10_000,
        "period_start": now.strftime("%Y-%m-01T00:00:00Z"),
    }
    theirs = (await api.client.get("/v1/usage", headers=api.other_auth)).json()
    assert (theirs["calls_this_month"], theirs["minutes_used_this_month"]) == (0, 0)


async def test_a_summary(api: Api) -> None:
    agent = await api.made("/v1/agents", name="Ann")
    for lasts_s in (10, 20, 30, 100):
        await call(api, agent_id=agent["id"], lasts_s=lasts_s)
    lost = await call(api)
    await api.recorder.fail_calls([lost], EndReason.WORKER_LOST)
    await call(api, at=utc_now() - timedelta(days=40), lasts_s=1000)
    await api.ask("PATCH", f"/v1/calls/{lost}", json={"outcome": "interested"})
    found = await get(api, "/v1/activity/summary")
    assert found["resource_counts"]["agents"] == 2
    assert (found["resource_counts"]["api_keys"], found["resource_counts"]["users"]) == (1, 1)
    assert found["call_summary"] == {
        "total": 5,
        "by_status": {"completed": 4, "failed": 1},
        "by_direction": {"web": 5},
        "by_outcome": {"Interested": 1},
        "by_end_reason": {"user_hangup": 4, "worker_lost": 1},
    }
    assert found["call_metrics"] == {
        "answered": 4,
        "answer_rate": 0.8,
        "avg_time_to_answer_seconds": 0.5,
        "minutes": round(160 / 60, 4),
        "cost_cents": None,
        "avg_duration_seconds": 40.0,
        "p50_duration_seconds": 20.0,
        "p95_duration_seconds": 100.0,
        "max_duration_seconds": 100.0,
    }
    assert found["by_agent"][0] == {
        "agent_id": agent["id"],
        "name": "Ann",
        "calls": 4,
        "minutes": round(160 / 60, 4),
    }
    assert {"action": "call.created", "count": 6} in found["audit_actions"]
    assert "agent.created" in found["known_actions"]
    assert found["error_signals"] == {
        "calls_ended_in_error": 1,
        "webhook_deliveries_failed": 0,
        "kb_sources_errored": [],
    }
    await api.ask("DELETE", f"/v1/agents/{agent['id']}")
    assert (await get(api, "/v1/activity/summary"))["by_agent"][0]["name"] is None
    nothing = (await api.client.get("/v1/activity/summary", headers=api.other_auth)).json()
    assert (nothing["call_summary"]["total"], nothing["call_metrics"]["answer_rate"]) == (0, None)
    assert nothing["known_actions"] == []


async def test_days_of_a_time_zone(api: Api) -> None:
    # Paris goes from +1 to +2 on 29 March 2026 at 02:00: that day has 23 hours.
    for at in (
        datetime(2026, 3, 28, 22, 59, tzinfo=UTC),  # 28th, 23:59
        datetime(2026, 3, 28, 23, 0, tzinfo=UTC),  # 29th, 00:00
        datetime(2026, 3, 29, 21, 59, tzinfo=UTC),  # 29th, 23:59
        datetime(2026, 3, 29, 22, 0, tzinfo=UTC),  # 30th, 00:00
    ):
        await call(api, at=at)
    span = {"since": "2026-03-28T12:00:00+01:00", "until": "2026-03-31T00:00:00+02:00"}
    found = await get(api, "/v1/activity/timeseries", tz="Europe/Paris", **span)
    assert (found["bucket"], found["tz"]) == ("day", "Europe/Paris")
    assert [(datetime.fromisoformat(point["bucket_start"]), point["calls"]) for point in found["points"]] == [
        (datetime(2026, 3, 27, 23, tzinfo=UTC), 1),
        (datetime(2026, 3, 28, 23, tzinfo=UTC), 2),
        (datetime(2026, 3, 29, 22, tzinfo=UTC), 1),
    ]
    in_utc = await get(api, "/v1/activity/timeseries", **span)
    assert [point["calls"] for point in in_utc["points"]] == [2, 2, 0]
    year = await get(api, "/v1/activity/timeseries", since="2025-05-01T00:00:00Z", until="2026-05-01T00:00:00Z")
    assert (len(year["points"]), sum(point["calls"] for point in year["points"])) == (365, 4)
    assert sum(point["calls"] for point in (await get(api, "/v1/activity/timeseries"))["points"]) == 0


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"tz": "US/Eastern"}, "tz"),
        ({"tz": "EST"}, "tz"),
        ({"tz": "Europe/Nowhere"}, "tz"),
        ({"tz": "../../etc/passwd"}, "tz"),
        ({"tz": ""}, "tz"),
        ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-02T00:00:00Z"}, "since"),
        ({"since": "2024-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}, "since"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "since"),
        ({"until": "9999-12-31T23:59:59-14:00"}, "until"),
        ({"since": "2026-01-01T00:00:00"}, "since"),
        ({"bucket": "hour"}, "bucket"),
    ],
)
async def test_spans_that_are_none(api: Api, params: dict[str, str], param: str) -> None:
    answer = await api.ask("GET", "/v1/activity/timeseries", params=params)
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, param)
