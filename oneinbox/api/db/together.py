"""Work that comes at once is done in one transaction, and each part of it has an outcome of its own.

While one group is being committed the next one gathers, so groups grow with the load and nothing waits for a timer.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from oneinbox.api.db.database import Database
from oneinbox.core.errors import AppError

Job = TypeVar("Job")
Outcome = TypeVar("Outcome")

_log = logging.getLogger(__name__)
_MAX_GROUP = 64
_NOBODYS_FAULT = (OperationalError, PoolTimeoutError, OSError)
"""The database is busy, full or away: whoever is tried alone would only wait once more."""


class Together(Generic[Job, Outcome]):
    """Carries out jobs in groups.

    ``work`` does a group's jobs in the transaction it is handed and returns an outcome for each, in order: an
    ``AppError`` where the job is refused (it has written nothing then). When it raises, nothing of the group is kept,
    and each job is tried in a transaction of its own: nobody fails for another's reason.
    ``withdraw`` undoes what was committed for somebody who is gone.
    """

    def __init__(
        self,
        database: Database,
        work: Callable[[Connection, Sequence[Job]], Sequence[Outcome | AppError]],
        withdraw: Callable[[Job, Outcome], Awaitable[None]],
    ) -> None:
        self._database = database
        self._work = work
        self._withdraw = withdraw
        self._waiting: list[tuple[Job, asyncio.Future[Outcome]]] = []
        self._running = False

    async def do(self, job: Job) -> Outcome:
        """Return the job's outcome once it is committed. Raises its ``AppError``, or what made it fail."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, future))
        if not self._running:
            self._running = True
            self._database.tasks.spawn(self._run(), "group")
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                # Given up in the moment between the commit and the waiting task's turn.
                self._database.tasks.spawn(self._undo(job, future.result()), "withdraw")
            raise

    async def _run(self) -> None:
        try:
            await asyncio.sleep(0)  # what has come at the same time is on its way here
            while self._waiting:
                group = [one for one in self._waiting[:_MAX_GROUP] if not one[1].cancelled()]
                del self._waiting[:_MAX_GROUP]
                if group:
                    await self._carry_out(group)
        finally:
            self._running = False
            for _, future in self._waiting:
                future.cancel()  # the database is being closed
            self._waiting.clear()

    async def _carry_out(self, group: Sequence[tuple[Job, asyncio.Future[Outcome]]]) -> None:
        jobs = [job for job, _ in group]
        try:
            outcomes = await self._database.write_plain(lambda connection: self._work(connection, jobs))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised in the tasks that wait
            if len(group) > 1 and not isinstance(error, _NOBODYS_FAULT):
                for one in group:
                    await self._carry_out([one])
                return
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
            return
        except BaseException:
            for _, future in group:
                future.cancel()
            raise
        for (job, future), outcome in zip(group, outcomes, strict=True):
            await self._tell(job, future, outcome)

    async def _tell(self, job: Job, future: "asyncio.Future[Outcome]", outcome: Outcome | AppError) -> None:
        if isinstance(outcome, AppError):
            if not future.done():
                future.set_exception(outcome)
        elif not future.done():
            future.set_result(outcome)
        else:
            await self._undo(job, outcome)

    async def _undo(self, job: Job, outcome: Outcome) -> None:
        try:
            await self._withdraw(job, outcome)
        except Exception:  # noqa: BLE001 - nobody waits for it: it is logged, and the next group goes on
            _log.exception("what was done for a request that was given up could not be undone")
