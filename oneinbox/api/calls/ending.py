"""Ending a call from outside, whichever server runs it."""

import asyncio

from oneinbox.api.calls import repo, servers
from oneinbox.api.calls.dispatcher import Dispatcher
from oneinbox.api.calls.recorder import Recorder
from oneinbox.api.db.database import Database
from oneinbox.api.db.tables import Call
from oneinbox.core.events import CallStatus, EndReason

STOP = "stop"
"""The command's name; its body holds the ``reason``."""
_END_POLL_S = 0.02
_UNHEARD_END_S = 0.5
"""How long an end that is on its way from a worker may take to be on record."""


class CallEnder:
    """Ends calls. ``server_id``: this server, where several share the database."""

    def __init__(
        self, database: Database, dispatcher: Dispatcher, recorder: Recorder, server_id: str | None, *, wait_s: float
    ) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._recorder = recorder
        self._server_id = server_id
        self._wait_s = wait_s

    async def end(self, call: Call, reason: EndReason) -> None:
        """End the call, and return when that is on record or :attr:`wait_s` has passed."""
        if call.server_id is None or call.server_id == self._server_id:
            await self.end_here(call.org_id, call.id, reason)
        else:
            await self._end_elsewhere(call, reason)

    async def end_here(self, org_id: str, call_id: str, reason: EndReason) -> None:
        """End a call of this server. Where no worker has it, its record is ended."""
        if await self._dispatcher.stop_call(call_id, reason):
            await self._wait_for_end(org_id, call_id, self._wait_s)
            return
        # No worker has it: its end is just being recorded, or it has not reached a worker yet, or never will.
        if await self._wait_for_end(org_id, call_id, min(self._wait_s, _UNHEARD_END_S)):
            return
        if await self._dispatcher.stop_call(call_id, reason):
            await self._wait_for_end(org_id, call_id, self._wait_s)
        else:
            await self._recorder.fail_calls([call_id], reason)

    async def _end_elsewhere(self, call: Call, reason: EndReason) -> None:
        async with self._database.write() as rows:
            alive = call.server_id is not None and await servers.lives(rows, call.server_id)
            if alive:
                await servers.ask_server(rows, call, STOP, {"reason": reason.value})
        if alive:
            await self._wait_for_end(call.org_id, call.id, self._wait_s)
        else:
            await self._recorder.fail_stranded()

    async def _wait_for_end(self, org_id: str, call_id: str, limit_s: float) -> bool:
        deadline = asyncio.get_running_loop().time() + limit_s
        while True:
            async with self._database.read() as rows:
                call = await repo.get_call(rows, org_id, call_id)
            if call is None or CallStatus(call.status).final:
                return True
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(_END_POLL_S)
