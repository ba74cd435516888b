"""What surrounds every request: its id, and an answer even where our code failed."""

import logging
import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oneinbox.api.http.errors import error_response
from oneinbox.core.ids import new_id

_log = logging.getLogger(__name__)
_ACCEPTED_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")


class RequestContext:
    """ASGI middleware: ``X-Request-Id`` in (kept where it is a plain word) and out; an unforeseen error is a 500."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry one request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _given_id(scope) or new_id("req")
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            # The true boundary: whatever failed, the caller gets an answer with the id that the log line has.
            _log.exception("request %s: %s %s failed", request_id, scope["method"], scope["path"])
            if started:
                raise
            answer = error_response(
                500,
                "internal_error",
                f"something failed on our side; say {request_id} when you report it",
                request_id=request_id,
            )
            await answer(scope, receive, send_with_id)


def _given_id(scope: Scope) -> str | None:
    given = [value for name, value in scope["headers"] if name == b"x-request-id"]
    if len(given) == 1 and _ACCEPTED_ID.fullmatch(given[0]):
        return given[0].decode("ascii")
    return None
