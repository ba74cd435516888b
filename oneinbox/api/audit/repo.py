"""Queries over the audit log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from oneinbox.api.db.database import Rows
from oneinbox.api.db.owned import insert_new, insert_once
from oneinbox.api.db.plain import Insert, Query, table_of
from oneinbox.api.db.tables import AuditEvent, AuditHead

_HEADS = table_of(AuditHead)
_lock_end = Query(select(_HEADS.c.seq, _HEADS.c.hash).where(_HEADS.c.org_id == bindparam("org_id")).with_for_update())
_move_end = Query(
    update(_HEADS).where(_HEADS.c.org_id == bindparam("org")).values(seq=bindparam("seq"), hash=bindparam("hash"))
)
_insert_events = Insert(AuditEvent, table_of(AuditEvent).c.keys())


@dataclass(frozen=True, kw_only=True)
class EventFilter:
    """Which events are asked for; ``None``: whichever."""

    action: str | None = None
    resource_type: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    user_id: str | None = None
    api_key_id: str | None = None


async def lock_head(rows: Rows, org_id: str) -> AuditHead:
    """Return the end of the organisation's chain, for a change; nobody else adds to it until the transaction ends."""
    head = await rows.get(AuditHead, org_id, with_for_update=True)
    if head is None:
        await insert_once(rows, AuditHead, {"org_id": org_id, "seq": 0, "hash": ""})
        head = await rows.get_one(AuditHead, org_id, with_for_update=True)
    return head


def lock_end(connection: Connection, org_id: str) -> tuple[int, str]:
    """Return number and hash of the last row; nobody else adds to the chain until the transaction ends."""
    found = _lock_end(connection, org_id=org_id)
    if not found:
        insert_new(connection, AuditHead, {"org_id": org_id, "seq": 0, "hash": ""})
        found = _lock_end(connection, org_id=org_id)
    ((seq, last_hash),) = found
    return seq, last_hash


def append(connection: Connection, org_id: str, links: Sequence[Mapping[str, Any]]) -> None:
    """Add these rows, in order, to the chain that was locked."""
    _insert_events(connection, links)
    _move_end(connection, org=org_id, seq=links[-1]["seq"], hash=links[-1]["hash"])


async def all_heads(rows: Rows) -> Sequence[AuditHead]:
    """Return the end of every organisation's chain."""
    return (await rows.execute(select(AuditHead))).scalars().all()


async def organisations_with_events(rows: Rows) -> Sequence[str]:
    """Return the organisations that have events."""
    return (await rows.execute(select(AuditEvent.org_id).distinct())).scalars().all()


async def events_after(rows: Rows, org_id: str, seq: int, limit: int) -> Sequence[AuditEvent]:
    """Return the events that follow ``seq``, in order."""
    query = (
        select(AuditEvent)
        .where(AuditEvent.org_id == org_id, AuditEvent.seq > seq)
        .order_by(AuditEvent.seq)
        .limit(limit)
        .execution_options(populate_existing=True)
    )
    return (await rows.execute(query)).scalars().all()


async def newest_events(
    rows: Rows, org_id: str, wanted: EventFilter, *, before: int | None, limit: int
) -> Sequence[AuditEvent]:
    """Return events, newest first; ``before``: only those with a smaller ``seq``."""
    query = select(AuditEvent).where(AuditEvent.org_id == org_id)
    if before is not None:
        query = query.where(AuditEvent.seq < before)
    if wanted.action is not None:
        query = query.where(AuditEvent.action == wanted.action)
    if wanted.resource_type is not None:
        query = query.where(AuditEvent.resource_type == wanted.resource_type)
    if wanted.since is not None:
        query = query.where(AuditEvent.created_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(AuditEvent.created_at < wanted.until)
    if wanted.user_id is not None:
        query = query.where(AuditEvent.user_id == wanted.user_id)
    if wanted.api_key_id is not None:
        query = query.where(AuditEvent.api_key_id == wanted.api_key_id)
    return (await rows.execute(query.order_by(AuditEvent.seq.desc()).limit(limit))).scalars().all()
