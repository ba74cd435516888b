"""Organisations, and who signs in to them."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from oneinbox.api.db.tables.root import Base, org_id_column


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
    org_id: Mapped[str] = org_id_column()
    email: Mapped[str]
    name: Mapped[str | None]
    password_hash: Mapped[str | None]
    """Without one, a person signs in by link only."""
    role: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Session(Base):
    """A signed-in browser. Its token is valid only while this row is neither ended nor past its time."""

    __tablename__ = "sessions"
    __table_args__ = (Index(None, "user_id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = org_id_column()
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class SignInLink(Base):
    """A link that signs a user in, once."""

    __tablename__ = "sign_in_links"
    __table_args__ = (UniqueConstraint("token_hash"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[str] = org_id_column()
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    token_hash: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class SignInAttempt(Base):
    """A password that was tried, as long as it counts. It belongs to nobody: there may be no such account."""

    __tablename__ = "sign_in_attempts"
    __table_args__ = (Index(None, "subject", "at"), Index(None, "at"))

    id: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str]
    """A keyed hash of address and e-mail, or of the address alone."""
    at: Mapped[datetime]
