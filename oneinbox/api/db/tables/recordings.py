"""Recordings of calls: where each is, and what is still to be done with it."""

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from oneinbox.api.db.tables.root import Base, org_id_column


class Recording(Base):
    """One call's recording. It outlives its call until every copy of the sound is deleted."""

    __tablename__ = "recordings"
    __table_args__ = (Index(None, "status", "next_try_at"),)

    call_id: Mapped[str] = mapped_column(primary_key=True)
    """No foreign key: see above."""
    org_id: Mapped[str] = org_id_column()
    server_id: Mapped[str | None]
    """On whose disk the file was written."""
    name: Mapped[str]
    """Its path below the directory, or in the store."""
    status: Mapped[str]
    on_disk: Mapped[bool]
    store: Mapped[str | None]
    """The address of the store that has it; ``None``: none has."""
    size_bytes: Mapped[int | None]
    duration_s: Mapped[float | None]
    error: Mapped[str | None]
    """Why it is not, or not wholly, there."""
    delayed_by: Mapped[str | None]
    """What the last attempt at the next step failed with."""
    attempts: Mapped[int]
    next_try_at: Mapped[datetime]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
