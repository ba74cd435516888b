"""Groups of jobs in one transaction: each has its own outcome, whatever becomes of its neighbours."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from oneinbox.api.db.database import Database
from oneinbox.api.db.together import Together
from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.core.tasks import TaskScope


@dataclass
class Transactions:
    """A database that only counts: each transaction is open until it is let go."""

    tasks: TaskScope = field(default_factory=lambda: TaskScope("test"))
    committed: list[list[str]] = field(default_factory=list[list[str]])
    open: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def write_plain(self, work: Callable[[Connection], Any]) -> Any:
        made = work(cast("Connection", None))
        self.open.set()
        await self.let_go.wait()
        self.committed.append([one for one in made if isinstance(one, str)])
        return made


def carry_out(_: Connection, jobs: Sequence[str]) -> list[str | AppError]:
    if "poison" in jobs:
        raise ValueError("poison")
    if "busy" in jobs:
        raise OperationalError("BEGIN", None, Exception("database is locked"))
    return [AppError("no", "no", ErrorKind.CONFLICT) if job == "refused" else job.upper() for job in jobs]


class World:
    def __init__(self) -> None:
        self.database = Transactions()
        self.withdrawn: list[tuple[str, str]] = []
        self.group = Together[str, str](cast("Database", self.database), carry_out, self._withdraw)

    async def _withdraw(self, job: str, outcome: str) -> None:
        self.withdrawn.append((job, outcome))

    async def all(self, *jobs: str) -> list[str | BaseException]:
        self.database.let_go.set()
        return await asyncio.gather(*(self.group.do(job) for job in jobs), return_exceptions=True)


async def test_what_comes_at_once_is_one_transaction() -> None:
    world = World()
    assert await world.all("a", "b", "c") == ["A", "B", "C"]
    assert world.database.committed == [["A", "B", "C"]]
    assert await world.all("d") == ["D"]


async def test_what_comes_during_a_commit_is_the_next_transaction() -> None:
    world = World()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(world.group.do("a"))
        await world.database.open.wait()
        tasks.create_task(world.group.do("b"))
        tasks.create_task(world.group.do("c"))
        await asyncio.sleep(0)
        world.database.let_go.set()
    assert world.database.committed == [["A"], ["B", "C"]]


async def test_a_refusal_is_its_own_jobs() -> None:
    outcomes = await World().all("a", "refused", "b")
    assert [outcomes[0], outcomes[2]] == ["A", "B"]
    assert isinstance(outcomes[1], AppError)


async def test_nobody_fails_for_anothers_reason() -> None:
    world = World()
    outcomes = await world.all("a", "poison", "b")
    assert [outcomes[0], outcomes[2]] == ["A", "B"]
    assert isinstance(outcomes[1], ValueError)
    assert world.database.committed == [["A"], ["B"]]


async def test_a_busy_database_is_not_asked_again_for_each() -> None:
    world = World()
    outcomes = await world.all("a", "busy")
    assert all(isinstance(outcome, OperationalError) for outcome in outcomes)
    assert world.database.committed == []
    assert await world.all("c") == ["C"]


async def test_what_was_committed_for_somebody_who_is_gone_is_withdrawn() -> None:
    world = World()
    async with asyncio.TaskGroup() as tasks:
        given_up = tasks.create_task(world.group.do("a"))
        stays = tasks.create_task(world.group.do("b"))
        await world.database.open.wait()
        given_up.cancel()
        await asyncio.sleep(0)
        world.database.let_go.set()
    assert stays.result() == "B"
    assert world.withdrawn == [("a", "A")]


async def test_what_is_given_up_when_its_outcome_is_there_is_withdrawn_too() -> None:
    world = World()
    waiting = asyncio.create_task(world.group.do("a"))
    await world.database.open.wait()
    world.database.let_go.set()
    while not world.database.committed:
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    while not world.withdrawn:
        await asyncio.sleep(0)
    assert world.withdrawn == [("a", "A")]


async def test_what_is_given_up_before_its_turn_is_never_begun() -> None:
    world = World()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(world.group.do("a"))
        await world.database.open.wait()
        given_up = tasks.create_task(world.group.do("b"))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.sleep(0)
        world.database.let_go.set()
    assert world.database.committed == [["A"]]
    assert world.withdrawn == []


async def test_a_database_that_is_closed_leaves_nobody_waiting() -> None:
    world = World()
    waiting = [asyncio.create_task(world.group.do(job)) for job in "ab"]
    await world.database.open.wait()
    late = asyncio.create_task(world.group.do("c"))
    await asyncio.sleep(0)
    await world.database.tasks.aclose()
    for one in (*waiting, late):
        with pytest.raises(asyncio.CancelledError):
            await one
