"""``Idempotency-Key``: a POST that is sent again does nothing again, and gets the same answer.

Every route of :class:`oneinbox.api.http.body.JsonRoute` that POSTs takes the header. By default the whole request is one
transaction, and its answer is committed with it. A route that waits for something outside the database settles it
itself (:func:`keeps_its_own_answers`); one that belongs to nobody yet (signing in) does without (:func:`no_answers_kept`).
Refusals are not kept: whatever stood in the way may be gone the next time.
"""

import functools
import hashlib
import re
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import msgspec
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from oneinbox.api.http.auth import Caller
from oneinbox.core.errors import AppError, ErrorKind

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_MODE = "__idempotency__"
_OWN, _NONE = "own", "none"

current_request: ContextVar[Request | None] = ContextVar("current_request", default=None)
"""The request that this task answers."""

Endpoint = Callable[..., Coroutine[Any, Any, Any]]
AnyEndpoint = TypeVar("AnyEndpoint", bound=Endpoint)


@dataclass(frozen=True, kw_only=True)
class KeyUse:
    """One request with its key: the same key is another one in another organisation, and on another route."""

    org_id: str
    route: str
    key_hash: str
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class KeptAnswer:
    """An answer as it is kept: JSON text, or nothing."""

    status: int
    body: str


@dataclass(kw_only=True)
class Once:
    """A request under way. ``kept``: it was answered before. ``answer``: what to keep of it."""

    kept: KeptAnswer | None
    answer: KeptAnswer | None = None


class AnswerStore(Protocol):
    """Keeps answers."""

    def once(self, use: KeyUse) -> AbstractAsyncContextManager[Once]:
        """Open one transaction around a request."""
        ...


def keeps_its_own_answers(endpoint: AnyEndpoint) -> AnyEndpoint:
    """Mark a route that calls the store itself, or that changes nothing when it is asked twice."""
    setattr(endpoint, _MODE, _OWN)
    return endpoint


def no_answers_kept(endpoint: AnyEndpoint) -> AnyEndpoint:
    """Mark a route that pays no heed to the header."""
    setattr(endpoint, _MODE, _NONE)
    return endpoint


def takes_key(endpoint: Endpoint) -> bool:
    """Whether the route has anything to do with the header."""
    return getattr(endpoint, _MODE, None) != _NONE


def answered_once(endpoint: Endpoint, route: str, status: int) -> Endpoint:
    """Return the endpoint with its answers kept, where a request has a key."""
    if getattr(endpoint, _MODE, None) is not None:
        return endpoint

    @functools.wraps(endpoint)
    async def answer(**arguments: Any) -> Any:
        request = current_request.get()
        caller = next((value for value in arguments.values() if isinstance(value, Caller)), None)
        if request is None or caller is None or HEADER not in request.headers:
            return await endpoint(**arguments)
        use = await key_use(request, caller, route)
        store: AnswerStore = request.app.state.answers
        async with store.once(use) as once:
            if once.kept is not None:
                return replay(once.kept)
            made = await endpoint(**arguments)
            once.answer = KeptAnswer(status=status, body=_written(made))
        return made

    return answer


async def key_use(request: Request, caller: Caller, route: str, *, asker: str = "") -> KeyUse:
    """Return the use of the request's key. Raises ``AppError`` (422) where it is none.

    ``asker``: who asks, where several share the organisation's credentials.
    """
    keys = request.headers.getlist(HEADER)
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        raise AppError(
            "invalid_idempotency_key",
            "an Idempotency-Key is 1 to 255 visible ASCII characters: take a UUID",
            ErrorKind.INVALID,
            param=HEADER,
        )
    sent = [request.url.path.encode(), asker.encode(), _canonical(await request.body())]
    return KeyUse(
        org_id=caller.org_id,
        route=route,
        key_hash=hashlib.sha256(keys[0].encode()).hexdigest(),
        fingerprint=hashlib.sha256(b"\0".join(sent)).hexdigest(),
    )


def replay(kept: KeptAnswer) -> Response:
    """Return the kept answer, marked."""
    headers = {REPLAYED: "true", "Cache-Control": "no-store"}
    return Response(kept.body or None, kept.status, headers, "application/json" if kept.body else None)


def _canonical(body: bytes) -> bytes:
    """The same document is the same request, however it is written."""
    try:
        return msgspec.json.encode(msgspec.json.decode(body), order="deterministic")
    except (msgspec.DecodeError, ValueError, RecursionError):
        return body


def _written(made: object) -> str:
    if made is None:
        return ""
    if isinstance(made, BaseModel):
        return made.model_dump_json()
    if isinstance(made, Response):
        return bytes(made.body).decode()
    return msgspec.json.encode(made, enc_hook=_written_model).decode()


def _written_model(made: object) -> object:
    if isinstance(made, BaseModel):
        return made.model_dump(mode="json")
    raise TypeError(f"{type(made).__name__} is no answer")
