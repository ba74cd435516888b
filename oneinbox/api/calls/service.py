"""Calls: the rules."""

import asyncio
import re
import secrets
from dataclasses import dataclass

from oneinbox.api.agents.repo import agent_with_model
from oneinbox.api.agents.service import agent_not_found
from oneinbox.api.audit import trail
from oneinbox.api.calls import repo
from oneinbox.api.calls.answer import call_answer
from oneinbox.api.calls.dispatcher import Dispatcher
from oneinbox.api.calls.recorder import Recorder
from oneinbox.api.calls.resolve import CallNames, make_spec
from oneinbox.api.calls.schemas import (
    CallAnswer,
    CallOverrides,
    CallPatch,
    WebCallAnswer,
    WebCallRequest,
    WebCallTokenRequest,
)
from oneinbox.api.config import ApiConfig
from oneinbox.api.db.database import Database
from oneinbox.api.db.tables import Agent, Call, LanguageModel
from oneinbox.api.http.auth import Caller
from oneinbox.api.http.cursor import CursorPage, CursorRequest, Place
from oneinbox.api.http.outbound import OutboundGuard
from oneinbox.api.http.paging import Page, PageRequest
from oneinbox.core.clock import utc_now
from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.core.events import CallStatus, EndReason
from oneinbox.core.ids import new_id, new_room_name
from oneinbox.core.spec import CallSpec
from oneinbox.core.tokens import mint_participant_token

