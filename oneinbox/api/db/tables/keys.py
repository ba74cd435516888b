"""Keys, secret and publishable."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from oneinbox.api.db.tables.root import Base, org_id_column


class ApiKey(Base):
    """A secret key. The key itself is not kept: its SHA-256, its beginning and its last four characters are."""

    __tablename__ = "api_keys"
    __table_args__ = (UniqueConstraint("key_hash"), Index(None, "org_id"))

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = org_id_column()
    name: Mapped[str]
    key_hash: Mapped[str]
    key_prefix: Mapped[str]
    last4: Mapped[str]
    scopes: Mapped[list[str]]
    is_active: Mapped[bool]
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]


class PublishableKey(Base):
    """A key that may stand in a web page: it only starts web calls, and only from its origins."""

    __tablename__ = "publishable_keys"
    __table_args__ = (UniqueConstraint("key_hash"), Index(None, "org_id"))

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = org_id_column()
    name: Mapped[str]
    key_hash: Mapped[str]
    key_prefix: Mapped[str]
    last4: Mapped[str]
    allowed_origins: Mapped[list[str]]
    scopes: Mapped[list[str]]
    allowed_agent_ids: Mapped[list[str] | None]
    """The agents it may call; empty: every one of the organisation's."""
    limits: Mapped[dict[str, Any] | None]
    is_active: Mapped[bool]
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]


class RetiredKey(Base):
    """A key that was deleted or rotated away, so that its holder is told so."""

    __tablename__ = "retired_keys"

    key_hash: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = org_id_column()
    key_id: Mapped[str]
    retired_at: Mapped[datetime]
