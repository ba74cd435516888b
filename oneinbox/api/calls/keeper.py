"""What a server does for the truth about its calls, beside running them.

1. Where several servers share a database, each has a lease and renews it. One whose lease has run out counts as dead, and
   any other ends its calls as ``server_lost``. A server that has lost its own lease (it was paused, or the database was
   away) judges nobody for as long as a lease lasts, so that all can come back first.
2. What another server asks of a call that runs here is done.
3. Running calls of a publishable key whose minutes of the day are used up are ended.
4. A call that is open on record and that no worker has is ended (its hand-over failed, and so did taking it back). A call
   that has an end on record and is still spoken is stopped.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from oneinbox.api.calls import ending, instructing, repo, servers
from oneinbox.api.calls.dispatcher import Dispatcher
from oneinbox.api.calls.ending import CallEnder
from oneinbox.api.calls.recorder import Recorder
from oneinbox.api.db.database import Database
from oneinbox.api.db.tables import CallCommand
from oneinbox.api.keys.minutes import used_up
from oneinbox.core.clock import utc_now
from oneinbox.core.events import EndReason
from oneinbox.core.tasks import TaskScope

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How often what is done, in seconds."""

    lease_s: float = 8.0
    beat_s: float = 2.0
    commands_s: float = 0.2
    minutes_s: float = 0.5
    """At least; sooner where a budget is used up sooner."""
    orphans_s: float = 5.0
    orphan_patience_s: float = 10.0
    """How long no worker may have an open call: its hand-over takes milliseconds."""


class CallKeeper:
    """The background work of one server. ``server_id``: ``None`` where it has the database to itself."""

    def __init__(
        self,
        database: Database,
        dispatcher: Dispatcher,
        recorder: Recorder,
        server_id: str | None,
        *,
        pace: Pace = Pace(),
    ) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._recorder = recorder
        self._server_id = server_id
        self._pace = pace
        self._ender = CallEnder(database, dispatcher, recorder, server_id, wait_s=0.0)
        self._judges_from: datetime | None = None
        self._missed_since: dict[str, float] = {}
        self._scope = TaskScope("calls")

    async def start(self) -> None:
        """Take the lease and begin; :meth:`aclose` ends it."""
        if self._server_id is not None:
            await self.beat(self._server_id)
            server_id = self._server_id
            self._repeat("lease", self._pace.beat_s, lambda: self.beat(server_id))
            self._repeat("commands", self._pace.commands_s, lambda: self.obey(server_id))
        self._scope.spawn(self._watch_minutes(), "minutes")
        self._repeat("orphans", self._pace.orphans_s, self.end_orphans)

    async def aclose(self) -> None:
        """Stop, and give the lease back. By then the calls have ended."""
        await self._scope.aclose()
        if self._server_id is not None:
            try:
                async with self._database.write() as rows:
                    await servers.remove(rows, self._server_id)
            except (SQLAlchemyError, OSError):
                _log.warning("the lease could not be given back; it runs out by itself", exc_info=True)

    # ---- several servers ----------------------------------------------------------------------------------------

    async def beat(self, server_id: str) -> None:
        """Renew the lease, and end the calls of servers that did not."""
        async with self._database.write() as rows:
            now = await servers.now_of(rows)
            lease = timedelta(seconds=self._pace.lease_s)
            held = await servers.renew_lease(rows, server_id, now + lease, now)
        if not held or self._judges_from is None:
            if self._judges_from is not None:
                _log.error("this server's lease had run out: others may have ended its calls")
                await self.stop_what_has_ended()
            self._judges_from = now + lease
        elif now >= self._judges_from:
            await self._recorder.fail_stranded()

    async def obey(self, server_id: str) -> None:
        """Do what other servers ask."""
        async with self._database.read() as rows:
            if not await servers.is_asked(rows, server_id):
                return
        async with self._database.write() as rows:
            commands = await servers.take_commands(rows, server_id)
        for command in commands:
            self._scope.spawn(self._carry_out(command), f"{command.name}:{command.call_id}")

    async def _carry_out(self, command: CallCommand) -> None:
        match command.name:
            case ending.STOP:
                await self._ender.end_here(command.org_id, command.call_id, EndReason(command.body["reason"]))
            case instructing.TELL:
                await self._dispatcher.tell_call(command.call_id, instructing.read_instruction(command.body))
            case other:
                _log.error("another server asks for %r, which this release does not know", other)

    # ---- one server ---------------------------------------------------------------------------------------------

    async def end_spent_calls(self) -> float | None:
        """End the calls here whose key's minutes are used up; returns in how many seconds the next may be."""
        if not self._dispatcher.calls_in_hand():
            return None
        found = await self._database.read_plain(partial(used_up, now=utc_now()))
        for call_id in found.call_ids:
            await self._dispatcher.stop_call(call_id, EndReason.BUDGET_EXHAUSTED)
        return found.next_s

    async def end_orphans(self) -> None:
        """End the open calls that no worker has had for long; stop those that are spoken though they have ended."""
        async with self._database.read() as rows:
            still_open = await repo.open_call_ids(rows, self._server_id)
        missing = still_open - self._dispatcher.calls_in_hand()
        now = asyncio.get_running_loop().time()
        self._missed_since = {call_id: self._missed_since.get(call_id, now) for call_id in missing}
        patience_s = self._pace.orphan_patience_s
        orphans = sorted(call_id for call_id, since in self._missed_since.items() if now - since >= patience_s)
        if orphans:
            _log.error("no worker has these calls, which have not ended on record: %s", ", ".join(orphans))
            await self._recorder.fail_calls(orphans, EndReason.INTERNAL_ERROR)
        await self.stop_what_has_ended()

    async def stop_what_has_ended(self) -> None:
        """Stop the calls here whose record another server has ended."""
        in_hand = self._dispatcher.calls_in_hand()
        if not in_hand:
            return
        async with self._database.read() as rows:
            ended = await repo.ended_among(rows, in_hand)
        for call_id in ended:
            if await self._dispatcher.stop_call(call_id, EndReason.SERVER_LOST):
                _log.error("call %s has ended on record and was still spoken: it is stopped", call_id)

    # ---- turns of the wheel -------------------------------------------------------------------------------------

    async def _watch_minutes(self) -> None:
        while True:
            next_s = None
            try:
                next_s = await self.end_spent_calls()
            except (SQLAlchemyError, OSError):
                _log.exception("the minutes of publishable keys could not be looked at")
            await asyncio.sleep(
                self._pace.minutes_s if next_s is None else min(max(next_s, 0.02), self._pace.minutes_s)
            )

    def _repeat(self, name: str, every_s: float, work: Callable[[], Awaitable[None]]) -> None:
        async def turn() -> None:
            while True:
                await asyncio.sleep(every_s)
                try:
                    await work()
                except (SQLAlchemyError, OSError):
                    _log.exception("%s: the database refuses; it is tried again", name)

        self._scope.spawn(turn(), name)
