"""Keys over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends

from oneinbox.api.http.auth import Caller, Guard, PersonGuard
from oneinbox.api.http.body import JsonRoute
from oneinbox.api.http.documented import errors
from oneinbox.api.keys.schemas import (
    ApiKeyAnswer,
    ApiKeyCreate,
    ApiKeyCreated,
    ApiKeyPatch,
    PublishableKeyAnswer,
    PublishableKeyCreate,
    PublishableKeyCreated,
    PublishableKeyPatch,
)
from oneinbox.api.keys.secret_keys import SecretKeyService
from oneinbox.api.keys.service import KeyService


def key_routes(service: KeyService, guard: Guard) -> APIRouter:
    """Return the routes below ``/v1/publishable-keys``."""
    router = APIRouter(prefix="/v1/publishable-keys", tags=["publishable-keys"], route_class=JsonRoute)

    @router.post("", status_code=201, responses=errors(401, 403, 413, 415))
    async def create_publishable_key(
        body: PublishableKeyCreate, caller: Annotated[Caller, Depends(guard)]
    ) -> PublishableKeyCreated:
        """Make a key for web pages. It is shown in this answer and never again."""
        return await service.create(caller, body)

    @router.get("", responses=errors(401, 403))
    async def list_publishable_keys(caller: Annotated[Caller, Depends(guard)]) -> list[PublishableKeyAnswer]:
        """List the keys, newest first."""
        return await service.list_keys(caller.org_id)

    @router.patch("/{key_id}", responses=errors(401, 403, 404, 413, 415))
    async def update_publishable_key(
        key_id: str, body: PublishableKeyPatch, caller: Annotated[Caller, Depends(guard)]
    ) -> PublishableKeyAnswer:
        """Change the name or the origins, or pause the key and let it go on."""
        return await service.update(caller, key_id, body)

    @router.delete("/{key_id}", status_code=204, responses=errors(401, 403, 404))
    async def delete_publishable_key(key_id: str, caller: Annotated[Caller, Depends(guard)]) -> None:
        """Delete a key: it stops working at once."""
        await service.delete(caller, key_id)

    return router


def secret_key_routes(service: SecretKeyService, guard: Guard) -> APIRouter:
    """Return the routes below ``/v1/api-keys``, for signed-in persons only."""
    router = APIRouter(prefix="/v1/api-keys", tags=["api-keys"], route_class=JsonRoute)
    person = PersonGuard(guard)

    @router.post("", status_code=201, responses=errors(401, 403, 413, 415))
    async def create_api_key(body: ApiKeyCreate, caller: Annotated[Caller, Depends(person)]) -> ApiKeyCreated:
        """Make a secret key. It is shown in this answer and never again."""
        return await service.create(caller, body)

    @router.get("", responses=errors(401, 403))
    async def list_api_keys(caller: Annotated[Caller, Depends(person)]) -> list[ApiKeyAnswer]:
        """List the keys, newest first."""
        return await service.list_keys(caller.org_id)

    @router.patch("/{key_id}", responses=errors(401, 403, 404, 413, 415))
    async def update_api_key(
        key_id: str, body: ApiKeyPatch, caller: Annotated[Caller, Depends(person)]
    ) -> ApiKeyAnswer:
        """Change the name or the expiry, or pause the key and let it go on."""
        return await service.update(caller, key_id, body)

    @router.post("/{key_id}/rotate", responses=errors(401, 403, 404))
    async def rotate_api_key(key_id: str, caller: Annotated[Caller, Depends(person)]) -> ApiKeyCreated:
        """Put a new key in the place of the old one, which stops working at once."""
        return await service.rotate(caller, key_id)

    @router.delete("/{key_id}", status_code=204, responses=errors(401, 403, 404))
    async def delete_api_key(key_id: str, caller: Annotated[Caller, Depends(person)]) -> None:
        """Revoke a key: it stops working at once."""
        await service.revoke(caller, key_id)

    return router
