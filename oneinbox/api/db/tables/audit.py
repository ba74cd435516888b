"""The audit log: who changed what. Each row's hash covers the row and the hash before it."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from oneinbox.api.db.tables.root import Base, org_id_column


class AuditEvent(Base):
    """One change. Who made it is kept as ids without foreign keys: the row outlives its user and its key."""

    __tablename__ = "audit_events"
    __table_args__ = (UniqueConstraint("org_id", "seq"), Index(None, "org_id", "action", "seq"))

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = org_id_column()
    seq: Mapped[int]
    """1, 2, 3 within the organisation, without a gap."""
    user_id: Mapped[str | None]
    api_key_id: Mapped[str | None]
    action: Mapped[str]
    resource_type: Mapped[str]
    resource_id: Mapped[str | None]
    request_id: Mapped[str | None]
    ip: Mapped[str | None]
    user_agent: Mapped[str | None]
    payload_hash: Mapped[str | None]
    created_at: Mapped[datetime]
    hash: Mapped[str]


class AuditHead(Base):
    """The end of an organisation's chain: without it nobody could tell that the last rows were taken away."""

    __tablename__ = "audit_heads"

    org_id: Mapped[str] = mapped_column(ForeignKey("organisations.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int]
    hash: Mapped[str]
