"""Counts requests by route, method and status, and how long they took. ASGI middleware, the outermost."""

import time
from collections import Counter

from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oneinbox.core.load import Histogram

REQUEST_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
NO_ROUTE = "unmatched"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_GONE = 499
"""What is counted where the client left before it had an answer."""


class RequestFigures:
    """Counts since the start of the server. A route is named by its template (``/v1/calls/{call_id}``), never a path."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()
        """By method, route and status."""
        self.durations: dict[tuple[str, str], Histogram] = {}
        """By method and route."""

    def count(self, method: str, route: str, status: int, duration_s: float) -> None:
        """Count one request."""
        method = method if method in _METHODS else "other"
        self.requests[method, route, status] += 1
        if (method, route) not in self.durations:
            self.durations[method, route] = Histogram(REQUEST_BOUNDS_S)
        self.durations[method, route].observe(duration_s)


class CountRequests:
    """The middleware. WebSockets pass uncounted: they last as long as a call."""

    def __init__(self, app: ASGIApp, figures: RequestFigures) -> None:
        self._app = app
        self._figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry one request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, begun_s = _GONE, time.perf_counter()

        async def counted_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, counted_send)
        finally:
            duration_s = time.perf_counter() - begun_s
            self._figures.count(scope["method"], _template(scope), status, duration_s)


def _template(scope: Scope) -> str:
    """Routing leaves behind in the scope what it found."""
    route = scope.get("route")
    return route.path if isinstance(route, Route) else NO_ROUTE
