"""Agents and their language models."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from oneinbox.api.db.tables.root import Base, org_id_column


class LanguageModel(Base):
    """A language model set-up, shared by any number of agents (``/v1/models``)."""

    __tablename__ = "models"
    __table_args__ = (Index(None, "org_id", "created_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = org_id_column()
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
    org_id: Mapped[str] = org_id_column()
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
    turn_taking: Mapped[dict[str, Any]]
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
