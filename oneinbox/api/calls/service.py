"""Calls: the rules."""

import re

from oneinbox.api.audit import trail
from oneinbox.api.calls import repo
from oneinbox.api.calls.answer import call_answer
from oneinbox.api.calls.dispatcher import Dispatcher
from oneinbox.api.calls.ending import CallEnder
from oneinbox.api.calls.instructing import CallTeller
from oneinbox.api.calls.recorder import Recorder
from oneinbox.api.calls.schemas import (
    CallAnswer,
    CallPatch,
)
from oneinbox.api.config import ApiConfig
from oneinbox.api.db.database import Database
from oneinbox.api.db.tables import Call
from oneinbox.api.http.auth import Caller
from oneinbox.api.http.cursor import CursorPage, CursorRequest, Place
from oneinbox.api.http.paging import Page, PageRequest
from oneinbox.api.recordings import repo as recordings
from oneinbox.api.recordings.links import RecordingLinks
from oneinbox.core.clock import utc_now
from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.core.events import CallStatus, EndReason
from oneinbox.core.instructions import AddContext, Instruction, Say, UserMessage

_TOLD: dict[type[Instruction], str] = {
    Say: "call.said",
    AddContext: "call.context_added",
    UserMessage: "call.message_sent",
}


class CallService:
    """Reading, changing, stopping and deleting calls. :class:`oneinbox.api.calls.start.CallStarter` starts them.

    ``base_url`` is how whoever asks reaches this server: addresses in answers begin with it.
    """

    def __init__(self, database: Database, dispatcher: Dispatcher, config: ApiConfig, links: RecordingLinks) -> None:
        self._links = links
        self._database = database
        self._teller = CallTeller(database, dispatcher, config.server_id)
        self._ender = CallEnder(database, dispatcher, Recorder(database), config.server_id, wait_s=config.stop_wait_s)

    # ---- reading --------------------------------------------------------------------------------------------------

    async def page(self, org_id: str, asked: PageRequest, wanted: repo.CallFilter, base_url: str) -> Page[CallAnswer]:
        """Return one page of calls, newest first."""
        async with self._database.read() as rows:
            found, total = await repo.page_of_calls(rows, org_id, wanted, limit=asked.limit, offset=asked.offset)
            histories = await repo.histories(rows, found)
        items = [self._answer(history, base_url) for history in histories]
        return Page(items=items, total=total, limit=asked.limit, offset=asked.offset)

    async def cursor_page(
        self, org_id: str, asked: CursorRequest, wanted: repo.CallFilter, base_url: str
    ) -> CursorPage[CallAnswer]:
        """Return one page of calls, newest first; calls made meanwhile shift nothing."""
        after = None if asked.after is None else (asked.after.created_at, asked.after.id)
        async with self._database.read() as rows:
            found = await repo.calls_after(rows, org_id, wanted, after=after, limit=asked.limit + 1)
            has_more, found = len(found) > asked.limit, found[: asked.limit]
            histories = await repo.histories(rows, found)
        return CursorPage(
            items=[self._answer(history, base_url) for history in histories],
            next_cursor=str(Place(found[-1].created_at, found[-1].id)) if has_more else None,
            has_more=has_more,
            limit=asked.limit,
        )

    async def update(self, caller: Caller, call_id: str, body: CallPatch, base_url: str) -> CallAnswer:
        """Set the call's outcome."""
        async with self._database.write() as rows:
            call = await repo.get_call(rows, caller.org_id, call_id)
            if call is None:
                raise _call_not_found(call_id)
            if "outcome" in body.said():
                call.outcome = None if body.outcome is None else _title(body.outcome)
                call.updated_at = utc_now()
            await trail.record(rows, caller, "call.updated", "call", call.id)
        return await self.get(caller.org_id, call_id, base_url)

    async def get(self, org_id: str, call_id: str, base_url: str) -> CallAnswer:
        """Return one call's record."""
        async with self._database.read() as rows:
            call = await repo.get_call(rows, org_id, call_id)
            if call is None:
                raise _call_not_found(call_id)
            (history,) = await repo.histories(rows, [call])
        return self._answer(history, base_url)

    def _answer(self, history: repo.CallHistory, base_url: str) -> CallAnswer:
        return call_answer(history, self._links.url(history.recording, base_url))

    # ---- ending ---------------------------------------------------------------------------------------------------

    async def stop(self, caller: Caller, call_id: str, base_url: str) -> CallAnswer:
        """End the call, where it has not ended yet, and return its record, with the end where that came in time."""
        call = await self._state(caller.org_id, call_id)
        if not CallStatus(call.status).final:
            async with self._database.write() as rows:
                await trail.record(rows, caller, "call.stopped", "call", call.id)
            await self._ender.end(call, EndReason.API_STOP)
        return await self.get(caller.org_id, call_id, base_url)

    async def tell(self, caller: Caller, call_id: str, instruction: Instruction) -> None:
        """Tell a live call something. Raises ``AppError`` (``call_not_live``)."""
        call = await self._state(caller.org_id, call_id)
        await self._teller.tell(call, instruction)
        async with self._database.write() as rows:
            await trail.record(rows, caller, _TOLD[type(instruction)], "call", call.id)

    async def delete(self, caller: Caller, call_id: str) -> None:
        """Delete an ended call and everything recorded of it."""
        async with self._database.write() as rows:
            call = await repo.get_call(rows, caller.org_id, call_id)
            if call is None:
                raise _call_not_found(call_id)
            if not CallStatus(call.status).final:
                raise AppError(
                    "call_is_live",
                    f"the call has not ended: stop it first (POST /v1/calls/{call.id}/stop)",
                    ErrorKind.CONFLICT,
                )
            await rows.delete(call)
            await recordings.forget(rows, call.id)
            await trail.record(rows, caller, "call.deleted", "call", call.id)

    async def _state(self, org_id: str, call_id: str) -> Call:
        async with self._database.read() as rows:
            call = await repo.get_call(rows, org_id, call_id)
        if call is None:
            raise _call_not_found(call_id)
        return call


def _title(outcome: str) -> str:
    """``not_interested`` is kept as ``Not Interested``; capitals that were sent stay."""
    return " ".join(word[:1].upper() + word[1:] for word in re.split(r"[ _-]", outcome))


def _call_not_found(call_id: str) -> AppError:
    return AppError("call_not_found", f"there is no call {call_id[:80]!r}", ErrorKind.NOT_FOUND)
