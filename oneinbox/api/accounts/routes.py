"""Accounts over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from oneinbox.api.accounts.schemas import MeAnswer, SessionAnswer, SignInLinkRequest
from oneinbox.api.accounts.service import AccountService
from oneinbox.api.http.auth import SESSION_COOKIE, Caller, Guard
from oneinbox.api.http.body import JsonRoute
from oneinbox.api.http.documented import errors
from oneinbox.api.http.idempotency import no_answers_kept
from oneinbox.api.http.own_origin import OwnOrigin
from oneinbox.core.errors import AppError, ErrorKind


def account_routes(service: AccountService, guard: Guard, own: OwnOrigin) -> APIRouter:
    """Return the routes below ``/v1/auth``."""
    router = APIRouter(prefix="/v1/auth", tags=["auth"], route_class=JsonRoute)

    @router.post("/sign-in-link", responses=errors(401, 403, 413, 415))
    @no_answers_kept
    async def sign_in_by_link(body: SignInLinkRequest, request: Request, response: Response) -> SessionAnswer:
        """Sign in with the token of a one-use link. Sets the session cookie."""
        if "origin" in request.headers and not own.sent_from_own_page(request):
            raise AppError(
                "cross_site_request", "sign-in is taken from the dashboard's own page only", ErrorKind.FORBIDDEN
            )
        signed_in = await service.sign_in_by_link(body.token)
        response.set_cookie(
            SESSION_COOKIE,
            signed_in.access_token,
            max_age=signed_in.expires_in_minutes * 60,
            path="/",
            secure=own.is_secure(request),
            httponly=True,
            samesite="strict",
        )
        response.headers["Cache-Control"] = "no-store"
        return SessionAnswer(access_token=signed_in.access_token, expires_in_minutes=signed_in.expires_in_minutes)

    @router.get("/me", responses=errors(401, 403))
    async def who_am_i(caller: Annotated[Caller, Depends(guard)]) -> MeAnswer:
        """Say who is signed in."""
        return await service.who_is(caller)

    @router.post("/logout", status_code=204, responses=errors(401, 403))
    async def sign_out(caller: Annotated[Caller, Depends(guard)], response: Response) -> None:
        """End the session: its token is worth nothing from now on."""
        await service.sign_out(caller)
        response.delete_cookie(SESSION_COOKIE, path="/")

    return router
