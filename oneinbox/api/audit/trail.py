"""The audit log as a chain: written in the transaction of the change it tells, checked row by row.

A row's hash covers everything in the row and the hash of the row before it (the first row's: nothing), so a row that
was changed, taken out or put in breaks the chain where that happened; the head row tells that the last ones are gone.
Whoever may write to the database can make a whole new chain: keep a head elsewhere to guard against that.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC

from oneinbox.api.audit import repo
from oneinbox.api.db.database import Rows
from oneinbox.api.db.tables import AuditEvent, AuditHead
from oneinbox.api.http.auth import Caller
from oneinbox.core.clock import utc_now
from oneinbox.core.ids import new_id

_BATCH = 500


@dataclass(frozen=True, kw_only=True)
class Break:
    """A place where an organisation's chain does not hold."""

    org_id: str
    seq: int
    reason: str


async def record(rows: Rows, caller: Caller, action: str, resource_type: str, resource_id: str | None) -> None:
    """Write down a change in its own transaction: where that is rolled back, so is this.

    ``action`` is the thing and what happened to it: ``agent.created``.
    """
    head = await repo.lock_head(rows, caller.org_id)
    asked = caller.asked
    event = AuditEvent(
        id=new_id("aud"),
        org_id=caller.org_id,
        seq=head.seq + 1,
        user_id=caller.user_id,
        api_key_id=caller.key_id,
        action=action,
        resource_type=resource_type,
        resource_id=resource_id,
        request_id=asked.request_id,
        ip=asked.ip,
        user_agent=asked.user_agent,
        payload_hash=asked.payload_hash,
        created_at=utc_now(),
    )
    event.hash = hash_of(head.hash, event)
    head.seq, head.hash = event.seq, event.hash
    rows.add(event)
    await rows.flush()


def hash_of(before: str, event: AuditEvent) -> str:
    """Return the hash of a row that follows the row whose hash is ``before``: SHA-256 over both, in hex."""
    fields = [
        before,
        event.seq,
        event.id,
        event.org_id,
        event.user_id,
        event.api_key_id,
        event.action,
        event.resource_type,
        event.resource_id,
        event.request_id,
        event.ip,
        event.user_agent,
        event.payload_hash,
        event.created_at.astimezone(UTC).isoformat(timespec="microseconds"),
    ]
    return hashlib.sha256(json.dumps(fields, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()


async def verify(rows: Rows) -> list[Break]:
    """Check every organisation's chain from its beginning; return the first break of each (none: all hold)."""
    breaks: list[Break] = []
    heads = {head.org_id: head for head in await repo.all_heads(rows)}
    for org_id in sorted(heads.keys() | set(await repo.organisations_with_events(rows))):
        found = await _verify_one(rows, org_id, heads.get(org_id))
        if found is not None:
            breaks.append(found)
    return breaks


async def _verify_one(rows: Rows, org_id: str, head: AuditHead | None) -> Break | None:
    seq, last_hash = 0, ""
    while batch := await repo.events_after(rows, org_id, seq, _BATCH):
        broken = _first_break(batch, seq, last_hash)
        if broken is not None:
            return broken
        seq, last_hash = batch[-1].seq, batch[-1].hash
    if head is None:
        return Break(org_id=org_id, seq=seq, reason="the end of the chain is not on record")
    if (head.seq, head.hash) != (seq, last_hash):
        return Break(org_id=org_id, seq=seq + 1, reason=f"rows are missing at the end: there were {head.seq}")
    return None


def _first_break(events: Iterable[AuditEvent], seq: int, last_hash: str) -> Break | None:
    for event in events:
        if event.seq != seq + 1:
            return Break(org_id=event.org_id, seq=seq + 1, reason="a row is missing")
        if event.hash != hash_of(last_hash, event):
            return Break(org_id=event.org_id, seq=event.seq, reason="the row was changed, or one before it was")
        seq, last_hash = event.seq, event.hash
    return None
