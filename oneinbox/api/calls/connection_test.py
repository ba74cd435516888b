"""A token for a page that tests its way to the media before there is a call: it leads into a room in which nobody is.

Nothing is put on record, no model and no voice is asked, and no minute is counted. A worker carries a few such tests at a
time (:mod:`live.worker`), each for half a minute.
"""

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from oneinbox.api.calls.routes import PageGuard
from oneinbox.api.config import ApiConfig
from oneinbox.api.http.auth import Caller, Guard
from oneinbox.api.http.body import JsonRoute
from oneinbox.api.http.documented import errors
from oneinbox.api.http.fields import Answer
from oneinbox.api.http.idempotency import no_answers_kept
from oneinbox.api.http.own_origin import OwnOrigin
from oneinbox.api.keys.service import PageCaller
from oneinbox.core.tokens import mint_participant_token

TEST_PATH = "/v1/web-calls/connection-test"


class ConnectionTestAnswer(Answer):
    """What the Web SDK's `testConnection` needs."""

    server_url: str = Field(
        description="WebSocket address that the Web SDK connects to.", examples=["wss://voice.oneinbox.ai"]
    )
    participant_token: str = Field(
        description="Lets one page test its connection, within two minutes. It leads into no call.",
        examples=["eyJhbGciOiJIUzI1NiJ9..."],
    )


def connection_test_routes(config: ApiConfig, guard: Guard, page_guard: PageGuard, own: OwnOrigin) -> APIRouter:
    """Return the routes by which pages, and servers for their pages, ask for such a token."""
    router = APIRouter(tags=["calls"], route_class=JsonRoute)

    def answer(request: Request, response: Response, origin: str | None) -> ConnectionTestAnswer:
        response.headers["Cache-Control"] = "no-store"
        token = mint_participant_token(
            secret=config.token_secret,
            issuer=config.token_issuer,
            room_name=f"probe-any-{secrets.token_hex(8)}",
            identity="tester",
            ttl_s=config.join_ttl_s,
            origin=origin,
            probe=True,
        )
        return ConnectionTestAnswer(server_url=own.websocket_url(request), participant_token=token)

    @router.post(TEST_PATH, responses=errors(401, 403))
    @no_answers_kept  # it changes nothing
    async def test_connection_of_page(
        request: Request, response: Response, caller: Annotated[PageCaller, Depends(page_guard)]
    ) -> ConnectionTestAnswer:
        """Let a web page test its connection, with a publishable key. No call is made."""
        return answer(request, response, caller.origin)

    @router.post("/v1/calls/web/connection-test", responses=errors(401, 403))
    @no_answers_kept
    async def test_connection(
        request: Request, response: Response, caller: Annotated[Caller, Depends(guard)]
    ) -> ConnectionTestAnswer:
        """Let a browser test its connection: hand it what is answered. No call is made."""
        del caller  # whoever it is
        return answer(request, response, None)

    return router
