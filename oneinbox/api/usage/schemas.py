"""Usage and activity on the wire."""

from datetime import datetime

from pydantic import Field

from oneinbox.api.http.fields import Answer


class UsageAnswer(Answer):
    """What the organisation has used. Days and months are those of UTC."""

    calls_made_today: int
    max_calls_per_day: int | None = Field(description="Null: no limit.")
    calls_remaining_today: int | None
    calls_this_month: int
    minutes_used_this_month: float = Field(description="Minutes of two-way audio; one is one credit.")
    cost_cents_this_month: float | None = Field(description="Null: this server charges nothing.")
    kb_token_budget: int = Field(description="Tokens of knowledge that go into a prompt as they are.")
    period_start: datetime


class ResourceCounts(Answer):
    """How many there are of each thing."""

    agents: int
    phone_numbers: int
    knowledge_bases: int
    tools: int
    credentials: int
    api_keys: int
    users: int


class CallSummary(Answer):
    """How many calls there were, of which kind."""

    total: int
    by_status: dict[str, int]
    by_direction: dict[str, int] = Field(description="Web calls have none: they stand under `web`.")
    by_outcome: dict[str, int]
    by_end_reason: dict[str, int]


class CallMetrics(Answer):
    """How the calls went. Durations are those of answered calls that have ended."""

    answered: int
    answer_rate: float | None = Field(description="Of all calls; null without any.")
    avg_time_to_answer_seconds: float | None = Field(description="From the request to two-way audio.")
    minutes: float
    cost_cents: float | None
    avg_duration_seconds: float | None
    p50_duration_seconds: float | None
    p95_duration_seconds: float | None
    max_duration_seconds: float | None


class AgentActivity(Answer):
    """One agent's calls."""

    agent_id: str
    name: str | None = Field(description="Null: the agent was deleted.")
    calls: int
    minutes: float


class ActionCount(Answer):
    """How often something was done."""

    action: str
    count: int


class SourceInError(Answer):
    """A knowledge source that could not be read."""

    id: str
    knowledge_base_id: str
    source: str
    error_message: str | None


class ErrorSignals(Answer):
    """What went wrong."""

    calls_ended_in_error: int
    webhook_deliveries_failed: int
    kb_sources_errored: list[SourceInError] = Field(description="As they are now, 20 at most.")


class ActivitySummary(Answer):
    """What happened in the organisation between `since` and `until`."""

    since: datetime
    until: datetime
    resource_counts: ResourceCounts = Field(description="As they are now.")
    call_summary: CallSummary
    call_metrics: CallMetrics
    by_agent: list[AgentActivity] = Field(description="The busiest first, 50 at most.")
    audit_actions: list[ActionCount]
    known_actions: list[str] = Field(description="Every action that the organisation's audit log has ever had.")
    error_signals: ErrorSignals


class DayPoint(Answer):
    """One day, as the asked time zone counts it."""

    bucket_start: datetime
    calls: int


class ActivityTimeseries(Answer):
    """Calls per day, days without any included."""

    bucket: str = Field(examples=["day"])
    tz: str
    points: list[DayPoint]
