"""Webhooks, what happened that they are told of, and each telling of it."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from oneinbox.api.db.tables.root import Base, org_id_column


class Webhook(Base):
    """An address that is told of events. Its signing secret is derived, and not kept."""

    __tablename__ = "webhooks"
    __table_args__ = (Index(None, "org_id", "created_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = org_id_column()
    name: Mapped[str]
    url: Mapped[str]
    events: Mapped[list[str]]
    status: Mapped[str]
    secret_version: Mapped[int]
    secret_changed_at: Mapped[datetime | None]
    """When the version before this one was replaced; for a day both sign."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class WebhookEvent(Base):
    """Something that happened, as every endpoint is told of it. Goes with its call."""

    __tablename__ = "webhook_events"
    __table_args__ = (Index(None, "call_id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = org_id_column()
    call_id: Mapped[str | None] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"))
    type: Mapped[str]
    body: Mapped[str]
    """JSON, byte for byte as it is sent: it is signed."""
    created_at: Mapped[datetime]


class WebhookDelivery(Base):
    """The telling of one event to one endpoint: its latest attempt, and when the next is due."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("id"),
        Index(None, "webhook_id", "seq"),
        Index(None, "event_id"),
        Index(
            "ix_webhook_deliveries_pending",
            "stream",
            "seq",
            sqlite_where=text("status = 'pending'"),
            postgresql_where=text("status = 'pending'"),
        ),
    )

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str]
    org_id: Mapped[str] = org_id_column()
    event_id: Mapped[str] = mapped_column(ForeignKey("webhook_events.id", ondelete="CASCADE"))
    event: Mapped[str]
    webhook_id: Mapped[str | None] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    url: Mapped[str | None]
    """A call's own address; ``None``: the webhook's, as it is when the attempt is made."""
    endpoint: Mapped[str]
    """The webhook's id, or the call's own address: what may be slow without delaying others."""
    stream: Mapped[str]
    """Deliveries of one stream go one after the other, by ``seq``: one call's to one endpoint."""
    status: Mapped[str]
    attempt: Mapped[int]
    response_status: Mapped[int | None]
    response_body: Mapped[str | None]
    error: Mapped[str | None]
    next_retry_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]
    """An attempt is being made; when nobody has ended it by then, its sender died and it is made again."""
    completed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
