"""Several servers on one database: leases, calls of dead servers, and stopping a call that another server runs."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from oneinbox.api.app import create_app
from oneinbox.api.calls.keeper import CallKeeper, Pace
from oneinbox.api.calls.recorder import Recorder
from oneinbox.api.db.database import Database
from oneinbox.api.db.tables import Call, CallCommand, Server
from oneinbox.core.clock import utc_now
from oneinbox.core.events import CallActive, CallEnded, EndReason, MessageAdded, Role
from oneinbox.core.instructions import AddContext, Say, UserMessage
from tests.support.api import BASE_URL, Api, FakeDispatcher, make_config, running_api

NEVER = 3600.0
BY_HAND = Pace(lease_s=600, beat_s=NEVER, commands_s=NEVER, minutes_s=NEVER, orphans_s=NEVER)
"""The tests turn the wheel themselves."""
QUICK = Pace(lease_s=60, beat_s=0.05, commands_s=0.02, minutes_s=0.02, orphans_s=0.05, orphan_patience_s=60)


@dataclass
class Member:
    """One of several servers on the database of an :class:`Api`."""

    id: str
    database: Database
    dispatcher: FakeDispatcher
    keeper: CallKeeper
    client: httpx.AsyncClient
    api: Api

    async def call(self) -> str:
        """Start a call here."""
        body = {"agent_id": self.api.first.demo_agent_id}
        return (await self.ask("POST", "/v1/calls/web", json=body))["id"]

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        answer = await self.client.request(method, path, headers=self.api.auth, **more)
        assert answer.is_success, answer.text
        return answer.json()

    async def end_of(self, call_id: str) -> tuple[str, str | None]:
        record = await self.ask("GET", f"/v1/calls/{call_id}")
        return record["status"], record["end_reason"]

    async def beat(self) -> None:
        await self.keeper.beat(self.id)


@asynccontextmanager
async def member(api: Api, name: str, pace: Pace = BY_HAND) -> AsyncGenerator[Member, None]:
    database = await api.open_again()
    dispatcher = FakeDispatcher(recorder=Recorder(database))
    config = make_config(server_id=name, stop_wait_s=20.0)
    keeper = CallKeeper(database, dispatcher, Recorder(database, name), name, pace=pace)
    transport = httpx.ASGITransport(app=create_app(config, database, dispatcher))
    await keeper.start()
    try:
        async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as client:
            yield Member(name, database, dispatcher, keeper, client, api)
    finally:
        await keeper.aclose()
        await database.aclose()


async def let_lapse(api: Api, server_id: str) -> None:
    async with api.database.write() as rows:
        long_ago = utc_now() - timedelta(hours=1)
        await rows.execute(update(Server).where(Server.id == server_id).values(lease_until=long_ago))


def may_judge(one: Member) -> None:
    """As if a whole lease had passed since this server took its own."""
    one.keeper._judges_from = utc_now() - timedelta(hours=1)


async def servers(api: Api) -> set[str]:
    async with api.database.read() as rows:
        return set((await rows.execute(select(Server.id))).scalars())


async def test_a_dead_servers_calls_are_ended_by_another(api: Api) -> None:
    async with member(api, "srv_a") as a, member(api, "srv_b") as b:
        lost, untouched = await a.call(), await b.call()
        await a.dispatcher.recorder.record(CallActive(call_id=lost, answer_ms=1))  # type: ignore[union-attr] # it is set
        said = MessageAdded(
            call_id=lost, message_id="m1", role=Role.AGENT, content="Hello.", turn=0, start_s=0, end_s=2.5
        )
        await Recorder(a.database).record(said)
        may_judge(b)
        await b.beat()
        assert await b.end_of(lost) == ("in_progress", None)
        await let_lapse(api, "srv_a")
        await b.beat()
        record = await b.ask("GET", f"/v1/calls/{lost}")
        assert (record["status"], record["end_reason"], record["end_owner"]) == ("failed", "server_lost", "operator")
        assert record["duration_seconds"] == 2.5  # until its last recorded turn
        assert await b.end_of(untouched) == ("queued", None)
        assert await servers(api) == {"srv_b"}


async def test_two_that_find_it_dead_at_once_end_its_calls_once(api: Api) -> None:
    hook = await api.made("/v1/webhooks", name="x", url="https://hooks.example/x", events=["call.failed"])
    async with member(api, "srv_a") as a, member(api, "srv_b") as b, member(api, "srv_c") as c:
        lost = [await a.call() for _ in range(5)]
        await let_lapse(api, "srv_a")
        may_judge(b)
        may_judge(c)
        await asyncio.gather(b.beat(), c.beat())
        assert [await b.end_of(call_id) for call_id in lost] == [("failed", "server_lost")] * 5
    told = (await api.ask("GET", f"/v1/webhooks/{hook['id']}/deliveries")).json()["items"]
    assert [one["event"] for one in told] == ["call.failed"] * 5


async def test_a_server_that_was_away_judges_nobody_until_all_could_come_back(api: Api) -> None:
    """The database was away for longer than a lease: nobody is dead, and whoever is back first must not say so."""
    async with member(api, "srv_a") as a, member(api, "srv_b") as b:
        mine = await a.call()
        may_judge(b)
        await let_lapse(api, "srv_a")
        await let_lapse(api, "srv_b")
        await b.beat()
        await b.beat()
        assert await b.end_of(mine) == ("queued", None)
        await a.beat()
        may_judge(b)
        await b.beat()
        assert await b.end_of(mine) == ("queued", None)


async def test_a_new_server_judges_nobody_at_once(api: Api) -> None:
    async with member(api, "srv_a") as a:
        mine = await a.call()
        await let_lapse(api, "srv_a")
        async with member(api, "srv_b") as b:
            await b.beat()
            assert await b.end_of(mine) == ("queued", None)


async def test_a_server_that_comes_back_stops_what_others_have_ended(api: Api) -> None:
    async with member(api, "srv_a") as a, member(api, "srv_b") as b:
        taken = await a.call()
        await let_lapse(api, "srv_a")
        may_judge(b)
        await b.beat()
        kept = await a.call()
        await a.beat()
        assert a.dispatcher.stopped == [(taken, EndReason.SERVER_LOST)]
        assert await b.end_of(taken) == ("failed", "server_lost")
        assert await b.end_of(kept) == ("queued", None)
        assert await servers(api) == {"srv_a", "srv_b"}


async def test_one_that_stops_properly_leaves_nothing(api: Api) -> None:
    async with member(api, "srv_b") as b:
        may_judge(b)
        async with member(api, "srv_a") as a:
            left = await a.call()
            assert await servers(api) == {"srv_a", "srv_b"}
        assert await servers(api) == {"srv_b"}
        await b.beat()  # it could not write this end any more: there is no lease to wait for
        assert await b.end_of(left) == ("failed", "server_lost")


async def test_a_call_is_stopped_through_any_server(api: Api) -> None:
    async with member(api, "srv_a", QUICK) as a, member(api, "srv_b", QUICK) as b:
        mine = await a.call()
        record = await b.ask("POST", f"/v1/calls/{mine}/stop")
        assert (record["status"], record["end_reason"]) == ("completed", "api_stop")
        assert a.dispatcher.stopped == [(mine, EndReason.API_STOP)]
        assert b.dispatcher.stopped == []
        # One that its server has, but no worker of it: its record is ended there.
        unheld = await a.call()
        a.dispatcher.holds.clear()
        record = await b.ask("POST", f"/v1/calls/{unheld}/stop")
        assert (record["status"], record["end_reason"]) == ("completed", "api_stop")
        async with api.database.read() as rows:
            assert (await rows.execute(select(CallCommand.seq))).all() == []


async def test_stopping_a_call_of_a_dead_server_tells_that_it_was_lost(api: Api) -> None:
    async with member(api, "srv_a") as a, member(api, "srv_b") as b:
        mine = await a.call()
        await let_lapse(api, "srv_a")
        record = await b.ask("POST", f"/v1/calls/{mine}/stop")
        assert (record["status"], record["end_reason"]) == ("failed", "server_lost")


async def test_a_stop_that_takes_long_is_not_told_as_done(tmp_path: Path) -> None:
    async with running_api(tmp_path, server_id="srv_b") as api, member(api, "srv_a") as a:
        mine = await a.call()
        record = (await api.ask("POST", f"/v1/calls/{mine}/stop")).json()
        assert record["status"] == "queued"
        await a.keeper.obey("srv_a")
        async with asyncio.timeout(30):
            while (await a.end_of(mine))[0] == "queued":
                await asyncio.sleep(0.01)
        assert await a.end_of(mine) == ("completed", "api_stop")


# ---- telling a call that another server runs --------------------------------------------------------------------------


TOLD = {
    "say": ({"text": "Hello.", "interruptible": False, "interrupt": True}, Say),
    "context": ({"text": "Hello."}, AddContext),
    "message": ({"text": "Hello."}, UserMessage),
}


async def tell(one: Member, call_id: str, way: str, body: dict[str, Any]) -> httpx.Response:
    return await one.client.post(f"/v1/calls/{call_id}/{way}", headers=one.api.auth, json=body)


async def live_call(one: Member) -> str:
    call_id = await one.call()
    await Recorder(one.database, one.id).record(CallActive(call_id=call_id, answer_ms=1))
    return call_id


@pytest.mark.parametrize("way", TOLD)
async def test_a_call_is_told_through_any_server(api: Api, way: str) -> None:
    body, kind = TOLD[way]
    async with member(api, "srv_a", QUICK) as a, member(api, "srv_b", QUICK) as b:
        mine = await live_call(a)
        answer = await tell(b, mine, way, body)
        assert (answer.status_code, answer.json()) == (202, {"call_id": mine, "status": "accepted"})
        async with asyncio.timeout(30):
            while not a.dispatcher.told:
                await asyncio.sleep(0.01)
        assert a.dispatcher.told == [(mine, kind(**body))]
        assert b.dispatcher.told == []
        await a.keeper.obey("srv_a")
        assert len(a.dispatcher.told) == 1, "told once"


async def test_what_a_call_is_told_through_another_server_keeps_its_order(api: Api) -> None:
    texts = [f"Part {number}." for number in range(12)]
    async with member(api, "srv_a") as a, member(api, "srv_b") as b:
        mine = await live_call(a)
        for text in texts:
            assert (await tell(b, mine, "say", {"text": text})).status_code == 202
        assert a.dispatcher.told == []
        await a.keeper.obey("srv_a")
        async with asyncio.timeout(30):
            while len(a.dispatcher.told) < len(texts):
                await asyncio.sleep(0.01)
        assert [said.text for _, said in a.dispatcher.told if isinstance(said, Say)] == texts


@pytest.mark.parametrize("way", TOLD)
async def test_telling_a_call_of_a_dead_server_is_refused(api: Api, way: str) -> None:
    async with member(api, "srv_a") as a, member(api, "srv_b") as b:
        mine = await live_call(a)
        await let_lapse(api, "srv_a")
        answer = await tell(b, mine, way, TOLD[way][0])
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "call_not_live")
        async with api.database.read() as rows:
            assert (await rows.execute(select(CallCommand.seq))).all() == [], "nobody would ever carry it out"


async def test_a_call_that_has_ended_is_not_told_through_another_server(api: Api) -> None:
    async with member(api, "srv_a") as a, member(api, "srv_b") as b:
        mine = await live_call(a)
        await Recorder(a.database, a.id).record(CallEnded(call_id=mine, reason=EndReason.USER_HANGUP, duration_s=1))
        answer = await tell(b, mine, "say", {"text": "Hello."})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "call_not_live")
        waiting = await a.call()
        assert (await tell(b, waiting, "say", {"text": "Hello."})).status_code == 409
        assert (await tell(b, waiting, "context", {"text": "Hello."})).status_code == 202


# ---- open on record, and nobody has it ------------------------------------------------------------------------------


@pytest.mark.parametrize("server_id", [None, "srv_a"])
async def test_a_call_that_no_worker_has_is_ended(api: Api, server_id: str | None) -> None:
    pace = Pace(orphan_patience_s=0.0)
    keeper = CallKeeper(api.database, api.dispatcher, api.recorder, server_id, pace=pace)
    orphan, held, another = [await api.start_call() for _ in range(3)]
    api.dispatcher.holds = {held}
    async with api.database.write() as rows:
        await rows.execute(update(Call).values(server_id=server_id))
        await rows.execute(update(Call).where(Call.id == another).values(server_id="srv_other"))
    await keeper.end_orphans()
    ends = [(await api.ask("GET", f"/v1/calls/{one}")).json()["end_reason"] for one in (orphan, held, another)]
    assert ends == ["internal_error", None, None if server_id else "internal_error"]


async def test_nobody_is_taken_for_an_orphan_too_soon(api: Api) -> None:
    keeper = CallKeeper(api.database, api.dispatcher, api.recorder, None, pace=Pace(orphan_patience_s=60.0))
    call = await api.made("/v1/calls/web", agent_id=api.first.demo_agent_id)
    api.dispatcher.holds.clear()
    await keeper.end_orphans()
    assert keeper._missed_since.keys() == {call["id"]}
    keeper._missed_since[call["id"]] -= 59
    await keeper.end_orphans()
    assert (await api.ask("GET", f"/v1/calls/{call['id']}")).json()["status"] == "queued"
    api.dispatcher.holds.add(call["id"])  # it was just being handed over
    await keeper.end_orphans()
    api.dispatcher.holds.clear()
    await keeper.end_orphans()
    assert (await api.ask("GET", f"/v1/calls/{call['id']}")).json()["status"] == "queued"
    keeper._missed_since[call["id"]] -= 61
    await keeper.end_orphans()
    assert (await api.ask("GET", f"/v1/calls/{call['id']}")).json()["end_reason"] == "internal_error"


async def test_a_hand_over_that_fails_and_cannot_be_taken_back_leaves_no_open_call(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(spec: object) -> None:
        monkeypatch.setattr(Database, "write", broken)
        raise OSError("the worker's link broke")

    def broken(self: Database) -> Any:
        raise OSError("the database is away")

    with monkeypatch.context() as patched:
        patched.setattr(api.dispatcher, "start_call", refuse)
        monkeypatch = patched
        answer = await api.ask("POST", "/v1/calls/web", json={"agent_id": api.first.demo_agent_id})
        assert answer.status_code >= 500
    (left,) = (await api.ask("GET", "/v1/calls")).json()["items"]
    assert left["status"] == "queued"
    keeper = CallKeeper(api.database, api.dispatcher, api.recorder, None, pace=Pace(orphan_patience_s=0.0))
    await keeper.end_orphans()
    assert (await api.ask("GET", f"/v1/calls/{left['id']}")).json()["status"] == "failed"
