"""A publishable key's minutes of the day: when all of its running calls together have used them up, they end."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from oneinbox.api.calls.keeper import CallKeeper, Pace
from oneinbox.api.db.tables import Call
from oneinbox.core.clock import utc_now
from oneinbox.core.events import CallEnded, EndReason
from tests.support.api import Api, began

SITE = "https://shop.example.com"


async def page_key(api: Api, minutes: int | None) -> dict[str, Any]:
    limits = {} if minutes is None else {"daily_minutes": minutes}
    return await api.made("/v1/publishable-keys", name="Widget", allowed_origins=[SITE], limits=limits)


async def call(api: Api, key: dict[str, Any]) -> str:
    answer = await api.client.post(
        "/v1/web-calls/token",
        headers={"Authorization": f"Bearer {key['key']}", "Origin": SITE},
        json={"agent_id": api.first.demo_agent_id},
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def ends(api: Api, *call_ids: str) -> list[str | None]:
    return [(await api.ask("GET", f"/v1/calls/{one}")).json()["end_reason"] for one in call_ids]


@pytest.fixture
def keeper(api: Api) -> CallKeeper:
    api.dispatcher.recorder = api.recorder
    return CallKeeper(api.database, api.dispatcher, api.recorder, None)


async def test_all_running_calls_of_the_key_end_together(api: Api, keeper: CallKeeper) -> None:
    key, other, unlimited = await page_key(api, 3), await page_key(api, 3), await page_key(api, None)
    ended, first, waiting = await call(api, key), await call(api, key), await call(api, key)
    await api.recorder.record(CallEnded(call_id=ended, reason=EndReason.USER_HANGUP, duration_s=40))
    second = await call(api, key)
    of_another, of_none = await call(api, other), await call(api, unlimited)
    await began(api, first, seconds_ago=100)
    await began(api, second, seconds_ago=30)
    await began(api, of_another, seconds_ago=170)
    await began(api, of_none, seconds_ago=500)
    next_s = await keeper.end_spent_calls()
    assert next_s is not None
    assert next_s <= (180 - 40 - 100 - 30) / 3  # two talk, and a third may begin
    assert await ends(api, first, second, waiting) == [None] * 3
    await began(api, second, seconds_ago=40.1)
    await keeper.end_spent_calls()
    assert await ends(api, first, second, waiting) == ["budget_exhausted"] * 3
    assert await ends(api, of_another, of_none) == [None, None]
    record = (await api.ask("GET", f"/v1/calls/{first}")).json()
    assert (record["status"], record["end_owner"]) == ("completed", "account")


async def test_a_limit_that_is_lowered_counts_for_running_calls(api: Api, keeper: CallKeeper) -> None:
    key = await page_key(api, 60)
    mine = await call(api, key)
    await began(api, mine, seconds_ago=90)
    await keeper.end_spent_calls()
    assert await ends(api, mine) == [None]
    await api.ask("PATCH", f"/v1/publishable-keys/{key['id']}", json={"limits": {"daily_minutes": 1}})
    await keeper.end_spent_calls()
    assert await ends(api, mine) == ["budget_exhausted"]


async def test_a_call_counts_to_the_day_on_which_it_was_made(api: Api, keeper: CallKeeper) -> None:
    key = await page_key(api, 2)
    yesterday, today = await call(api, key), await call(api, key)
    async with api.database.write() as rows:
        await rows.execute(update(Call).where(Call.id == yesterday).values(created_at=utc_now() - timedelta(days=1)))
    await began(api, yesterday, seconds_ago=119)
    await began(api, today, seconds_ago=100)
    await keeper.end_spent_calls()
    assert await ends(api, yesterday, today) == [None, None]
    await began(api, yesterday, seconds_ago=121)
    await keeper.end_spent_calls()
    assert await ends(api, yesterday, today) == ["budget_exhausted", None]
    assert await call(api, key)  # of today's two minutes one call has taken 100 s: there are 20 s left


async def test_the_wheel_turns_by_itself_and_in_time(api: Api) -> None:
    """Not the next turn of the wheel is waited for, but the moment at which the minutes are used up."""
    key = await page_key(api, 1)
    mine = await call(api, key)
    await began(api, mine, seconds_ago=59.5)
    api.dispatcher.recorder = api.recorder
    keeper = CallKeeper(api.database, api.dispatcher, api.recorder, None, pace=Pace(minutes_s=3600))
    await keeper.start()
    try:
        async with asyncio.timeout(60):
            while (await ends(api, mine)) == [None]:
                await asyncio.sleep(0.02)
    finally:
        await keeper.aclose()
    assert await ends(api, mine) == ["budget_exhausted"]
