"""Queries over calls and what happened in them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, func, or_, select
from sqlalchemy.exc import IntegrityError

from oneinbox.api.db.database import Rows
from oneinbox.api.db.owned import fetch_owned, fetch_page, is_plausible_id
from oneinbox.api.db.plain import Insert
from oneinbox.api.db.tables import Call, CallFault, CallLatency, CallMessage, CallTool, Recording
from oneinbox.api.recordings.repo import recordings_of


class RoomTakenError(Exception):
    """Another call that has not ended has this room name."""


@dataclass(frozen=True, kw_only=True)
class CallHistory:
    """A call and everything recorded of it."""

    call: Call
    messages: list[CallMessage] = field(default_factory=list[CallMessage])
    tools: list[CallTool] = field(default_factory=list[CallTool])
    latencies: list[CallLatency] = field(default_factory=list[CallLatency])
    faults: list[CallFault] = field(default_factory=list[CallFault])
    recording: Recording | None = None


_insert_new = Insert(
    Call,
    (
        "id",
        "org_id",
        "agent_id",
        "llm_id",
        "type",
        "status",
        "room_name",
        "publishable_key_id",
        "asker_hash",
        "budget_s",
        "variables",
        "custom_metadata",
        "providers",
        "created_at",
        "updated_at",
        "webhook_id",
        "webhook_url",
        "server_id",
    ),
)


def insert_calls(connection: Connection, calls: Sequence[Mapping[str, Any]]) -> None:
    """Add new calls, each a mapping with exactly these columns. Raises :class:`RoomTakenError`."""
    try:
        _insert_new(connection, calls)
    except IntegrityError as error:
        if "room_name" in str(error.orig):
            raise RoomTakenError from None
        raise


async def get_call(rows: Rows, org_id: str, call_id: str) -> Call | None:
    """Return the organisation's call."""
    return await fetch_owned(rows, Call, org_id, call_id)


@dataclass(frozen=True, kw_only=True)
class CallFilter:
    """Which calls are asked for; ``None``: whichever."""

    agent_id: str | None = None
    status: str | None = None
    end_reason: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def page_of_calls(
    rows: Rows, org_id: str, wanted: CallFilter, *, limit: int, offset: int
) -> tuple[list[Call], int]:
    """Return one page of the organisation's calls, newest first, and how many there are."""
    query = _wanted(org_id, wanted)
    return ([], 0) if query is None else await fetch_page(rows, query, Call, limit, offset)


async def calls_after(
    rows: Rows, org_id: str, wanted: CallFilter, *, after: tuple[datetime, str] | None, limit: int
) -> list[Call]:
    """Return the organisation's calls older than ``after`` (moment and id), newest first."""
    query = _wanted(org_id, wanted)
    if query is None:
        return []
    if after is not None:
        moment, call_id = after
        query = query.where(or_(Call.created_at < moment, and_(Call.created_at == moment, Call.id < call_id)))
    page = query.order_by(Call.created_at.desc(), Call.id.desc()).limit(limit)
    return list((await rows.execute(page)).scalars())


