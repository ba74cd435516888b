"""Counts over an organisation's rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, literal, select, union_all

from oneinbox.api.db.database import Rows
from oneinbox.api.db.tables import (
    Agent,
    ApiKey,
    AuditEvent,
    Call,
    Credential,
    KnowledgeBase,
    KnowledgeSource,
    PhoneNumber,
    Tool,
    User,
    WebhookDelivery,
)

_COUNTED = {
    "agents": Agent,
    "phone_numbers": PhoneNumber,
    "knowledge_bases": KnowledgeBase,
    "tools": Tool,
    "credentials": Credential,
    "api_keys": ApiKey,
    "users": User,
}
_MAX_AGENTS, _MAX_SOURCES = 50, 20
_MAX_SELECTS = 100
"""Selects in one compound query; SQLite takes 500."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """An organisation's calls of a time: from ``since`` on, before ``until``."""

    org_id: str
    since: datetime
    until: datetime

    def calls(self) -> list[ColumnElement[bool]]:
        """Return the conditions for calls."""
        return [Call.org_id == self.org_id, Call.created_at >= self.since, Call.created_at < self.until]


async def count_calls(rows: Rows, span: Span) -> int:
    """Return how many calls were made."""
    return (await rows.execute(select(func.count()).where(*span.calls()))).scalar_one()


async def seconds_spoken(rows: Rows, span: Span) -> float:
    """Return how long the calls lasted."""
    query = select(func.coalesce(func.sum(Call.duration_seconds), 0)).where(*span.calls())
    return float((await rows.execute(query)).scalar_one() or 0)


async def resource_counts(rows: Rows, org_id: str) -> dict[str, int]:
    """Return how many rows the organisation has of each kind."""
    counts = [
        select(literal(name), func.count()).select_from(table).where(table.org_id == org_id)
        for name, table in _COUNTED.items()
    ]
    return {row[0]: row[1] for row in (await rows.execute(union_all(*counts))).all()}


async def calls_by(rows: Rows, span: Span, column: Any, absent: str | None = None) -> dict[str, int]:
    """Return how many calls there are of each value; those without one stand under ``absent``, or nowhere."""
    query = select(column, func.count()).where(*span.calls()).group_by(column)
    counts: dict[str, int] = {}
    for value, count in (await rows.execute(query)).all():
        name = absent if value is None else str(value)
        if name is not None:
            counts[name] = counts.get(name, 0) + count
    return counts


async def answers(rows: Rows, span: Span) -> tuple[int, float | None]:
    """Return how many calls were answered, and after how many milliseconds on average."""
    waited_ms = Call.setup_ms + Call.wait_ms + Call.answer_ms
    query = select(func.count(), func.avg(waited_ms)).where(*span.calls(), Call.started_at.is_not(None))
    count, average = (await rows.execute(query)).one()
    return count, None if average is None else float(average)


async def durations(rows: Rows, span: Span) -> dict[str, float | None]:
    """Return average, median, 95th percentile (nearest rank) and maximum of the answered calls that have ended."""
    ended = [*span.calls(), Call.started_at.is_not(None), Call.duration_seconds.is_not(None)]
    query = select(func.count(), func.avg(Call.duration_seconds), func.max(Call.duration_seconds)).where(*ended)
    count, average, longest = (await rows.execute(query)).one()
    ordered = select(Call.duration_seconds).where(*ended).order_by(Call.duration_seconds).limit(1)
    ranks = {"p50": max(-(-count * 50 // 100), 1), "p95": max(-(-count * 95 // 100), 1)}
    found = {name: (await rows.execute(ordered.offset(rank - 1))).scalar() for name, rank in ranks.items()}
    return {"avg": None if average is None else float(average), "max": longest, **found}


async def by_agent(rows: Rows, span: Span) -> Sequence[tuple[str, str | None, int, float]]:
    """Return id, name, number of calls and seconds of the busiest agents."""
    query = (
        select(Call.agent_id, Agent.name, func.count(), func.coalesce(func.sum(Call.duration_seconds), 0))
        .outerjoin(Agent, Agent.id == Call.agent_id)
        .where(*span.calls())
        .group_by(Call.agent_id, Agent.name)
        .order_by(func.count().desc(), Call.agent_id)
        .limit(_MAX_AGENTS)
    )
    return [(row[0], row[1], row[2], float(row[3] or 0)) for row in (await rows.execute(query)).all()]


async def audit_actions(rows: Rows, span: Span) -> list[tuple[str, int]]:
    """Return how often each action is on the audit log, the most frequent first."""
    query = (
        select(AuditEvent.action, func.count())
        .where(
            AuditEvent.org_id == span.org_id, AuditEvent.created_at >= span.since, AuditEvent.created_at < span.until
        )
        .group_by(AuditEvent.action)
        .order_by(func.count().desc(), AuditEvent.action)
    )
    return [(row[0], row[1]) for row in (await rows.execute(query)).all()]


async def known_actions(rows: Rows, org_id: str) -> list[str]:
    """Return every action that the organisation's audit log has."""
    query = select(AuditEvent.action).where(AuditEvent.org_id == org_id).distinct().order_by(AuditEvent.action)
    return list((await rows.execute(query)).scalars())


async def failed_deliveries(rows: Rows, span: Span) -> int:
    """Return how many webhook deliveries were given up."""
    query = select(func.count()).where(
        WebhookDelivery.org_id == span.org_id,
        WebhookDelivery.status == "failed",
        WebhookDelivery.created_at >= span.since,
        WebhookDelivery.created_at < span.until,
    )
    return (await rows.execute(query)).scalar_one()


async def sources_in_error(rows: Rows, org_id: str) -> Sequence[KnowledgeSource]:
    """Return the knowledge sources that could not be read, the newest first."""
    query = (
        select(KnowledgeSource)
        .where(KnowledgeSource.org_id == org_id, KnowledgeSource.status == "error")
        .order_by(KnowledgeSource.created_at.desc())
        .limit(_MAX_SOURCES)
    )
    return (await rows.execute(query)).scalars().all()


async def calls_in(rows: Rows, spans: Sequence[Span]) -> list[int]:
    """Return how many calls there are in each span."""
    found: dict[int, int] = {}
    for start in range(0, len(spans), _MAX_SELECTS):
        counts = [
            select(literal(start + number), func.count()).where(*span.calls())
            for number, span in enumerate(spans[start : start + _MAX_SELECTS])
        ]
        found.update({row[0]: row[1] for row in (await rows.execute(union_all(*counts))).all()})
    return [found[number] for number in range(len(spans))]
