"""``GET /metrics``, and who may read it. Prometheus' text (0.0.4), or OpenMetrics where the client asks for it."""

import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any, cast

from fastapi import APIRouter, Request
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition
from starlette.responses import Response

from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.server.metrics import Snapshot
from oneinbox.server.settings import Settings

_OPENMETRICS = "application/openmetrics-text"
_write_openmetrics = cast("Callable[[Snapshot], bytes]", cast(Any, exposition).generate_latest)  # has no types


def metrics_route(settings: Settings, read: Callable[[], Awaitable[Snapshot]]) -> APIRouter:
    """Return the route. Without the token it answers the networks that the settings allow, and nobody else."""
    router = APIRouter(include_in_schema=False)
    networks = [ipaddress.ip_network(network) for network in settings.metrics_networks]

    def is_allowed(request: Request) -> bool:
        sent = request.headers.get("authorization", "").removeprefix("Bearer ")
        token = settings.metrics_token
        if token is not None and hmac.compare_digest(sent.encode(), token.encode()):
            return True
        try:
            client = ipaddress.ip_address(request.client.host if request.client else "")
        except ValueError:
            return False
        mapped = client.ipv4_mapped if isinstance(client, ipaddress.IPv6Address) else None
        return any((mapped or client) in network for network in networks)

    @router.get("/metrics")
    async def metrics(request: Request) -> Response:
        """Tell how the server is."""
        if not is_allowed(request):
            raise AppError(
                "metrics_not_allowed",
                "metrics are for this machine and for holders of the token: see metrics_token and "
                "metrics_allowed_networks in docs/reference/settings.md",
                ErrorKind.FORBIDDEN,
            )
        snapshot = await read()
        if _OPENMETRICS in request.headers.get("accept", ""):
            body, kind = _write_openmetrics(snapshot), exposition.CONTENT_TYPE_LATEST
        else:
            body, kind = generate_latest(snapshot), CONTENT_TYPE_PLAIN_0_0_4
        return Response(body, headers={"Content-Type": kind, "Cache-Control": "no-store"})

    return router
