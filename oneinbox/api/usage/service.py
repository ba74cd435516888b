"""Usage and activity: what an organisation has used, and what happened in it."""

from datetime import UTC, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from oneinbox.api.db.database import Database, Rows
from oneinbox.api.db.tables import Call
from oneinbox.api.usage import repo
from oneinbox.api.usage.repo import Span
from oneinbox.api.usage.schemas import (
    ActionCount,
    ActivitySummary,
    ActivityTimeseries,
    AgentActivity,
    CallMetrics,
    CallSummary,
    DayPoint,
    ErrorSignals,
    ResourceCounts,
    SourceInError,
    UsageAnswer,
)
from oneinbox.core.clock import utc_now
from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.core.events import CallStatus

KB_TOKEN_BUDGET = 10_000
_DEFAULT_SPAN = timedelta(days=30)
_MAX_DAYS = 366
_REGIONS = frozenset(
    {"Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"}
)


class UsageService:
    """Counting. Everything is counted when it is asked for: nothing can drift from the calls on record."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def usage(self, org_id: str) -> UsageAnswer:
        """Return what was used today and this month (UTC)."""
        now = utc_now()
        today = datetime.combine(now.date(), time(), UTC)
        month = Span(org_id=org_id, since=today.replace(day=1), until=now + timedelta(days=1))
        async with self._database.read() as rows:
            calls_today = await repo.count_calls(rows, Span(org_id=org_id, since=today, until=month.until))
            calls_this_month = await repo.count_calls(rows, month)
            seconds = await repo.seconds_spoken(rows, month)
        return UsageAnswer(
            calls_made_today=calls_today,
            max_calls_per_day=None,
            calls_remaining_today=None,
            calls_this_month=calls_this_month,
            minutes_used_this_month=_minutes(seconds),
            cost_cents_this_month=None,
            kb_token_budget=KB_TOKEN_BUDGET,
            period_start=month.since,
        )

    async def summary(self, org_id: str, since: datetime | None, until: datetime | None) -> ActivitySummary:
        """Return what happened between ``since`` (without one: 30 days before the end) and ``until`` (now)."""
        span = _span(org_id, since, until)
        async with self._database.read() as rows:
            calls = await _call_summary(rows, span)
            return ActivitySummary(
                since=span.since,
                until=span.until,
                resource_counts=ResourceCounts(**await repo.resource_counts(rows, org_id)),
                call_summary=calls,
                call_metrics=await _call_metrics(rows, span, calls.total),
                by_agent=[
                    AgentActivity(agent_id=agent_id, name=name, calls=count, minutes=_minutes(spoken))
                    for agent_id, name, count, spoken in await repo.by_agent(rows, span)
                ],
                audit_actions=[
                    ActionCount(action=action, count=count) for action, count in await repo.audit_actions(rows, span)
                ],
                known_actions=await repo.known_actions(rows, org_id),
                error_signals=ErrorSignals(
                    calls_ended_in_error=calls.by_status.get(CallStatus.FAILED, 0),
                    webhook_deliveries_failed=await repo.failed_deliveries(rows, span),
                    kb_sources_errored=[
                        SourceInError.model_validate(source) for source in await repo.sources_in_error(rows, org_id)
                    ],
                ),
            )

    async def timeseries(
        self, org_id: str, tz: str, since: datetime | None, until: datetime | None
    ) -> ActivityTimeseries:
        """Return the calls of each day, as the time zone counts days. Raises ``AppError`` (422)."""
        zone = _zone(tz)
        days = _days(_span(org_id, since, until), zone)
        async with self._database.read() as rows:
            counts = await repo.calls_in(rows, days)
        points = [DayPoint(bucket_start=day.since, calls=calls) for day, calls in zip(days, counts, strict=True)]
        return ActivityTimeseries(bucket="day", tz=tz, points=points)


def _span(org_id: str, since: datetime | None, until: datetime | None) -> Span:
    end = until or utc_now()
    begin = since or end - _DEFAULT_SPAN
    if begin >= end:
        raise AppError("empty_span", "since has to be before until", ErrorKind.INVALID, param="since")
    return Span(org_id=org_id, since=begin, until=end)


def _days(span: Span, zone: ZoneInfo) -> list[Span]:
    """Cut a span into days of a time zone: of 23 and 25 hours too. The first and last are whole days."""
    first, last = span.since.astimezone(zone).date(), span.until.astimezone(zone).date()
    if (last - first).days >= _MAX_DAYS:
        raise AppError("span_too_long", "ask for 366 days at most", ErrorKind.INVALID, param="since")
    starts = [
        datetime.combine(first + timedelta(days=number), time(), zone) for number in range((last - first).days + 2)
    ]
    if starts[-2] >= span.until:
        starts.pop()  # it ends at midnight: the next day has not begun
    return [Span(org_id=span.org_id, since=start, until=end) for start, end in pairwise(starts)]


@cache
def _zone_names() -> frozenset[str]:
    """The time zones by their present names: `US/Eastern` and `EST` are of another age."""
    return frozenset({"UTC"} | {name for name in available_timezones() if name.partition("/")[0] in _REGIONS})


def _zone(name: str) -> ZoneInfo:
    if name not in _zone_names():
        raise AppError(
            "unknown_time_zone",
            "this is no time zone: write it as in Europe/Paris, or UTC",
            ErrorKind.INVALID,
            param="tz",
        )
    return ZoneInfo(name)


def _minutes(seconds: float) -> float:
    return round(seconds / 60, 4)


async def _call_summary(rows: Rows, span: Span) -> CallSummary:
    by_status = await repo.calls_by(rows, span, Call.status)
    return CallSummary(
        total=sum(by_status.values()),
        by_status=by_status,
        by_direction=await repo.calls_by(rows, span, Call.direction, "web"),
        by_outcome=await repo.calls_by(rows, span, Call.outcome),
        by_end_reason=await repo.calls_by(rows, span, Call.end_reason),
    )


async def _call_metrics(rows: Rows, span: Span, total: int) -> CallMetrics:
    answered, waited_ms = await repo.answers(rows, span)
    durations = await repo.durations(rows, span)
    return CallMetrics(
        answered=answered,
        answer_rate=round(answered / total, 4) if total else None,
        avg_time_to_answer_seconds=None if waited_ms is None else round(waited_ms / 1000, 3),
        minutes=_minutes(await repo.seconds_spoken(rows, span)),
        cost_cents=None,
        avg_duration_seconds=durations["avg"],
        p50_duration_seconds=durations["p50"],
        p95_duration_seconds=durations["p95"],
        max_duration_seconds=durations["max"],
    )
