"""Credentials over HTTP, below ``/v1/integrations`` and, as it was once called, ``/v1/credentials``."""

from typing import Annotated

from fastapi import APIRouter, Depends

from oneinbox.api.http.auth import Caller, Guard
from oneinbox.api.http.body import JsonRoute
from oneinbox.api.http.documented import errors
from oneinbox.api.http.paging import AskedPage, Page
from oneinbox.api.integrations.schemas import CredentialAnswer, CredentialCreate, CredentialPatch
from oneinbox.api.integrations.service import CredentialService


def integration_routes(service: CredentialService, guard: Guard) -> APIRouter:
    """Return the routes below both paths."""
    router = APIRouter()
    router.include_router(_routes(service, guard, "/v1/integrations", "integration"))
    router.include_router(_routes(service, guard, "/v1/credentials", "credential"))
    return router


def _routes(service: CredentialService, guard: Guard, prefix: str, noun: str) -> APIRouter:
    router = APIRouter(prefix=prefix, tags=["integrations"], route_class=JsonRoute)

    @router.post("", name=f"create_{noun}", status_code=201, responses=errors(401, 403, 413, 415))
    async def create(body: CredentialCreate, caller: Annotated[Caller, Depends(guard)]) -> CredentialAnswer:
        """Keep a key of your own with a provider. It is kept encrypted and never shown again."""
        return await service.create(caller, body)

    @router.get("", name=f"list_{noun}s", responses=errors(401, 403))
    async def page(asked: AskedPage, caller: Annotated[Caller, Depends(guard)]) -> Page[CredentialAnswer]:
        """List the credentials, newest first."""
        return await service.page(caller.org_id, asked)

    @router.get("/{credential_id}", name=f"get_{noun}", responses=errors(401, 403, 404))
    async def get(credential_id: str, caller: Annotated[Caller, Depends(guard)]) -> CredentialAnswer:
        """Read one credential, its key masked."""
        return await service.get(caller.org_id, credential_id)

    @router.patch("/{credential_id}", name=f"update_{noun}", responses=errors(401, 403, 404, 413, 415))
    async def update(
        credential_id: str, body: CredentialPatch, caller: Annotated[Caller, Depends(guard)]
    ) -> CredentialAnswer:
        """Rename a credential, or give it a new key."""
        return await service.update(caller, credential_id, body)

    @router.delete("/{credential_id}", name=f"delete_{noun}", status_code=204, responses=errors(401, 403, 404, 409))
    async def delete(credential_id: str, caller: Annotated[Caller, Depends(guard)]) -> None:
        """Delete a credential that nothing uses."""
        await service.delete(caller, credential_id)

    return router
