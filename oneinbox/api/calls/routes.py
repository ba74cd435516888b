"""Calls over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Security
from pydantic import AwareDatetime
from starlette.requests import Request
from starlette.responses import Response

from oneinbox.api.calls.repo import CallFilter
from oneinbox.api.calls.schemas import (
    CallAnswer,
    CallPatch,
    Status,
    WebCallAnswer,
    WebCallRequest,
    WebCallTokenRequest,
)
from oneinbox.api.calls.service import Asker, CallService
from oneinbox.api.http.auth import Caller, Guard, bearer_of, publishable_key_scheme
from oneinbox.api.http.body import JsonRoute
from oneinbox.api.http.cursor import AskedByCursor, CursorPage
from oneinbox.api.http.documented import errors
from oneinbox.api.http.idempotency import keeps_its_own_answers
from oneinbox.api.http.own_origin import OwnOrigin
from oneinbox.api.http.paging import AskedPage, Page
from oneinbox.api.keys.service import KeyService, PageCaller
from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.core.events import EndReason

TOKEN_PATH = "/v1/web-calls/token"  # noqa: S105 - an address
_MAX_ID = 255


class PageGuard:
    """The dependency of the route for web pages: a publishable key, from a page of one of its origins."""

    def __init__(self, keys: KeyService) -> None:
        self._keys = keys

    async def __call__(
        self, request: Request, shown: Annotated[object, Security(publishable_key_scheme)] = None
    ) -> PageCaller:
        """Return whose page asks."""
        del shown  # it puts the scheme into the OpenAPI document; the header is read here
        key = bearer_of(request)
        if key is None:
            raise AppError(
                "missing_key",
                "send a publishable key: Authorization: Bearer oi_pk_...",
                ErrorKind.UNAUTHENTICATED,
            )
        return await self._keys.by_publishable_key(key, request.headers.getlist("origin"))


def _filter(
    *,
    agent_id: Annotated[str | None, Query(max_length=_MAX_ID)] = None,
    status: Annotated[Status | None, Query()] = None,
    end_reason: Annotated[EndReason | None, Query()] = None,
    outcome: Annotated[str | None, Query(max_length=100, description="As it stands on the record.")] = None,
    since: Annotated[AwareDatetime | None, Query(description="Made then or later.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Made before.")] = None,
) -> CallFilter:
    """Return which calls a list is asked for."""
    if "\0" in (outcome or ""):
        outcome = ""  # no record holds it, and Postgres would refuse it
    return CallFilter(
        agent_id=agent_id, status=status, end_reason=end_reason, outcome=outcome, since=since, until=until
    )


def call_routes(service: CallService, guard: Guard, keys: KeyService, own: OwnOrigin) -> APIRouter:
    """Return the routes below ``/v1/calls``, and the one for web pages."""
    router = APIRouter(tags=["calls"], route_class=JsonRoute)
    page_guard = PageGuard(keys)

    @router.post("/v1/calls/web", status_code=201, responses=errors(401, 403, 404, 413, 415, 503))
    @keeps_its_own_answers
    async def create_web_call(
        body: WebCallRequest, request: Request, response: Response, caller: Annotated[Caller, Depends(guard)]
    ) -> WebCallAnswer:
        """Start a web call from a server. Hand `server_url` and `participant_token` to the browser that joins it."""
        response.headers["Cache-Control"] = "no-store"
        return await service.start_web_call(Asker(org_id=caller.org_id, server_url=own.websocket_url(request)), body)

    @router.post(TOKEN_PATH, status_code=201, responses=errors(401, 403, 404, 413, 415, 503))
    @keeps_its_own_answers
    async def create_web_call_token(
        body: WebCallTokenRequest,
        request: Request,
        response: Response,
        page: Annotated[PageCaller, Depends(page_guard)],
    ) -> WebCallAnswer:
        """Start a web call from a web page, with a publishable key. Takes no `overrides`."""
        response.headers["Cache-Control"] = "no-store"
        asker = Asker(
            org_id=page.org_id,
            server_url=own.websocket_url(request),
            publishable_key_id=page.key_id,
            origin=page.origin,
        )
        return await service.start_web_call(asker, body)

    @router.get("/v1/calls", responses=errors(401, 403))
    async def list_calls(
        asked: AskedPage, wanted: Annotated[CallFilter, Depends(_filter)], caller: Annotated[Caller, Depends(guard)]
    ) -> Page[CallAnswer]:
        """List the calls, newest first."""
        return await service.page(caller.org_id, asked, wanted)

    @router.get("/v1/calls/cursor", responses=errors(401, 403))
    async def list_calls_by_cursor(
        asked: AskedByCursor, wanted: Annotated[CallFilter, Depends(_filter)], caller: Annotated[Caller, Depends(guard)]
    ) -> CursorPage[CallAnswer]:
        """List the calls, newest first, page by page: calls that are made meanwhile move nothing."""
        return await service.cursor_page(caller.org_id, asked, wanted)

    @router.get("/v1/calls/{call_id}", responses=errors(401, 403, 404))
    async def get_call(call_id: str, caller: Annotated[Caller, Depends(guard)]) -> CallAnswer:
        """Read one call's record, live or ended."""
        return await service.get(caller.org_id, call_id)

    @router.patch("/v1/calls/{call_id}", responses=errors(401, 403, 404, 413, 415))
    async def update_call(call_id: str, body: CallPatch, caller: Annotated[Caller, Depends(guard)]) -> CallAnswer:
        """Set a call's outcome, live or ended."""
        return await service.update(caller, call_id, body)

    @router.post("/v1/calls/{call_id}/stop", responses=errors(401, 403, 404))
    @keeps_its_own_answers
    async def stop_call(call_id: str, caller: Annotated[Caller, Depends(guard)]) -> CallAnswer:
        """End a call. Nothing happens to one that has ended. The answer shows the end when it came within 2 s."""
        return await service.stop(caller.org_id, call_id)

    @router.delete("/v1/calls/{call_id}", status_code=204, responses=errors(401, 403, 404, 409))
    async def delete_call(call_id: str, caller: Annotated[Caller, Depends(guard)]) -> None:
        """Delete a call's record with its transcript. A live call has to be stopped first."""
        await service.delete(caller.org_id, call_id)

    return router
