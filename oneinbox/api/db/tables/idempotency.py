"""What was answered to requests that carried an ``Idempotency-Key``."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from oneinbox.api.db.tables.root import Base


class IdempotencyKey(Base):
    """One such request. The key is kept as a hash, the answer sealed: it may hold a secret that is shown once."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index(None, "created_at"),)

    org_id: Mapped[str] = mapped_column(ForeignKey("organisations.id", ondelete="CASCADE"), primary_key=True)
    route: Mapped[str] = mapped_column(primary_key=True)
    key_hash: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    """SHA-256 of path, asker and body."""
    status: Mapped[int | None]
    answer: Mapped[str | None]
    settled: Mapped[bool]
    """Whether the request is done; until then a repetition has to wait."""
    created_at: Mapped[datetime]
