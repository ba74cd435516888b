"""Tools over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends

from oneinbox.api.http.auth import Caller, Guard
from oneinbox.api.http.body import JsonRoute
from oneinbox.api.http.documented import errors
from oneinbox.api.http.paging import AskedPage, Page
from oneinbox.api.tools.schemas import ToolAnswer, ToolCreate, ToolPatch
from oneinbox.api.tools.service import ToolService


def tool_routes(service: ToolService, guard: Guard) -> APIRouter:
    """Return the routes below ``/v1/tools``."""
    router = APIRouter(prefix="/v1/tools", tags=["tools"], route_class=JsonRoute)

    @router.post("", status_code=201, responses=errors(401, 403, 413, 415))
    async def create_tool(body: ToolCreate, caller: Annotated[Caller, Depends(guard)]) -> ToolAnswer:
        """Make a tool. Models have tools (`tool_ids`); agents have the tools of their model."""
        return await service.create(caller, body)

    @router.get("", responses=errors(401, 403))
    async def list_tools(asked: AskedPage, caller: Annotated[Caller, Depends(guard)]) -> Page[ToolAnswer]:
        """List the tools, newest first."""
        return await service.page(caller.org_id, asked)

    @router.get("/{tool_id}", responses=errors(401, 403, 404))
    async def get_tool(tool_id: str, caller: Annotated[Caller, Depends(guard)]) -> ToolAnswer:
        """Read one tool, its headers masked."""
        return await service.get(caller.org_id, tool_id)

    @router.patch("/{tool_id}", responses=errors(401, 403, 404, 413, 415))
    async def update_tool(tool_id: str, body: ToolPatch, caller: Annotated[Caller, Depends(guard)]) -> ToolAnswer:
        """Change a tool, for every model that has it, from the next call on."""
        return await service.update(caller, tool_id, body)

    @router.delete("/{tool_id}", status_code=204, responses=errors(401, 403, 404, 409))
    async def delete_tool(tool_id: str, caller: Annotated[Caller, Depends(guard)]) -> None:
        """Delete a tool that no model has."""
        await service.delete(caller, tool_id)

    return router
