"""The audit log over HTTP."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from oneinbox.api.audit.repo import EventFilter
from oneinbox.api.audit.schemas import AuditEventList
from oneinbox.api.audit.service import AuditService
from oneinbox.api.http.auth import Caller, Guard
from oneinbox.api.http.body import JsonRoute
from oneinbox.api.http.documented import errors
from oneinbox.api.http.fields import Instant

_MAX_WORD = 100


def audit_routes(service: AuditService, guard: Guard) -> APIRouter:
    """Return the routes below ``/v1/audit-events``."""
    router = APIRouter(prefix="/v1/audit-events", tags=["audit-events"], route_class=JsonRoute)

    @router.get("", responses=errors(401, 403))
    async def list_audit_events(
        *,
        caller: Annotated[Caller, Depends(guard)],
        action: Annotated[str | None, Query(max_length=_MAX_WORD, pattern=r"^[a-z0-9_.-]*$")] = None,
        resource_type: Annotated[str | None, Query(max_length=_MAX_WORD, pattern=r"^[a-z0-9_.-]*$")] = None,
        since: Annotated[Instant | None, Query(description="Not before.")] = None,
        until: Annotated[Instant | None, Query(description="Before.")] = None,
        actor: Annotated[
            Literal["me"] | None, Query(description="`me`: only what the asking person or key did.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        cursor: Annotated[str | None, Query(max_length=_MAX_WORD)] = None,
    ) -> AuditEventList:
        """List what was changed in the organisation and by whom, newest first."""
        mine = caller if actor == "me" else None
        wanted = EventFilter(
            action=action,
            resource_type=resource_type,
            since=since,
            until=until,
            user_id=mine and mine.user_id,
            api_key_id=mine and mine.key_id,
        )
        return await service.newest(caller.org_id, wanted, cursor=cursor, limit=limit)

    return router
