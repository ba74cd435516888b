"""The audit log as a chain: written in the transaction of the change it tells, checked row by row.

A row's hash covers everything in the row and the hash of the row before it (the first row's: nothing), so a row that
was changed, taken out or put in breaks the chain where that happened; the head row tells that the last ones are gone.
Whoever may write to the database can make a whole new chain: keep a head elsewhere to guard against that.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from sqlalchemy import Connection

from oneinbox.api.audit import repo
from oneinbox.api.db.database import Rows
from oneinbox.api.db.tables import AuditEvent, AuditHead
from oneinbox.api.http.auth import Caller
from oneinbox.core.clock import utc_now
from oneinbox.core.ids import new_id

_BATCH = 500
_HASHED = (
    "seq",
    "id",
    "org_id",
    "user_id",
    "api_key_id",
    "action",
    "resource_type",
    "resource_id",
    "request_id",
    "ip",
    "user_agent",
    "payload_hash",
)
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


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
    entry = Entry(caller=caller, action=action, resource_type=resource_type, resource_id=resource_id)
    link = _link(head.seq, head.hash, entry)
    head.seq, head.hash = link["seq"], link["hash"]
    rows.add(AuditEvent(**link))
    await rows.flush()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A change to be written down."""

    caller: Caller
    action: str
    resource_type: str
    resource_id: str | None


def record_together(connection: Connection, entries: Iterable[Entry]) -> None:
    """Write down several changes in their own transaction, each organisation's in the order given."""
    by_org: dict[str, list[Entry]] = {}
    for entry in entries:
        by_org.setdefault(entry.caller.org_id, []).append(entry)
    for org_id in sorted(by_org):  # in one order everywhere: no two transactions wait for each other
        seq, last_hash = repo.lock_end(connection, org_id)
        links: list[dict[str, Any]] = []
        for entry in by_org[org_id]:
            links.append(_link(seq, last_hash, entry))
            seq, last_hash = links[-1]["seq"], links[-1]["hash"]
        repo.append(connection, org_id, links)


def _link(seq: int, last_hash: str, entry: Entry) -> dict[str, Any]:
    """Return the row that follows number ``seq``, by column."""
    caller, asked = entry.caller, entry.caller.asked
    link: dict[str, Any] = {
        "id": new_id("aud"),
        "org_id": caller.org_id,
        "seq": seq + 1,
        "user_id": caller.user_id,
        "api_key_id": caller.key_id,
        "action": entry.action,
        "resource_type": entry.resource_type,
        "resource_id": entry.resource_id,
        "request_id": asked.request_id,
        "ip": asked.ip,
        "user_agent": asked.user_agent,
        "payload_hash": asked.payload_hash,
        "created_at": utc_now(),
    }
    link["hash"] = hash_of(last_hash, link)
    return link


def hash_of(before: str, link: Mapping[str, Any]) -> str:
    """Return the hash of a row that follows the row whose hash is ``before``: SHA-256 over both, in hex."""
    fields = [before, *(link[name] for name in _HASHED)]
    fields.append(link["created_at"].astimezone(UTC).isoformat(timespec="microseconds"))
    return hashlib.sha256(_encode(fields).encode()).hexdigest()


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
        link = {name: getattr(event, name) for name in (*_HASHED, "created_at")}
        if event.hash != hash_of(last_hash, link):
            return Break(org_id=event.org_id, seq=event.seq, reason="the row was changed, or one before it was")
        seq, last_hash = event.seq, event.hash
    return None
