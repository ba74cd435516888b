"""Calls over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Security
from starlette.requests import Request
from starlette.responses import Response

from oneinbox.api.calls.ledger import Asker
from oneinbox.api.calls.repo import CallFilter
from oneinbox.api.calls.schemas import (
    CallAnswer,
    CallPatch,
    ContextRequest,
    MessageRequest,
    SayRequest,
    Status,
    ToldAnswer,
    WebCallAnswer,
    WebCallRequest,
    WebCallTokenRequest,
)
from oneinbox.api.calls.service import CallService
from oneinbox.api.calls.start import CallStarter
from oneinbox.api.http.auth import Caller, Guard, asked_by, bearer_of, publishable_key_scheme
from oneinbox.api.http.body import JsonRoute, direct_route
from oneinbox.api.http.cursor import AskedByCursor, CursorPage
from oneinbox.api.http.documented import errors
from oneinbox.api.http.fields import Instant
from oneinbox.api.http.idempotency import HEADER, REPLAYED, keeps_its_own_answers, key_use, no_answers_kept
from oneinbox.api.http.own_origin import OwnOrigin
from oneinbox.api.http.paging import AskedPage, Page
from oneinbox.api.http.rate import limit_headers
from oneinbox.api.keys.service import KeyService, PageCaller
from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.core.events import EndReason
from oneinbox.core.instructions import AddContext, Instruction, Say, UserMessage

TOKEN_PATH = "/v1/web-calls/token"  # noqa: S105 - an address
_MAX_ID = 255


class PageGuard:
    """The dependency of the route for web pages: a publishable key, from a page of one of its origins."""

    def __init__(self, keys: KeyService, payload_key: str) -> None:
        self._keys = keys
        self._payload_key = payload_key

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
        asked = await asked_by(request, self._payload_key)
        return await self._keys.by_publishable_key(key, request.headers.getlist("origin"), asked)


def _filter(
    *,
    agent_id: Annotated[str | None, Query(max_length=_MAX_ID)] = None,
    status: Annotated[Status | None, Query()] = None,
    end_reason: Annotated[EndReason | None, Query()] = None,
    outcome: Annotated[str | None, Query(max_length=100, description="As it stands on the record.")] = None,
    since: Annotated[Instant | None, Query(description="Made then or later.")] = None,
    until: Annotated[Instant | None, Query(description="Made before.")] = None,
) -> CallFilter:
    """Return which calls a list is asked for."""
    if "\0" in (outcome or ""):
        outcome = ""  # no record holds it, and Postgres would refuse it
    return CallFilter(
        agent_id=agent_id, status=status, end_reason=end_reason, outcome=outcome, since=since, until=until
    )


def call_routes(service: CallService, guard: Guard, own: OwnOrigin) -> APIRouter:
    """Return the routes below ``/v1/calls``, but for those that start calls."""
    router = APIRouter(tags=["calls"], route_class=JsonRoute)

    @router.get("/v1/calls", responses=errors(401, 403))
    async def list_calls(
        asked: AskedPage,
        wanted: Annotated[CallFilter, Depends(_filter)],
        caller: Annotated[Caller, Depends(guard)],
        here: Annotated[str, Depends(own.here)],
    ) -> Page[CallAnswer]:
        """List the calls, newest first."""
        return await service.page(caller.org_id, asked, wanted, here)

    @router.get("/v1/calls/cursor", responses=errors(401, 403))
    async def list_calls_by_cursor(
        asked: AskedByCursor,
        wanted: Annotated[CallFilter, Depends(_filter)],
        caller: Annotated[Caller, Depends(guard)],
        here: Annotated[str, Depends(own.here)],
    ) -> CursorPage[CallAnswer]:
        """List the calls, newest first, page by page: calls that are made meanwhile move nothing."""
        return await service.cursor_page(caller.org_id, asked, wanted, here)

    @router.get("/v1/calls/{call_id}", responses=errors(401, 403, 404))
    async def get_call(
        call_id: str, caller: Annotated[Caller, Depends(guard)], here: Annotated[str, Depends(own.here)]
    ) -> CallAnswer:
        """Read one call's record, live or ended."""
        return await service.get(caller.org_id, call_id, here)

    @router.patch("/v1/calls/{call_id}", responses=errors(401, 403, 404, 413, 415))
    async def update_call(
        call_id: str,
        body: CallPatch,
        caller: Annotated[Caller, Depends(guard)],
        here: Annotated[str, Depends(own.here)],
    ) -> CallAnswer:
        """Set a call's outcome, live or ended."""
        return await service.update(caller, call_id, body, here)

    @router.post("/v1/calls/{call_id}/stop", responses=errors(401, 403, 404))
    @no_answers_kept  # asked twice, it changes nothing
    async def stop_call(
        call_id: str, caller: Annotated[Caller, Depends(guard)], here: Annotated[str, Depends(own.here)]
    ) -> CallAnswer:
        """End a call. Nothing happens to one that has ended. The answer shows the end when it came within 2 s."""
        return await service.stop(caller, call_id, here)

    async def tell(caller: Caller, call_id: str, instruction: Instruction) -> ToldAnswer:
        await service.tell(caller, call_id, instruction)
        return ToldAnswer(call_id=call_id, status="accepted")

    @router.post("/v1/calls/{call_id}/say", status_code=202, responses=errors(401, 403, 404, 409, 413, 415))
    async def say_in_call(call_id: str, body: SayRequest, caller: Annotated[Caller, Depends(guard)]) -> ToldAnswer:
        """Have the agent of a call in progress say something. It counts as the agent's own words."""
        said = Say(text=body.text, interruptible=body.interruptible, interrupt=body.interrupt)
        return await tell(caller, call_id, said)

    @router.post("/v1/calls/{call_id}/context", status_code=202, responses=errors(401, 403, 404, 409, 413, 415))
    async def add_call_context(
        call_id: str, body: ContextRequest, caller: Annotated[Caller, Depends(guard)]
    ) -> ToldAnswer:
        """Let the agent of a call know something from now on. It says nothing to it now."""
        return await tell(caller, call_id, AddContext(text=body.text))

    @router.post("/v1/calls/{call_id}/message", status_code=202, responses=errors(401, 403, 404, 409, 413, 415))
    async def send_call_message(
        call_id: str, body: MessageRequest, caller: Annotated[Caller, Depends(guard)]
    ) -> ToldAnswer:
        """Say something in the caller's place, in writing: it is a turn of the caller, and the agent answers."""
        return await tell(caller, call_id, UserMessage(text=body.text))

    @router.delete("/v1/calls/{call_id}", status_code=204, responses=errors(401, 403, 404, 409))
    async def delete_call(call_id: str, caller: Annotated[Caller, Depends(guard)]) -> None:
        """Delete a call's record with its transcript. A live call has to be stopped first."""
        await service.delete(caller, call_id)

    return router