def _wanted(org_id: str, wanted: CallFilter) -> Select[Call] | None:
    """Return the query; ``None`` where nothing can fit."""
    if wanted.agent_id is not None and not is_plausible_id(wanted.agent_id):
        return None
    query = select(Call).where(Call.org_id == org_id)
    for column, value in (
        (Call.agent_id, wanted.agent_id),
        (Call.status, wanted.status),
        (Call.end_reason, wanted.end_reason),
        (Call.outcome, wanted.outcome),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.since is not None:
        query = query.where(Call.created_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(Call.created_at < wanted.until)
    return query


async def histories(rows: Rows, calls: Sequence[Call]) -> list[CallHistory]:
    """Return the calls with what was recorded of them, in the order given."""
    ids = [call.id for call in calls]
    if not ids:
        return []
    recordings = await recordings_of(rows, ids)
    found = {call.id: CallHistory(call=call, recording=recordings.get(call.id)) for call in calls}
    messages = select(CallMessage).where(CallMessage.call_id.in_(ids))
    for message in (await rows.execute(messages)).scalars():
        found[message.call_id].messages.append(message)
    tools = select(CallTool).where(CallTool.call_id.in_(ids))
    for tool in (await rows.execute(tools)).scalars():
        found[tool.call_id].tools.append(tool)
    latencies = select(CallLatency).where(CallLatency.call_id.in_(ids)).order_by(CallLatency.id)
    for latency in (await rows.execute(latencies)).scalars():
        found[latency.call_id].latencies.append(latency)
    faults = select(CallFault).where(CallFault.call_id.in_(ids)).order_by(CallFault.id)
    for fault in (await rows.execute(faults)).scalars():
        found[fault.call_id].faults.append(fault)
    return list(found.values())


async def lock_call(rows: Rows, call_id: str) -> Call | None:
    """Return the call for a change; nobody else changes it until the transaction ends."""
    return await rows.get(Call, call_id, with_for_update=True)


async def lock_open_calls(
    rows: Rows, call_ids: Iterable[str] | None = None, *, server_id: str | None = None
) -> list[Call]:
    """Return the calls that have not ended (of these, of this server, or of all organisations), for a change."""
    query = select(Call).where(Call.ended_at.is_(None)).order_by(Call.id).with_for_update()
    if call_ids is not None:
        query = query.where(Call.id.in_(list(call_ids)))
    if server_id is not None:
        query = query.where(or_(Call.server_id == server_id, Call.server_id.is_(None)))
    return list((await rows.execute(query)).scalars())


async def open_call_ids(rows: Rows, server_id: str | None) -> set[str]:
    """Return the calls (of this server; ``None``: all) that have not ended and do not wait for their time."""
    query = select(Call.id).where(Call.ended_at.is_(None), Call.scheduled_at.is_(None))
    if server_id is not None:
        query = query.where(Call.server_id == server_id)
    return set((await rows.execute(query)).scalars())


async def open_calls_until(rows: Rows, org_id: str, until: datetime) -> int:
    """Return how many of the organisation's calls have not ended, of those made until then."""
    query = select(func.count()).where(Call.ended_at.is_(None), Call.org_id == org_id, Call.created_at <= until)
    return (await rows.execute(query)).scalar_one()


async def ended_among(rows: Rows, call_ids: Iterable[str]) -> list[str]:
    """Return those of the calls whose record has an end, or is gone."""
    wanted = set(call_ids)
    query = select(Call.id).where(Call.id.in_(wanted), Call.ended_at.is_(None))
    return sorted(wanted - set((await rows.execute(query)).scalars()))


async def get_message(rows: Rows, message: CallMessage) -> CallMessage | None:
    """Return the message of the same id that is stored already."""
    return await rows.get(CallMessage, (message.call_id, message.id))


async def put_message(rows: Rows, message: CallMessage) -> None:
    """Store the message; one with the same id is replaced."""
    await rows.merge(message)


async def put_tool(rows: Rows, tool: CallTool) -> None:
    """Store the use of a tool; one with the same id is replaced, unless only that has a result."""
    stored = await rows.get(CallTool, (tool.call_id, tool.id))
    if stored is None or tool.result is not None:
        await rows.merge(tool)


async def put_latency(rows: Rows, latency: CallLatency) -> None:
    """Store the measurement unless it is stored already."""
    same = select(CallLatency.id).where(
        CallLatency.call_id == latency.call_id,
        CallLatency.part == latency.part,
        CallLatency.turn == latency.turn,
        CallLatency.ms == latency.ms,
    )
    if (await rows.execute(same)).first() is None:
        rows.add(latency)


async def add_fault(rows: Rows, fault: CallFault) -> None:
    """Store a provider's failure."""
    rows.add(fault)
    await rows.flush()


async def spoken_until_s(rows: Rows, call_id: str) -> float:
    """Return when the last recorded turn ended, in seconds since the call became active; 0 without one."""
    query = select(CallMessage.end_s).where(CallMessage.call_id == call_id).order_by(CallMessage.end_s.desc()).limit(1)
    return (await rows.execute(query)).scalar() or 0.0


def touch(call: Call, now: datetime) -> None:
    """Note that the record changed."""
    call.updated_at = now
