"""What agents are made with: credentials, voices, tools, knowledge; and outcomes and phone numbers."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from oneinbox.api.db.tables.root import Base, org_id_column


class Credential(Base):
    """A key of the organisation's own with a provider (``/v1/integrations``). ``sealed``: see ``db/vault.py``."""

    __tablename__ = "credentials"
    __table_args__ = (Index(None, "org_id", "created_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = org_id_column()
    name: Mapped[str]
    provider: Mapped[str]
    sealed: Mapped[str]
    last4: Mapped[str]
    custom_metadata: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Voice(Base):
    """A voice that the organisation imported from its own account with a provider."""

    __tablename__ = "voices"
    __table_args__ = (Index(None, "org_id", "created_at"), Index(None, "credential_id"))

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = org_id_column()
    provider: Mapped[str]
    provider_voice_id: Mapped[str]
    name: Mapped[str]
    gender: Mapped[str | None]
    language: Mapped[str | None]
    accent: Mapped[str | None]
    preview_url: Mapped[str | None]
    credential_id: Mapped[str] = mapped_column(ForeignKey("credentials.id", ondelete="RESTRICT"))
    created_at: Mapped[datetime]


class Tool(Base):
    """Something a language model may do. ``config`` holds what its type adds; header values are sealed."""

    __tablename__ = "tools"
    __table_args__ = (Index(None, "org_id", "created_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = org_id_column()
    type: Mapped[str]
    name: Mapped[str]
    description: Mapped[str]
    config: Mapped[dict[str, Any]]
    sealed_headers: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class KnowledgeBase(Base):
    """A named set of sources."""

    __tablename__ = "knowledge_bases"
    __table_args__ = (Index(None, "org_id", "created_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = org_id_column()
    name: Mapped[str]
    chunk_size: Mapped[int]
    multilingual: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class KnowledgeSource(Base):
    """A file, a page or a text of a knowledge base. ``content`` is the text that was read from it."""

    __tablename__ = "knowledge_sources"
    __table_args__ = (Index(None, "knowledge_base_id", "created_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = org_id_column()
    knowledge_base_id: Mapped[str] = mapped_column(ForeignKey("knowledge_bases.id", ondelete="CASCADE"))
    type: Mapped[str]
    source: Mapped[str]
    status: Mapped[str]
    error_message: Mapped[str | None]
    file_name: Mapped[str | None]
    mime_type: Mapped[str | None]
    file_size: Mapped[int | None]
    token_count: Mapped[int]
    chunk_count: Mapped[int]
    content: Mapped[str | None] = mapped_column(deferred=True)
    created_at: Mapped[datetime]


class KnowledgeFile(Base):
    """A file as it was sent."""

    __tablename__ = "knowledge_files"

    source_id: Mapped[str] = mapped_column(ForeignKey("knowledge_sources.id", ondelete="CASCADE"), primary_key=True)
    org_id: Mapped[str] = org_id_column()
    data: Mapped[bytes] = mapped_column(LargeBinary)


class KnowledgeJob(Base):
    """The reading of one source."""

    __tablename__ = "knowledge_jobs"
    __table_args__ = (Index(None, "knowledge_base_id", "created_at"), Index(None, "knowledge_base_source_id"))

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = org_id_column()
    knowledge_base_id: Mapped[str] = mapped_column(ForeignKey("knowledge_bases.id", ondelete="CASCADE"))
    knowledge_base_source_id: Mapped[str] = mapped_column(ForeignKey("knowledge_sources.id", ondelete="CASCADE"))
    type: Mapped[str]
    status: Mapped[str]
    payload: Mapped[dict[str, Any]]
    error_message: Mapped[str | None]
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class CallOutcome(Base):
    """One of the organisation's own words for how calls turn out."""

    __tablename__ = "call_outcomes"
    __table_args__ = (UniqueConstraint("org_id", "name"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = org_id_column()
    name: Mapped[str]
    label: Mapped[str]
    description: Mapped[str | None]
    is_active: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class PhoneNumber(Base):
    """A number that the organisation brought with it. The password of its trunk is sealed."""

    __tablename__ = "phone_numbers"
    __table_args__ = (UniqueConstraint("org_id", "phone_number"), Index(None, "org_id", "created_at"))

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = org_id_column()
    phone_number: Mapped[str]
    friendly_name: Mapped[str | None]
    provider: Mapped[str]
    agent_id: Mapped[str]
    credential_id: Mapped[str | None]
    trunk_address: Mapped[str | None]
    auth_username: Mapped[str | None]
    sealed_password: Mapped[str | None]
    inbound_routing: Mapped[dict[str, Any]]
    status: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
