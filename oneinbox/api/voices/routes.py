"""Voices over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from oneinbox.api.http.auth import Caller, Guard
from oneinbox.api.http.body import JsonRoute
from oneinbox.api.http.documented import errors
from oneinbox.api.http.paging import MAX_OFFSET, Page, PageRequest
from oneinbox.api.voices.schemas import VoiceAnswer, VoiceImport
from oneinbox.api.voices.service import VoiceService


def voice_routes(service: VoiceService, guard: Guard) -> APIRouter:
    """Return the routes below ``/v1/voices``."""
    router = APIRouter(prefix="/v1/voices", tags=["voices"], route_class=JsonRoute)

    @router.get("", responses=errors(401, 403))
    async def list_voices(
        caller: Annotated[Caller, Depends(guard)],
        provider: Annotated[str | None, Query(max_length=100, pattern=r"^[a-z_.]*$")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
    ) -> Page[VoiceAnswer]:
        """List the voices: your own, newest first, then the built-in ones."""
        return await service.page(caller.org_id, PageRequest(limit=limit, offset=offset), provider)

    @router.post("/import", status_code=201, responses=errors(401, 403, 413, 415))
    async def import_voice(body: VoiceImport, caller: Annotated[Caller, Depends(guard)]) -> VoiceAnswer:
        """Name a voice of your own account with a provider, so that agents can speak with it."""
        return await service.add(caller, body)

    @router.get("/{voice_id}", responses=errors(401, 403, 404))
    async def get_voice(voice_id: str, caller: Annotated[Caller, Depends(guard)]) -> VoiceAnswer:
        """Read one voice."""
        return await service.get(caller.org_id, voice_id)

    @router.delete("/{voice_id}", status_code=204, responses=errors(401, 403, 404, 409))
    async def delete_voice(voice_id: str, caller: Annotated[Caller, Depends(guard)]) -> None:
        """Forget an imported voice that no agent speaks with."""
        await service.delete(caller, voice_id)

    return router
