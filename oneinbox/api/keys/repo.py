"""Queries over keys."""

from datetime import datetime

from sqlalchemy import select, update

from oneinbox.api.db.database import Rows
from oneinbox.api.db.tables import ApiKey, PublishableKey


async def secret_key_by_hash(rows: Rows, key_hash: str) -> ApiKey | None:
    """Return the secret key that has this hash."""
    return (await rows.execute(select(ApiKey).where(ApiKey.key_hash == key_hash))).scalar_one_or_none()


async def publishable_key_by_hash(rows: Rows, key_hash: str) -> PublishableKey | None:
    """Return the publishable key that has this hash."""
    return (await rows.execute(select(PublishableKey).where(PublishableKey.key_hash == key_hash))).scalar_one_or_none()


async def publishable_keys(rows: Rows, org_id: str) -> list[PublishableKey]:
    """Return the organisation's publishable keys, newest first."""
    query = (
        select(PublishableKey)
        .where(PublishableKey.org_id == org_id)
        .order_by(PublishableKey.created_at.desc(), PublishableKey.id.desc())
    )
    return list((await rows.execute(query)).scalars())


async def note_use(rows: Rows, table: type[ApiKey] | type[PublishableKey], key_id: str, now: datetime) -> None:
    """Note that the key was used."""
    await rows.execute(update(table).where(table.id == key_id).values(last_used_at=now))
