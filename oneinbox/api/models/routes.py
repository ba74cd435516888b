"""Language models over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends

from oneinbox.api.http.auth import Caller, Guard
from oneinbox.api.http.body import JsonRoute
from oneinbox.api.http.documented import errors
from oneinbox.api.http.paging import AskedPage, Page
from oneinbox.api.models.schemas import ModelAnswer, ModelCreate, ModelPatch
from oneinbox.api.models.service import ModelService


def model_routes(service: ModelService, guard: Guard) -> APIRouter:
    """Return the routes below ``/v1/models``."""
    router = APIRouter(prefix="/v1/models", tags=["llm-models"], route_class=JsonRoute)

    @router.post("", status_code=201, responses=errors(401, 403, 413, 415))
    async def create_model(body: ModelCreate, caller: Annotated[Caller, Depends(guard)]) -> ModelAnswer:
        """Make a language model set-up, to be used by any number of agents."""
        return await service.create(caller, body)

    @router.get("", responses=errors(401, 403))
    async def list_models(asked: AskedPage, caller: Annotated[Caller, Depends(guard)]) -> Page[ModelAnswer]:
        """List the models, newest first."""
        return await service.page(caller.org_id, asked)

    @router.get("/{model_id}", responses=errors(401, 403, 404))
    async def get_model(model_id: str, caller: Annotated[Caller, Depends(guard)]) -> ModelAnswer:
        """Read one model."""
        return await service.get(caller.org_id, model_id)

    @router.patch("/{model_id}", responses=errors(401, 403, 404, 413, 415))
    async def update_model(model_id: str, body: ModelPatch, caller: Annotated[Caller, Depends(guard)]) -> ModelAnswer:
        """Change a model. Every agent that uses it follows, from its next call on."""
        return await service.update(caller, model_id, body)

    @router.delete("/{model_id}", status_code=204, responses=errors(401, 403, 404, 409))
    async def delete_model(model_id: str, caller: Annotated[Caller, Depends(guard)]) -> None:
        """Delete a model that no agent uses."""
        await service.delete(caller, model_id)

    return router
