"""Calls, and what happened in them.

A call is a record, not a relation: it keeps the ids of its agent and model as they were, without foreign keys, so that
deleting an agent leaves its calls.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from oneinbox.api.db.tables.root import Base, org_id_column


class Call(Base):
    """One conversation's record."""

    __tablename__ = "calls"
    __table_args__ = (
        Index(None, "org_id", "created_at"),
        Index(None, "org_id", "agent_id", "created_at"),
        Index(None, "publishable_key_id", "created_at"),
        # Eight hex digits recur over the years; among calls that have not ended they may not.
        Index(
            "uq_calls_open_room_name",
            "room_name",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = org_id_column()
    agent_id: Mapped[str]
    llm_id: Mapped[str | None]
    type: Mapped[str]
    direction: Mapped[str | None]
    status: Mapped[str]
    from_number: Mapped[str | None]
    to_number: Mapped[str | None]
    room_name: Mapped[str]
    publishable_key_id: Mapped[str | None]
    asker_hash: Mapped[str | None]
    """A keyed hash of the address that asked with a publishable key."""
    budget_s: Mapped[float | None]
    """What it takes at least from its key's daily minutes until it has ended."""
    variables: Mapped[dict[str, Any]]
    custom_metadata: Mapped[dict[str, Any]]
    providers: Mapped[dict[str, Any]]
    scheduled_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    duration_seconds: Mapped[float | None]
    end_reason: Mapped[str | None]
    worker_id: Mapped[str | None]
    worker_load1: Mapped[float | None]
    worker_mem_pct: Mapped[float | None]
    setup_ms: Mapped[float | None]
    """From the dispatch to a prepared worker."""
    wait_ms: Mapped[float | None]
    """From prepared to the participant's joining."""
    answer_ms: Mapped[float | None]
    """From joining to two-way audio."""
    greeting_ms: Mapped[float | None]
    """From two-way audio to the first sample of the first message."""
    quality: Mapped[dict[str, Any] | None]
    extracted_data: Mapped[dict[str, Any] | None]
    """What the agent noted down, by the name of the tool that asked for it."""
    """How good its connection was: a ``LineQuality`` of ``core/events.py``, by its fields."""
    microphone_silent_at_s: Mapped[float | None]
    """When it was clear that the caller's microphone delivered nothing, seconds into the call; and nothing came later."""
    webhook_id: Mapped[str | None]
    """The webhook that the agent named when the call was made."""
    webhook_url: Mapped[str | None]
    outcome: Mapped[str | None]
    server_id: Mapped[str | None]
    """The server that runs it, and closes it at its next start where it died."""


class CallMessage(Base):
    """One side's turn."""

    __tablename__ = "call_messages"

    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = org_id_column()
    role: Mapped[str]
    content: Mapped[str]
    turn: Mapped[int]
    start_s: Mapped[float]
    end_s: Mapped[float]
    interrupted: Mapped[bool]
    confidence: Mapped[float | None]
    typed: Mapped[bool]


class CallTool(Base):
    """One use of a tool. ``result`` is null while it runs."""

    __tablename__ = "call_tools"

    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = org_id_column()
    name: Mapped[str]
    arguments: Mapped[str]
    result: Mapped[str | None]
    is_error: Mapped[bool]
    turn: Mapped[int]
    start_s: Mapped[float]
    duration_ms: Mapped[float | None]


class CallLatency(Base):
    """One measured part of one turn's latency."""

    __tablename__ = "call_latencies"
    __table_args__ = (UniqueConstraint("call_id", "part", "turn", "ms"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    org_id: Mapped[str] = org_id_column()
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"))
    part: Mapped[str]
    turn: Mapped[int]
    ms: Mapped[float]


class CallFault(Base):
    """A provider's failure in a call, whether the call went on or not."""

    __tablename__ = "call_faults"
    __table_args__ = (Index(None, "call_id"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    org_id: Mapped[str] = org_id_column()
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"))
    provider: Mapped[str]
    stage: Mapped[str]
    kind: Mapped[str]
    detail: Mapped[str]
    at: Mapped[datetime]
