"""Knowledge bases over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request

from oneinbox.api.http.auth import Caller, Guard
from oneinbox.api.http.body import JsonRoute
from oneinbox.api.http.documented import errors
from oneinbox.api.http.paging import AskedPage, Page
from oneinbox.api.http.upload import UploadRoute, read_form
from oneinbox.api.knowledge.schemas import (
    JobAnswer,
    KnowledgeBaseAnswer,
    KnowledgeBaseCreate,
    KnowledgeBasePatch,
    SourceAdded,
    SourceAddedWithBase,
    SourceAnswer,
)
from oneinbox.api.knowledge.service import KnowledgeService

_SOURCE_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": ".txt, .md, .csv, .html (read at once); .pdf, .docx, .xlsx, .xls (read soon)",
                        },
                        "type": {"type": "string", "enum": ["url", "text"]},
                        "source": {"type": "string", "description": "The URL, or the text."},
                    },
                }
            }
        },
    }
}


def knowledge_routes(service: KnowledgeService, guard: Guard) -> APIRouter:
    """Return the routes below ``/v1/knowledge-bases``."""
    router = APIRouter(tags=["knowledge-bases"])
    router.include_router(_upload_routes(service, guard))  # `sources` is no id: its route comes first
    router.include_router(_base_routes(service, guard))
    return router


def _upload_routes(service: KnowledgeService, guard: Guard) -> APIRouter:
    router = APIRouter(prefix="/v1/knowledge-bases", route_class=UploadRoute)

    @router.post("/sources", status_code=201, responses=errors(401, 403, 409, 413, 415), openapi_extra=_SOURCE_FORM)
    async def create_knowledge_base_from_source(
        request: Request, caller: Annotated[Caller, Depends(guard)]
    ) -> SourceAddedWithBase:
        """Make a knowledge base of one source, named after it."""
        return await service.add_source_with_base(caller, await read_form(request))

    @router.post(
        "/{kb_id}/sources",
        status_code=202,
        responses=errors(401, 403, 404, 409, 413, 415),
        openapi_extra=_SOURCE_FORM,
    )
    async def add_knowledge_base_source(
        kb_id: str, request: Request, caller: Annotated[Caller, Depends(guard)]
    ) -> SourceAdded:
        """Put a file, a page or a text into a knowledge base. A page or a document is read soon; the job tells when."""
        return await service.add_source(caller, kb_id, await read_form(request))

    return router


def _base_routes(service: KnowledgeService, guard: Guard) -> APIRouter:
    router = APIRouter(prefix="/v1/knowledge-bases", route_class=JsonRoute)

    @router.post("", status_code=201, responses=errors(401, 403, 413, 415))
    async def create_knowledge_base(
        body: KnowledgeBaseCreate, caller: Annotated[Caller, Depends(guard)]
    ) -> KnowledgeBaseAnswer:
        """Make a knowledge base. Models have knowledge bases (`knowledge_base_ids`)."""
        return await service.create(caller, body)

    @router.get("", responses=errors(401, 403))
    async def list_knowledge_bases(
        asked: AskedPage, caller: Annotated[Caller, Depends(guard)]
    ) -> Page[KnowledgeBaseAnswer]:
        """List the knowledge bases, newest first."""
        return await service.page(caller.org_id, asked)

    @router.get("/{kb_id}", responses=errors(401, 403, 404))
    async def get_knowledge_base(kb_id: str, caller: Annotated[Caller, Depends(guard)]) -> KnowledgeBaseAnswer:
        """Read one knowledge base."""
        return await service.get(caller.org_id, kb_id)

    @router.patch("/{kb_id}", responses=errors(401, 403, 404, 413, 415))
    async def update_knowledge_base(
        kb_id: str, body: KnowledgeBasePatch, caller: Annotated[Caller, Depends(guard)]
    ) -> KnowledgeBaseAnswer:
        """Change a knowledge base."""
        return await service.update(caller, kb_id, body)

    @router.delete("/{kb_id}", status_code=204, responses=errors(401, 403, 404, 409))
    async def delete_knowledge_base(kb_id: str, caller: Annotated[Caller, Depends(guard)]) -> None:
        """Delete a knowledge base that no model has, with its sources."""
        await service.delete(caller, kb_id)

    @router.get("/{kb_id}/sources", responses=errors(401, 403, 404))
    async def list_knowledge_base_sources(kb_id: str, caller: Annotated[Caller, Depends(guard)]) -> list[SourceAnswer]:
        """List the sources, newest first."""
        return await service.sources(caller.org_id, kb_id)

    @router.delete("/{kb_id}/sources/{source_id}", status_code=204, responses=errors(401, 403, 404))
    async def delete_knowledge_base_source(
        kb_id: str, source_id: str, caller: Annotated[Caller, Depends(guard)]
    ) -> None:
        """Take a source out of a knowledge base."""
        await service.delete_source(caller, kb_id, source_id)

    @router.get("/{kb_id}/jobs", responses=errors(401, 403, 404))
    async def list_knowledge_base_jobs(kb_id: str, caller: Annotated[Caller, Depends(guard)]) -> list[JobAnswer]:
        """List the newest jobs, twenty at most."""
        return await service.jobs(caller.org_id, kb_id)

    @router.get("/{kb_id}/jobs/{job_id}", responses=errors(401, 403, 404))
    async def get_knowledge_base_job(kb_id: str, job_id: str, caller: Annotated[Caller, Depends(guard)]) -> JobAnswer:
        """Read one job."""
        return await service.job(caller.org_id, kb_id, job_id)

    return router
