"""Usage and activity over HTTP."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from oneinbox.api.http.auth import Caller, Guard
from oneinbox.api.http.body import JsonRoute
from oneinbox.api.http.documented import errors
from oneinbox.api.http.fields import Instant
from oneinbox.api.usage.schemas import ActivitySummary, ActivityTimeseries, UsageAnswer
from oneinbox.api.usage.service import UsageService

Since = Annotated[Instant | None, Query(description="Without it: 30 days before `until`.")]
Until = Annotated[Instant | None, Query(description="Without it: now.")]


def usage_routes(service: UsageService, guard: Guard) -> APIRouter:
    """Return ``/v1/usage`` and the routes below ``/v1/activity``."""
    router = APIRouter(route_class=JsonRoute)

    @router.get("/v1/usage", tags=["usage"], responses=errors(401, 403))
    async def get_usage(caller: Annotated[Caller, Depends(guard)]) -> UsageAnswer:
        """Say what was used today and this month."""
        return await service.usage(caller.org_id)

    @router.get("/v1/activity/summary", tags=["activity"], responses=errors(401, 403))
    async def get_activity_summary(
        caller: Annotated[Caller, Depends(guard)], since: Since = None, until: Until = None
    ) -> ActivitySummary:
        """Sum up what happened."""
        return await service.summary(caller.org_id, since, until)

    @router.get("/v1/activity/timeseries", tags=["activity"], responses=errors(401, 403))
    async def get_activity_timeseries(
        *,
        caller: Annotated[Caller, Depends(guard)],
        bucket: Annotated[Literal["day"], Query()] = "day",
        tz: Annotated[str, Query(max_length=64, description="As in Europe/Paris.")] = "UTC",
        since: Since = None,
        until: Until = None,
    ) -> ActivityTimeseries:
        """Count the calls of each day."""
        del bucket  # there is one
        return await service.timeseries(caller.org_id, tz, since, until)

    return router
