"""Queries over organisations, users, sessions and sign-in links."""

from datetime import datetime

from sqlalchemy import delete, func, select, update

from oneinbox.api.db.database import Rows
from oneinbox.api.db.tables import Organisation, Session, SignInAttempt, SignInLink, User
from oneinbox.core.ids import new_id


async def first_organisation(rows: Rows) -> Organisation | None:
    """Return the organisation that was made first."""
    query = select(Organisation).order_by(Organisation.created_at, Organisation.id).limit(1)
    return (await rows.execute(query)).scalar_one_or_none()


async def owner_of(rows: Rows, org_id: str) -> User | None:
    """Return the organisation's first owner."""
    query = select(User).where(User.org_id == org_id, User.role == "owner").order_by(User.created_at).limit(1)
    return (await rows.execute(query)).scalar_one_or_none()


async def user_with_organisation(rows: Rows, user_id: str, org_id: str) -> tuple[User, Organisation] | None:
    """Return a user and their organisation."""
    query = (
        select(User, Organisation)
        .join(Organisation, Organisation.id == User.org_id)
        .where(User.id == user_id, User.org_id == org_id)
    )
    found = (await rows.execute(query)).one_or_none()
    return None if found is None else (found[0], found[1])


async def burn_link(rows: Rows, token_hash: str, now: datetime) -> SignInLink | None:
    """Mark the link used and return it: in one statement, so that of two requests one alone gets it."""
    statement = (
        update(SignInLink)
        .where(SignInLink.token_hash == token_hash, SignInLink.used_at.is_(None), SignInLink.expires_at > now)
        .values(used_at=now)
        .returning(SignInLink)
    )
    return (await rows.execute(statement)).scalar_one_or_none()


async def link_by_hash(rows: Rows, token_hash: str) -> SignInLink | None:
    """Return the link, whatever its state."""
    return (await rows.execute(select(SignInLink).where(SignInLink.token_hash == token_hash))).scalar_one_or_none()


async def live_session(rows: Rows, session_id: str, now: datetime) -> Session | None:
    """Return the session unless it is ended or past its time."""
    query = select(Session).where(Session.id == session_id, Session.ended_at.is_(None), Session.expires_at > now)
    return (await rows.execute(query)).scalar_one_or_none()


async def end_session(rows: Rows, session_id: str, now: datetime) -> None:
    """End a session."""
    await rows.execute(update(Session).where(Session.id == session_id, Session.ended_at.is_(None)).values(ended_at=now))


async def forget_expired(rows: Rows, before: datetime) -> None:
    """Delete sessions and links whose time passed before ``before``."""
    await rows.execute(delete(Session).where(Session.expires_at < before))
    await rows.execute(delete(SignInLink).where(SignInLink.expires_at < before))


async def user_by_email(rows: Rows, email: str) -> User | None:
    """Return the person with this e-mail, written in small letters."""
    return (await rows.execute(select(User).where(User.email == email))).scalar_one_or_none()


async def organisation(rows: Rows, org_id: str, *, to_change: bool = False) -> Organisation:
    """Return the organisation; ``to_change`` keeps others from changing it meanwhile."""
    return await rows.get_one(Organisation, org_id, with_for_update=True if to_change else None)


async def extend_session(rows: Rows, session_id: str, expires_at: datetime) -> None:
    """Let a session last longer."""
    await rows.execute(update(Session).where(Session.id == session_id).values(expires_at=expires_at))


async def attempts(rows: Rows, subject: str) -> tuple[int, datetime | None]:
    """Return how many attempts are on record, and when the first was."""
    query = select(func.count(), func.min(SignInAttempt.at)).where(SignInAttempt.subject == subject)
    count, oldest = (await rows.execute(query)).one()
    return count, oldest


def add_attempt(rows: Rows, subject: str, now: datetime) -> None:
    """Put an attempt on record."""
    rows.add(SignInAttempt(id=new_id("sia"), subject=subject, at=now))


async def forget_attempts(rows: Rows, subject: str) -> None:
    """Delete the attempts of one subject."""
    await rows.execute(delete(SignInAttempt).where(SignInAttempt.subject == subject))


async def forget_attempts_before(rows: Rows, before: datetime) -> None:
    """Delete the attempts that no longer count."""
    await rows.execute(delete(SignInAttempt).where(SignInAttempt.at < before))
