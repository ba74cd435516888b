"""Agents over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends

from oneinbox.api.agents.schemas import AgentAnswer, AgentCreate, AgentPatch
from oneinbox.api.agents.service import AgentService
from oneinbox.api.http.auth import Caller, Guard
from oneinbox.api.http.body import JsonRoute
from oneinbox.api.http.documented import errors
from oneinbox.api.http.paging import AskedPage, Page


def agent_routes(service: AgentService, guard: Guard) -> APIRouter:
    """Return the routes below ``/v1/agents``."""
    router = APIRouter(prefix="/v1/agents", tags=["agents"], route_class=JsonRoute)

    @router.post("", status_code=201, responses=errors(401, 403, 413, 415))
    async def create_agent(body: AgentCreate, caller: Annotated[Caller, Depends(guard)]) -> AgentAnswer:
        """Make an agent. Only a name is needed: a model and a voice are made for it."""
        return await service.create(caller, body)

    @router.get("", responses=errors(401, 403))
    async def list_agents(asked: AskedPage, caller: Annotated[Caller, Depends(guard)]) -> Page[AgentAnswer]:
        """List the agents, newest first."""
        return await service.page(caller.org_id, asked)

    @router.get("/{agent_id}", responses=errors(401, 403, 404))
    async def get_agent(agent_id: str, caller: Annotated[Caller, Depends(guard)]) -> AgentAnswer:
        """Read one agent."""
        return await service.get(caller.org_id, agent_id)

    @router.patch("/{agent_id}", responses=errors(401, 403, 404, 413, 415))
    async def update_agent(agent_id: str, body: AgentPatch, caller: Annotated[Caller, Depends(guard)]) -> AgentAnswer:
        """Change an agent, from its next call on."""
        return await service.update(caller, agent_id, body)

    @router.delete("/{agent_id}", status_code=204, responses=errors(401, 403, 404, 409))
    async def delete_agent(agent_id: str, caller: Annotated[Caller, Depends(guard)]) -> None:
        """Delete an agent. Its calls stay on record."""
        await service.delete(caller, agent_id)

    return router
