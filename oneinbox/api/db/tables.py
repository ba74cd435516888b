"""Every table. Each row is owned by an organisation: ``org_id`` stands in every table from the first migration on.

A call is a record, not a relation: it keeps the ids of its agent and model as they were, without foreign keys, so that
deleting an agent leaves its calls.
"""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, ForeignKey, Index, MetaData, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from oneinbox.api.db.columns import UtcDateTime

_JSON = JSON(none_as_null=True)


class Base(DeclarativeBase):
    """The root of all tables. Constraint names are fixed, so that migrations can name them on any database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime(),
        str: Text(),
        dict[str, Any]: _JSON,
        list[str]: _JSON,
    }


def _org_id() -> Mapped[str]:
    return mapped_column(ForeignKey("organisations.id", ondelete="CASCADE"))


# ---- accounts -------------------------------------------------------------------------------------------------------


class Organisation(Base):
    """Who owns everything else."""

    __tablename__ = "organisations"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    demo_agent_id: Mapped[str | None]
    """The demo agent made for it; kept when that agent is deleted, so that it is not made again."""
    created_at: Mapped[datetime]


class User(Base):
    """A person who signs in to the dashboard."""

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("email"), Index(None, "org_id"))

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = _org_id()
    email: Mapped[str]
    name: Mapped[str | None]
    role: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Session(Base):
    """A signed-in browser. Its token is valid only while this row is neither ended nor past its time."""

    __tablename__ = "sessions"
    __table_args__ = (Index(None, "user_id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = _org_id()
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class SignInLink(Base):
    """A link that signs a user in, once."""

    __tablename__ = "sign_in_links"
    __table_args__ = (UniqueConstraint("token_hash"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = _org_id()
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    token_hash: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


# ---- keys -----------------------------------------------------------------------------------------------------------


class ApiKey(Base):
    """A secret key. The key itself is not kept: its SHA-256, its beginning and its last four characters are."""

    __tablename__ = "api_keys"
    __table_args__ = (UniqueConstraint("key_hash"), Index(None, "org_id"))

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = _org_id()
    name: Mapped[str]
    key_hash: Mapped[str]
    key_prefix: Mapped[str]
    last4: Mapped[str]
    scopes: Mapped[list[str]]
    is_active: Mapped[bool]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]


class PublishableKey(Base):
    """A key that may stand in a web page: it only starts web calls, and only from its origins."""

    __tablename__ = "publishable_keys"
    __table_args__ = (UniqueConstraint("key_hash"), Index(None, "org_id"))

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = _org_id()
    name: Mapped[str]
    key_hash: Mapped[str]
    key_prefix: Mapped[str]
    last4: Mapped[str]
    allowed_origins: Mapped[list[str]]
    scopes: Mapped[list[str]]
    is_active: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]


# ---- agents ---------------------------------------------------------------------------------------------------------


class LanguageModel(Base):
    """A language model set-up, shared by any number of agents (``/v1/models``)."""

    __tablename__ = "models"
    __table_args__ = (Index(None, "org_id", "created_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = _org_id()
    name: Mapped[str]
    provider: Mapped[str]
    model: Mapped[str | None]
    system_prompt: Mapped[str]
    temperature: Mapped[float]
    max_tokens: Mapped[int | None]
    tool_ids: Mapped[list[str]]
    knowledge_base_ids: Mapped[list[str]]
    custom_websocket_url: Mapped[str | None]
    credential_id: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Agent(Base):
    """Who speaks. ``transcriber`` and ``tts`` hold only what was said: the rest is the default of the day."""

    __tablename__ = "agents"
    __table_args__ = (Index(None, "org_id", "created_at"), Index(None, "llm_id"))

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = _org_id()
    name: Mapped[str]
    llm_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="RESTRICT"))
    webhook_id: Mapped[str | None]
    transcriber: Mapped[dict[str, Any]]
    tts: Mapped[dict[str, Any]]
    first_message: Mapped[str | None]
    end_call_phrases: Mapped[list[str]]
    silence_timeout_seconds: Mapped[int]
    max_duration_seconds: Mapped[int]
    interruption_sensitivity: Mapped[float]
    responsiveness: Mapped[float]
    speed: Mapped[float]
    language: Mapped[str]
    dynamic_variables: Mapped[dict[str, Any]]
    voicemail_detection: Mapped[bool]
    voicemail_message: Mapped[str | None]
    enable_recording: Mapped[bool]
    background_sound: Mapped[str | None]
    emotions: Mapped[bool]
    job_description: Mapped[str | None]
    custom_metadata: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


# ---- calls ----------------------------------------------------------------------------------------------------------


class Call(Base):
    """One conversation's record."""

    __tablename__ = "calls"
    __table_args__ = (
        Index(None, "org_id", "created_at"),
        Index(None, "org_id", "agent_id", "created_at"),
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
    org_id: Mapped[str] = _org_id()
    agent_id: Mapped[str]
    llm_id: Mapped[str | None]
    type: Mapped[str]
    direction: Mapped[str | None]
    status: Mapped[str]
    from_number: Mapped[str | None]
    to_number: Mapped[str | None]
    room_name: Mapped[str]
    publishable_key_id: Mapped[str | None]
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


class CallMessage(Base):
    """One side's turn."""

    __tablename__ = "call_messages"

    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = _org_id()
    role: Mapped[str]
    content: Mapped[str]
    turn: Mapped[int]
    start_s: Mapped[float]
    end_s: Mapped[float]
    interrupted: Mapped[bool]
    confidence: Mapped[float | None]
    typed: Mapped[bool]


class CallLatency(Base):
    """One measured part of one turn's latency."""

    __tablename__ = "call_latencies"
    __table_args__ = (UniqueConstraint("call_id", "part", "turn", "ms"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    org_id: Mapped[str] = _org_id()
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"))
    part: Mapped[str]
    turn: Mapped[int]
    ms: Mapped[float]


class CallFault(Base):
    """A provider's failure in a call, whether the call went on or not."""

    __tablename__ = "call_faults"
    __table_args__ = (Index(None, "call_id"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    org_id: Mapped[str] = _org_id()
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"))
    provider: Mapped[str]
    stage: Mapped[str]
    kind: Mapped[str]
    detail: Mapped[str]
    at: Mapped[datetime]
