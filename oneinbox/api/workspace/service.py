"""The organisation's own call outcomes: the rules."""

from oneinbox.api.audit import trail
from oneinbox.api.db.database import Database
from oneinbox.api.db.owned import fetch_owned, insert_once, page_of_owned
from oneinbox.api.db.tables import CallOutcome
from oneinbox.api.http.auth import Caller
from oneinbox.api.http.paging import Page, PageRequest
from oneinbox.api.workspace.schemas import OutcomeAnswer, OutcomeCreate, OutcomePatch, name_of
from oneinbox.core.clock import utc_now
from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.core.ids import new_id


class OutcomeService:
    """Making, listing and changing outcomes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, caller: Caller, body: OutcomeCreate) -> OutcomeAnswer:
        """Make an outcome."""
        name = body.name or name_of(body.label)
        if not name:
            raise AppError(
                "name_required", "no name can be made from this label: send one", ErrorKind.INVALID, param="name"
            )
        now = utc_now()
        values = {
            "id": new_id("cou"),
            "org_id": caller.org_id,
            "name": name,
            "label": body.label,
            "description": body.description,
            "is_active": body.is_active,
            "created_at": now,
            "updated_at": now,
        }
        async with self._database.write() as rows:
            if not await insert_once(rows, CallOutcome, values):
                raise AppError(
                    "outcome_exists", f"there is an outcome {name!r} already", ErrorKind.CONFLICT, param="name"
                )
            await trail.record(rows, caller, "call_outcome.created", "call_outcome", str(values["id"]))
        return OutcomeAnswer.model_validate(values)

    async def page(self, org_id: str, asked: PageRequest) -> Page[OutcomeAnswer]:
        """Return one page of outcomes, newest first."""
        async with self._database.read() as rows:
            found, total = await page_of_owned(rows, CallOutcome, org_id, asked.limit, asked.offset)
        items = [OutcomeAnswer.model_validate(row) for row in found]
        return Page(items=items, total=total, limit=asked.limit, offset=asked.offset)

    async def update(self, caller: Caller, outcome_id: str, body: OutcomePatch) -> OutcomeAnswer:
        """Change what the body says."""
        async with self._database.write() as rows:
            row = await fetch_owned(rows, CallOutcome, caller.org_id, outcome_id)
            if row is None:
                raise AppError("outcome_not_found", f"there is no outcome {outcome_id[:80]!r}", ErrorKind.NOT_FOUND)
            for name, value in body.said().items():
                setattr(row, name, value)
            row.updated_at = utc_now()
            await trail.record(rows, caller, "call_outcome.updated", "call_outcome", row.id)
        return OutcomeAnswer.model_validate(row)