_ROOM_TRIES = 5
_END_POLL_S = 0.02
_UNHEARD_END_S = 0.5
"""How long an end that is on its way from a worker may take to be on record."""


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Who starts a call: an organisation, and for a web page its key and origin."""

    org_id: str
    server_url: str
    publishable_key_id: str | None = None
    origin: str | None = None


class CallService:
    """Starting, reading, stopping and deleting calls."""

    def __init__(self, database: Database, dispatcher: Dispatcher, config: ApiConfig, outbound: OutboundGuard) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._config = config
        self._outbound = outbound
        self._recorder = Recorder(database)

    # ---- starting -------------------------------------------------------------------------------------------------

    async def start_web_call(self, asker: Asker, body: WebCallTokenRequest) -> WebCallAnswer:
        """Resolve the call, put it on record, hand it to a worker, and return what a browser needs to join it.

        When any of this fails nothing of the call is left.
        """
        overrides = body.overrides if isinstance(body, WebCallRequest) else None
        if (webhook_url := _webhook_url(body)) is not None:
            self._outbound.require(webhook_url, param="webhook_url")
        async with self._database.read() as rows:
            found = await agent_with_model(rows, asker.org_id, body.agent_id)
        if found is None:
            raise agent_not_found(body.agent_id)
        spec, call = await self._put_on_record(asker, *found, body, overrides)
        await self._dispatch(spec)
        token = mint_participant_token(
            secret=self._config.token_secret,
            issuer=self._config.token_issuer,
            room_name=spec.room_name,
            identity=spec.identity,
            ttl_s=self._config.join_ttl_s,
            origin=asker.origin,
        )
        return WebCallAnswer(
            id=call.id,
            agent_id=call.agent_id,
            type="web",
            status="queued",
            room_name=call.room_name,
            server_url=asker.server_url,
            participant_token=token,
            created_at=call.created_at,
        )

    async def _put_on_record(
        self,
        asker: Asker,
        agent: Agent,
        model: LanguageModel,
        body: WebCallTokenRequest,
        overrides: CallOverrides | None,
    ) -> tuple[CallSpec, Call]:
        call_id, identity = new_id("call"), f"user-{secrets.token_hex(8)}"
        for _ in range(_ROOM_TRIES):
            names = CallNames(call_id=call_id, room_name=new_room_name(), identity=identity)
            spec = make_spec(
                agent, model, overrides=overrides, variables=body.variables or {}, names=names, config=self._config
            )
            call = _new_call(spec, asker, agent, model, body)
            call.server_id = self._config.server_id
            try:
                async with self._database.write() as rows:
                    await repo.add_call(rows, call)
            except repo.RoomTakenError:
                continue
            return spec, call
        raise RuntimeError(f"{_ROOM_TRIES} random room names in a row were taken")

    async def _dispatch(self, spec: CallSpec) -> None:
        dispatched = False
        try:
            await self._dispatcher.start_call(spec)
            dispatched = True
        finally:
            if not dispatched:  # refused, failed, or given up: nobody was told of this call
                async with self._database.write() as rows:
                    call = await repo.get_call(rows, spec.org_id, spec.call_id)
                    if call is not None:
                        await rows.delete(call)

    # ---- reading --------------------------------------------------------------------------------------------------

    async def page(self, org_id: str, asked: PageRequest, wanted: repo.CallFilter) -> Page[CallAnswer]:
        """Return one page of calls, newest first."""
        async with self._database.read() as rows:
            found, total = await repo.page_of_calls(rows, org_id, wanted, limit=asked.limit, offset=asked.offset)
            histories = await repo.histories(rows, found)
        items = [call_answer(history) for history in histories]
        return Page(items=items, total=total, limit=asked.limit, offset=asked.offset)

    async def cursor_page(self, org_id: str, asked: CursorRequest, wanted: repo.CallFilter) -> CursorPage[CallAnswer]:
        """Return one page of calls, newest first; calls made meanwhile shift nothing."""
        after = None if asked.after is None else (asked.after.created_at, asked.after.id)
        async with self._database.read() as rows:
            found = await repo.calls_after(rows, org_id, wanted, after=after, limit=asked.limit + 1)
            has_more, found = len(found) > asked.limit, found[: asked.limit]
            histories = await repo.histories(rows, found)
        return CursorPage(
            items=[call_answer(history) for history in histories],
            next_cursor=str(Place(found[-1].created_at, found[-1].id)) if has_more else None,
            has_more=has_more,
            limit=asked.limit,
        )

    async def update(self, caller: Caller, call_id: str, body: CallPatch) -> CallAnswer:
        """Set the call's outcome."""
        async with self._database.write() as rows:
            call = await repo.get_call(rows, caller.org_id, call_id)
            if call is None:
                raise _call_not_found(call_id)
            if "outcome" in body.said():
                call.outcome = None if body.outcome is None else _title(body.outcome)
                call.updated_at = utc_now()
            await trail.record(rows, caller, "call.updated", "call", call.id)
        return await self.get(caller.org_id, call_id)

    async def get(self, org_id: str, call_id: str) -> CallAnswer:
        """Return one call's record."""
        async with self._database.read() as rows:
            call = await repo.get_call(rows, org_id, call_id)
            if call is None:
                raise _call_not_found(call_id)
            (history,) = await repo.histories(rows, [call])
        return call_answer(history)

    # ---- ending ---------------------------------------------------------------------------------------------------

    async def stop(self, org_id: str, call_id: str) -> CallAnswer:
        """End the call, where it has not ended yet, and return its record, with the end where that came in time."""
        call = await self._state(org_id, call_id)
        if not CallStatus(call.status).final:
            await self._stop(org_id, call_id)
        return await self.get(org_id, call_id)

    async def _stop(self, org_id: str, call_id: str) -> None:
        wait_s = self._config.stop_wait_s
        if await self._dispatcher.stop_call(call_id, EndReason.API_STOP):
            await self._wait_for_end(org_id, call_id, wait_s)
            return
        # No worker has it: its end is just being recorded, or it has not reached a worker yet, or never will.
        if await self._wait_for_end(org_id, call_id, min(wait_s, _UNHEARD_END_S)):
            return
        if await self._dispatcher.stop_call(call_id, EndReason.API_STOP):
            await self._wait_for_end(org_id, call_id, wait_s)
        else:
            await self._recorder.fail_calls([call_id], EndReason.API_STOP)

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

    async def delete(self, org_id: str, call_id: str) -> None:
        """Delete an ended call and everything recorded of it."""
        async with self._database.write() as rows:
            call = await repo.get_call(rows, org_id, call_id)
            if call is None:
                raise _call_not_found(call_id)
            if not CallStatus(call.status).final:
                raise AppError(
                    "call_is_live",
                    f"the call has not ended: stop it first (POST /v1/calls/{call.id}/stop)",
                    ErrorKind.CONFLICT,
                )
            await rows.delete(call)

    async def _state(self, org_id: str, call_id: str) -> Call:
        async with self._database.read() as rows:
            call = await repo.get_call(rows, org_id, call_id)
        if call is None:
            raise _call_not_found(call_id)
        return call


def _webhook_url(body: WebCallTokenRequest) -> str | None:
    return body.webhook_url if isinstance(body, WebCallRequest) else None


def _title(outcome: str) -> str:
    """``not_interested`` is kept as ``Not Interested``; capitals that were sent stay."""
    return " ".join(word[:1].upper() + word[1:] for word in re.split(r"[ _-]", outcome))


def _new_call(spec: CallSpec, asker: Asker, agent: Agent, model: LanguageModel, body: WebCallTokenRequest) -> Call:
    now = utc_now()
    return Call(
        id=spec.call_id,
        org_id=spec.org_id,
        agent_id=spec.agent_id,
        llm_id=model.id,
        type="web",
        status=CallStatus.QUEUED.value,
        room_name=spec.room_name,
        publishable_key_id=asker.publishable_key_id,
        variables=body.variables or {},
        custom_metadata=body.metadata or {},
        webhook_id=agent.webhook_id,
        webhook_url=_webhook_url(body),
        providers={str(stage): provider for stage, provider in spec.providers().items()},
        created_at=now,
        updated_at=now,
    )


def _call_not_found(call_id: str) -> AppError:
    return AppError("call_not_found", f"there is no call {call_id[:80]!r}", ErrorKind.NOT_FOUND)