def add_start_routes(
    router: APIRouter, starter: CallStarter, guard: Guard, page_guard: PageGuard, own: OwnOrigin
) -> None:
    """Add the routes that start calls to the application's own router."""

    async def start(request: Request, caller: Caller, body: WebCallTokenRequest, route: str) -> Response:
        use = None
        if HEADER in request.headers:
            # A publishable key is everybody's: what one page has asked is not told to another.
            asker = f"{caller.key_id} {caller.origin}" if isinstance(caller, PageCaller) else ""
            use = await key_use(request, caller, route, asker=asker)
        started = await starter.start_web_call(
            Asker(caller=caller, server_url=own.websocket_url(request), use=use), body
        )
        headers = {"Cache-Control": "no-store", **limit_headers(started.limits)}
        if started.replayed:
            headers[REPLAYED] = "true"
        return Response(started.answer.model_dump_json(), 201, headers, "application/json")

    @keeps_its_own_answers
    async def create_web_call_token(
        body: WebCallTokenRequest, request: Request, caller: Annotated[PageCaller, Depends(page_guard)]
    ) -> Response:
        """Start a web call from a web page, with a publishable key. Takes no `overrides`."""
        return await start(request, caller, body, f"POST {TOKEN_PATH}")

    @keeps_its_own_answers
    async def create_web_call(
        body: WebCallRequest, request: Request, caller: Annotated[Caller, Depends(guard)]
    ) -> Response:
        """Start a web call from a server. Hand `server_url` and `participant_token` to the browser that joins it."""
        return await start(request, caller, body, "POST /v1/calls/web")

    for path, endpoint, asks, body_type, refusals in (
        (TOKEN_PATH, create_web_call_token, page_guard, WebCallTokenRequest, (401, 403, 404, 413, 415, 429, 503)),
        ("/v1/calls/web", create_web_call, guard, WebCallRequest, (401, 403, 404, 413, 415, 503)),
    ):
        router.add_api_route(
            path,
            endpoint,
            methods=["POST"],
            tags=["calls"],
            status_code=201,
            response_model=WebCallAnswer,
            responses=errors(*refusals),
            route_class_override=direct_route(asks, body_type),
        )
