"""Cross-origin answers for the routes that web pages of other origins call.

After the Fetch standard, https://fetch.spec.whatwg.org/#http-cors-protocol.
Every well-formed origin may read the answer, errors too: so that a page with a mistyped key, or of an origin that is
not on its key's list, is told so; and a page without an origin (``null``) is told that it has none. Reading an error gives
nothing away; starting a call is decided by the route.
Credentials (cookies) are never allowed. See docs/decisions/0021-readable-origin-errors.md.
"""

from collections.abc import Callable, Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oneinbox.api.http import rate
from oneinbox.api.http.errors import answer_app_error
from oneinbox.core.errors import AppError

_MAX_AGE_S = 600
_REQUEST_HEADERS = "Authorization, Content-Type, Idempotency-Key, X-Request-Id"
_ANSWER_HEADERS = f"Idempotency-Replayed, {rate.HEADERS}, Retry-After, X-Request-Id"


class CrossOriginRoute:
    """ASGI middleware for one path."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        path: str,
        may_read: Callable[[Sequence[str]], bool],
        refuse: Callable[[Sequence[str]], AppError],
    ) -> None:
        self._app = app
        self._path = path
        self._may_read = may_read
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight; mark the answer to a request."""
        if scope["type"] != "http" or scope["path"] != self._path:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origins = headers.getlist("origin")
        origin = origins[0] if self._may_read(origins) else None
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            answer = await self._preflight(Request(scope), origins, origin)
            await answer(scope, receive, send)
            return

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer_headers = MutableHeaders(scope=message)
                answer_headers.add_vary_header("Origin")
                if origin is not None:
                    answer_headers["Access-Control-Allow-Origin"] = origin
                    answer_headers["Access-Control-Expose-Headers"] = _ANSWER_HEADERS
            await send(message)

        await self._app(scope, receive, send_marked)

    async def _preflight(self, request: Request, origins: Sequence[str], origin: str | None) -> Response:
        """A preflight carries no key: it says what such a request may look like, not whether it will succeed."""
        if origin is None:
            answer: Response = await answer_app_error(request, self._refuse(origins))
        else:
            answer = Response(status_code=204)
            answer.headers["Access-Control-Allow-Origin"] = origin
            answer.headers["Access-Control-Allow-Methods"] = "POST"
            answer.headers["Access-Control-Allow-Headers"] = _REQUEST_HEADERS
            answer.headers["Access-Control-Max-Age"] = str(_MAX_AGE_S)
        answer.headers["Vary"] = "Origin"
        return answer
