"""What surrounds every request: its id, and an answer even where our code failed."""

import logging
import re

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oneinbox.api.http.errors import error_response, request_id_of
from oneinbox.core.ids import new_id

_log = logging.getLogger(__name__)
_ACCEPTED_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")


class RequestId:
    """ASGI middleware: ``X-Request-Id`` in (kept where it is a plain word) and out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry one request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _given_id(scope) or new_id("req")
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", []).append((b"x-request-id", request_id.encode("latin-1")))
            await send(message)

        await self._app(scope, receive, send_with_id)


class LastResort:
    """ASGI middleware: an error that nobody foresaw is logged, and answered with a 500 that gives nothing away."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry one request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except Exception:
            # The true boundary: whatever failed, the caller gets an answer with the id that the log line has.
            request_id = request_id_of(Request(scope))
            _log.exception("request %s: %s %s failed", request_id, scope["method"], scope["path"])
            if started:
                raise
            answer = error_response(
                500,
                "internal_error",
                f"something failed on our side; say {request_id} when you report it",
                request_id=request_id,
            )
            await answer(scope, receive, send)


def _given_id(scope: Scope) -> str | None:
    given = [value for name, value in scope["headers"] if name == b"x-request-id"]
    if len(given) == 1 and _ACCEPTED_ID.fullmatch(given[0]):
        return given[0].decode("ascii")
    return None
