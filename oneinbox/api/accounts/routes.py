"""Accounts over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from oneinbox.api.accounts.schemas import (
    MeAnswer,
    OrganisationAnswer,
    OrganisationPatch,
    SessionAnswer,
    SignInLinkRequest,
    SignInRequest,
    SignUpRequest,
)
from oneinbox.api.accounts.service import AccountService, SignedIn
from oneinbox.api.accounts.sign_up import SignUpService
from oneinbox.api.http.auth import SESSION_COOKIE, Caller, Guard, PersonGuard, asked_by
from oneinbox.api.http.body import JsonRoute
from oneinbox.api.http.documented import errors
from oneinbox.api.http.idempotency import no_answers_kept
from oneinbox.api.http.own_origin import OwnOrigin
from oneinbox.core.errors import AppError, ErrorKind


def account_routes(service: AccountService, sign_ups: SignUpService, guard: Guard, own: OwnOrigin) -> APIRouter:
    """Return the routes below ``/v1/auth``."""
    router = APIRouter(prefix="/v1/auth", tags=["auth"], route_class=JsonRoute)
    person = PersonGuard(guard)

    def from_own_page(request: Request) -> None:
        if "origin" in request.headers and not own.sent_from_own_page(request):
            raise AppError(
                "cross_site_request", "sign-in is taken from the dashboard's own page only", ErrorKind.FORBIDDEN
            )

    def session(request: Request, response: Response, signed_in: SignedIn) -> SessionAnswer:
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

    @router.post("/sign-in-link", responses=errors(401, 403, 413, 415))
    @no_answers_kept
    async def sign_in_by_link(body: SignInLinkRequest, request: Request, response: Response) -> SessionAnswer:
        """Sign in with the token of a one-use link. Sets the session cookie."""
        from_own_page(request)
        return session(request, response, await service.sign_in_by_link(body.token, await asked_by(request, None)))

    @router.post("/signup", status_code=201, responses=errors(403, 409, 413, 415, 429))
    @no_answers_kept
    async def sign_up(body: SignUpRequest, request: Request, response: Response) -> SessionAnswer:
        """Make an account with an organisation of its own, and sign in. Sets the session cookie."""
        from_own_page(request)
        return session(request, response, await sign_ups.sign_up(body, await asked_by(request, None)))

    @router.post("/login", responses=errors(401, 403, 413, 415, 429))
    @no_answers_kept
    async def sign_in(body: SignInRequest, request: Request, response: Response) -> SessionAnswer:
        """Sign in with e-mail and password. Sets the session cookie."""
        from_own_page(request)
        asked = await asked_by(request, None)
        return session(request, response, await sign_ups.sign_in(body.email, body.password, asked))

    @router.post("/refresh", responses=errors(401, 403))
    @no_answers_kept
    async def refresh_session(
        request: Request, response: Response, caller: Annotated[Caller, Depends(person)]
    ) -> SessionAnswer:
        """Let a session that is not over last as long as a new one. Sets the session cookie."""
        return session(request, response, await service.refresh(caller))

    @router.get("/me", responses=errors(401, 403))
    async def who_am_i(caller: Annotated[Caller, Depends(guard)]) -> MeAnswer:
        """Say who is signed in."""
        return await service.who_is(caller)

    @router.post("/logout", status_code=204, responses=errors(401, 403))
    @no_answers_kept
    async def sign_out(caller: Annotated[Caller, Depends(guard)], response: Response) -> None:
        """End the session: its token is worth nothing from now on."""
        await service.sign_out(caller)
        response.delete_cookie(SESSION_COOKIE, path="/")

    return router


def organisation_routes(service: AccountService, guard: Guard) -> APIRouter:
    """Return the routes of ``/v1/workspace`` itself."""
    router = APIRouter(prefix="/v1/workspace", tags=["workspace"], route_class=JsonRoute)

    @router.get("", responses=errors(401, 403))
    async def get_workspace(caller: Annotated[Caller, Depends(guard)]) -> OrganisationAnswer:
        """Read the organisation."""
        return await service.organisation(caller.org_id)

    @router.patch("", responses=errors(401, 403, 413, 415))
    async def update_workspace(
        body: OrganisationPatch, caller: Annotated[Caller, Depends(guard)]
    ) -> OrganisationAnswer:
        """Change the organisation's name."""
        return await service.rename(caller, body)

    return router
