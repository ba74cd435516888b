"""Reading the audit log."""

import re

from oneinbox.api.audit import repo
from oneinbox.api.audit.repo import EventFilter
from oneinbox.api.audit.schemas import AuditEventAnswer, AuditEventList
from oneinbox.api.db.database import Database
from oneinbox.core.errors import AppError, ErrorKind

_CURSOR = re.compile(r"aud([1-9][0-9]{0,17})")


class AuditService:
    """What happened in an organisation, newest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self, org_id: str, wanted: EventFilter, *, cursor: str | None, limit: int) -> AuditEventList:
        """Return events, from ``cursor`` on. New events never shift the ones behind a cursor."""
        before = None if cursor is None else _read_cursor(cursor)
        async with self._database.read() as rows:
            found = await repo.newest_events(rows, org_id, wanted, before=before, limit=limit + 1)
        page, more = found[:limit], len(found) > limit
        return AuditEventList(
            items=[AuditEventAnswer.model_validate(event) for event in page],
            next_cursor=f"aud{page[-1].seq}" if more else None,
            has_more=more,
            limit=limit,
        )


def _read_cursor(cursor: str) -> int:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise AppError(
            "invalid_cursor",
            "this cursor is none of ours: send next_cursor as it came",
            ErrorKind.INVALID,
            param="cursor",
        )
    return int(match[1])
