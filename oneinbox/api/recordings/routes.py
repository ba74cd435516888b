"""Fetching a recording by the address that its call's record shows."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import FileResponse

from oneinbox.api.db.database import Database
from oneinbox.api.db.owned import is_plausible_id
from oneinbox.api.recordings import repo
from oneinbox.api.recordings.links import PATH, RecordingLinks
from oneinbox.api.recordings.repo import RecordingStatus
from oneinbox.api.recordings.store import MEDIA_TYPE
from oneinbox.core.errors import AppError, ErrorKind


def recording_routes(database: Database, links: RecordingLinks, directory: Path) -> APIRouter:
    """Return the route of the signed addresses. It is no operation of the API: nobody but we makes its address."""
    router = APIRouter(include_in_schema=False)

    @router.api_route(PATH + "/{call_id}", methods=["GET", "HEAD"])
    async def fetch_recording(
        call_id: str, expires: Annotated[str, Query()] = "", signature: Annotated[str, Query()] = ""
    ) -> FileResponse:
        """Answer the sound, whole or by ``Range``."""
        links.check(call_id, expires, signature)
        async with database.read() as rows:
            recording = await repo.get(rows, call_id) if is_plausible_id(call_id) else None
        if recording is None or recording.status != RecordingStatus.AVAILABLE:
            raise _not_found(call_id)
        path = directory / recording.name
        if not path.is_file():
            raise _not_found(call_id)
        return FileResponse(
            path,
            media_type=MEDIA_TYPE,
            filename=f"{call_id}.ogg",
            content_disposition_type="inline",
            headers={"Cache-Control": "private, max-age=3600"},
        )

    return router


def _not_found(call_id: str) -> AppError:
    return AppError(
        "recording_not_found",
        f"there is no recording of {call_id[:80]!r} here: it was deleted, or is kept by another server",
        ErrorKind.NOT_FOUND,
    )
