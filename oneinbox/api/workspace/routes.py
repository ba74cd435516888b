"""The organisation's own call outcomes over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends

from oneinbox.api.http.auth import Caller, Guard
from oneinbox.api.http.body import JsonRoute
from oneinbox.api.http.documented import errors
from oneinbox.api.http.paging import AskedPage, Page
from oneinbox.api.workspace.schemas import OutcomeAnswer, OutcomeCreate, OutcomePatch
from oneinbox.api.workspace.service import OutcomeService


def workspace_routes(service: OutcomeService, guard: Guard) -> APIRouter:
    """Return the routes below ``/v1/workspace``."""
    router = APIRouter(prefix="/v1/workspace/call-outcomes", tags=["workspace"], route_class=JsonRoute)

    @router.post("", status_code=201, responses=errors(401, 403, 409, 413, 415))
    async def create_call_outcome(body: OutcomeCreate, caller: Annotated[Caller, Depends(guard)]) -> OutcomeAnswer:
        """Name one more way in which your calls turn out."""
        return await service.create(caller, body)

    @router.get("", responses=errors(401, 403))
    async def list_call_outcomes(asked: AskedPage, caller: Annotated[Caller, Depends(guard)]) -> Page[OutcomeAnswer]:
        """List your own outcomes, newest first."""
        return await service.page(caller.org_id, asked)

    @router.patch("/{outcome_id}", responses=errors(401, 403, 404, 413, 415))
    async def update_call_outcome(
        outcome_id: str, body: OutcomePatch, caller: Annotated[Caller, Depends(guard)]
    ) -> OutcomeAnswer:
        """Change an outcome, or take it out of use."""
        return await service.update(caller, outcome_id, body)

    return router
