"""Who is asking: a secret key, or a dashboard session by header or by cookie.

This module knows how credentials travel; whose they are is told by an :class:`Authenticator`.
"""

import hmac
from dataclasses import dataclass, replace
from typing import Annotated, Protocol

from fastapi import Security
from fastapi.security import APIKeyCookie, HTTPBearer
from starlette.requests import Request

from oneinbox.api.http.errors import request_id_of
from oneinbox.api.http.own_origin import OwnOrigin
from oneinbox.core.errors import AppError, ErrorKind

SESSION_COOKIE = "oneinbox_token"
SECRET_PREFIX = "oi_sk_"  # noqa: S105 - what secret keys begin with, not one of them
PUBLISHABLE_PREFIX = "oi_pk_"
_MAX_IP, _MAX_USER_AGENT = 64, 300
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_secret_key_scheme = HTTPBearer(
    scheme_name="SecretKey",
    description="A secret key (`oi_sk_...`), for servers only, or a dashboard session's token.",
    auto_error=False,
)
_session_scheme = APIKeyCookie(
    name=SESSION_COOKIE,
    scheme_name="DashboardSession",
    description="The dashboard's cookie. A request that changes something has to come from the dashboard's own page.",
    auto_error=False,
)
publishable_key_scheme = HTTPBearer(
    scheme_name="PublishableKey",
    description="A publishable key (`oi_pk_...`), from a page of one of its origins.",
    auto_error=False,
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How a request came, as the audit log keeps it."""

    request_id: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    payload_hash: str | None = None
    """SHA-256 of the body as it was sent, keyed with a secret of the server's: a body may hold a password."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks, and for which organisation: everything a request may touch belongs to it."""

    org_id: str
    user_id: str | None = None
    session_id: str | None = None
    key_id: str | None = None
    asked: Asked = Asked()


class Authenticator(Protocol):
    """Knows whose credentials are whose."""

    async def by_secret_key(self, key: str) -> Caller | None:
        """Return whose secret key this is; ``None``: nobody's, or switched off."""
        ...

    async def by_session(self, token: str) -> Caller | None:
        """Return whose dashboard session this token stands for; ``None``: nobody's, or over."""
        ...


class Guard:
    """The dependency of every route that needs a secret key or a session. Raises ``AppError`` (401, 403)."""

    def __init__(self, authenticator: Authenticator, own: OwnOrigin, payload_key: str) -> None:
        self._authenticator = authenticator
        self._own = own
        self._payload_key = payload_key

    async def __call__(
        self,
        request: Request,
        shown_key: Annotated[object, Security(_secret_key_scheme)] = None,
        shown_cookie: Annotated[object, Security(_session_scheme)] = None,
    ) -> Caller:
        """Return who is asking."""
        del shown_key, shown_cookie  # they put the schemes into the OpenAPI document; the header is read below
        caller = await self._caller(request)
        return replace(caller, asked=await asked_by(request, self._payload_key))

    async def _caller(self, request: Request) -> Caller:
        credential = bearer_of(request)
        if credential is not None:
            return await self._by_header(request, credential)
        cookie = request.cookies.get(SESSION_COOKIE)
        if not cookie:
            raise AppError(
                "missing_key",
                "send a secret key: Authorization: Bearer oi_sk_...",
                ErrorKind.UNAUTHENTICATED,
            )
        caller = await self._authenticator.by_session(cookie)
        if caller is None:
            raise _session_ended()
        if request.method not in _SAFE_METHODS and not self._own.sent_from_own_page(request):
            raise AppError(
                "cross_site_request",
                "with the session cookie, changes are taken from the dashboard's own page only; use a secret key",
                ErrorKind.FORBIDDEN,
            )
        return caller

    async def _by_header(self, request: Request, credential: str) -> Caller:
        if credential.startswith(PUBLISHABLE_PREFIX):
            raise AppError(
                "publishable_key_not_allowed",
                "a publishable key only starts web calls (POST /v1/web-calls/token); send a secret key from a server",
                ErrorKind.FORBIDDEN,
            )
        if credential.startswith(SECRET_PREFIX):
            if "origin" in request.headers:
                raise AppError(
                    "SECRET_KEY_IN_BROWSER",
                    "a secret key was sent by a browser: whoever opens that page can read it. Revoke it now, and use "
                    "a publishable key in pages (POST /v1/web-calls/token)",
                    ErrorKind.FORBIDDEN,
                )
            caller = await self._authenticator.by_secret_key(credential)
        elif credential.count(".") == 2:
            caller = await self._authenticator.by_session(credential)
            if caller is None:
                raise _session_ended()
        else:
            caller = None
        if caller is None:
            raise invalid_key()
        return caller


class PersonGuard:
    """The dependency of routes that only a signed-in person may use."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def __call__(
        self,
        request: Request,
        shown_key: Annotated[object, Security(_secret_key_scheme)] = None,
        shown_cookie: Annotated[object, Security(_session_scheme)] = None,
    ) -> Caller:
        """Return who is asking. Raises ``AppError`` (401, 403)."""
        caller = await self._guard(request, shown_key, shown_cookie)
        if caller.session_id is None:
            raise session_required()
        return caller


async def asked_by(request: Request, payload_key: str | None) -> Asked:
    """Return how the request came; without a key, its body is left out."""
    body = b"" if payload_key is None or request.method in _SAFE_METHODS else await request.body()
    return Asked(
        request_id=request_id_of(request),
        ip=None if request.client is None else request.client.host[:_MAX_IP],
        user_agent=(request.headers.get("user-agent") or "")[:_MAX_USER_AGENT] or None,
        payload_hash=hmac.digest((payload_key or "").encode(), body, "sha256").hex() if body else None,
    )


def bearer_of(request: Request) -> str | None:
    """Return what ``Authorization: Bearer`` holds; ``None`` without that header. Raises 401 for other schemes."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, credential = header.partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise invalid_key()
    return credential.strip()


def invalid_key() -> AppError:
    """Return the error for a key that is nobody's."""
    return AppError(
        "invalid_key",
        "the key is not valid: it is mistyped, deleted or paused. Authorization has to be `Bearer` and the key",
        ErrorKind.UNAUTHENTICATED,
    )


def session_required() -> AppError:
    """Return the error for a key where a person is needed."""
    return AppError(
        "session_required",
        "this is for a signed-in person: send the `access_token` of POST /v1/auth/login, not a secret key",
        ErrorKind.FORBIDDEN,
    )


def _session_ended() -> AppError:
    return AppError("session_ended", "the session is over: sign in again", ErrorKind.UNAUTHENTICATED)
