"""Queries over keys."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from oneinbox.api.db.database import Rows
from oneinbox.api.db.owned import is_plausible_id
from oneinbox.api.db.plain import Query, table_of
from oneinbox.api.db.tables import Agent, ApiKey, Call, PublishableKey, RetiredKey
from oneinbox.api.keys.schemas import KeyLimits

_KEYS, _CALLS = table_of(PublishableKey), table_of(Call)


async def secret_key_by_hash(rows: Rows, key_hash: str) -> ApiKey | None:
    """Return the secret key that has this hash."""
    return (await rows.execute(select(ApiKey).where(ApiKey.key_hash == key_hash))).scalar_one_or_none()


_by_hash = Query(select(*_KEYS.c).where(_KEYS.c.key_hash == bindparam("key_hash")))


def publishable_key_by_hash(connection: Connection, key_hash: str) -> PublishableKey | None:
    """Return the publishable key that has this hash: to be read, never changed."""
    return _by_hash.one(connection, _publishable_key, key_hash=key_hash)


def _publishable_key(row: tuple[Any, ...]) -> PublishableKey:
    return PublishableKey(**dict(zip(_KEYS.c.keys(), row, strict=True)))


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


async def secret_keys(rows: Rows, org_id: str) -> list[ApiKey]:
    """Return the organisation's secret keys, newest first."""
    query = select(ApiKey).where(ApiKey.org_id == org_id).order_by(ApiKey.created_at.desc(), ApiKey.id.desc())
    return list((await rows.execute(query)).scalars())


async def retire(rows: Rows, key: ApiKey | PublishableKey, now: datetime) -> None:
    """Remember that this key was given up."""
    rows.add(RetiredKey(key_hash=key.key_hash, org_id=key.org_id, key_id=key.id, retired_at=now))
    await rows.flush()


async def is_retired(rows: Rows, key_hash: str) -> bool:
    """Whether a key with this hash was given up."""
    return await rows.get(RetiredKey, key_hash) is not None


async def unknown_agents(rows: Rows, org_id: str, agent_ids: list[str]) -> list[str]:
    """Return those of the ids that are no agent of the organisation."""
    plausible = [agent_id for agent_id in agent_ids if is_plausible_id(agent_id)]
    query = select(Agent.id).where(Agent.org_id == org_id, Agent.id.in_(plausible))
    known = set((await rows.execute(query)).scalars())
    return [agent_id for agent_id in agent_ids if agent_id not in known]


@dataclass(frozen=True, kw_only=True)
class LimitedKey:
    """What of a publishable key decides whether one more call may begin."""

    id: str
    is_active: bool
    limits: KeyLimits


_lock = Query(
    select(_KEYS.c.id, _KEYS.c.is_active, _KEYS.c.limits).where(_KEYS.c.id == bindparam("key_id")).with_for_update()
)


def lock_key(connection: Connection, key_id: str) -> LimitedKey | None:
    """Return the key, for a count: nobody else counts until the transaction ends."""
    return _lock.one(connection, _limited_key, key_id=key_id)


def _limited_key(row: tuple[Any, ...]) -> LimitedKey:
    return LimitedKey(id=row[0], is_active=row[1], limits=KeyLimits.model_validate(row[2] or {}))


_OF_KEY, _AFTER = _CALLS.c.publishable_key_id == bindparam("key_id"), _CALLS.c.created_at > bindparam("since")
_started = Query(select(func.count(), func.min(_CALLS.c.created_at)).where(_OF_KEY, _AFTER))
_started_from = Query(
    select(func.count(), func.min(_CALLS.c.created_at)).where(
        _OF_KEY, _AFTER, _CALLS.c.asker_hash == bindparam("asker_hash")
    )
)
_not_ended = Query(select(func.count()).where(_OF_KEY, _CALLS.c.ended_at.is_(None)))


def calls_since(
    connection: Connection, key_id: str, since: datetime, asker_hash: str | None
) -> tuple[int, datetime | None]:
    """Return how many calls the key (from this address) has started after ``since``, and when the first of them was."""
    if asker_hash is None:
        ((count, oldest),) = _started(connection, key_id=key_id, since=since)
    else:
        ((count, oldest),) = _started_from(connection, key_id=key_id, since=since, asker_hash=asker_hash)
    return count, oldest


def live_calls(connection: Connection, key_id: str) -> int:
    """Return how many calls of the key have not ended."""
    return _not_ended(connection, key_id=key_id)[0][0]


@dataclass(frozen=True)
class RunningCall:
    """What counts of a call that has not ended."""

    id: str
    key_id: str
    created_at: datetime
    started_at: datetime | None
    budget_s: float | None


def running_calls(
    connection: Connection, key_id: str | None = None, *, since: datetime | None = None
) -> list[RunningCall]:
    """Return the calls of publishable keys (of this one, made since then) that have not ended."""
    of_key = func.coalesce(Call.publishable_key_id, "")  # never null here, and the type checker is to know it
    query = select(Call.id, of_key, Call.created_at, Call.started_at, Call.budget_s)
    query = query.where(Call.ended_at.is_(None), Call.publishable_key_id.is_not(None))
    if key_id is not None:
        query = query.where(Call.publishable_key_id == key_id)
    if since is not None:
        query = query.where(Call.created_at >= since)
    return [RunningCall(*row) for row in connection.execute(query).all()]


def ended_seconds(connection: Connection, key_id: str, since: datetime, until: datetime) -> float:
    """Return how long the key's ended calls have lasted, of those made from ``since`` until before ``until``."""
    query = select(func.sum(Call.duration_seconds)).where(
        Call.publishable_key_id == key_id,
        Call.created_at >= since,
        Call.created_at < until,
        Call.ended_at.is_not(None),
    )
    return connection.execute(query).scalar_one() or 0.0


def limits_of(connection: Connection, key_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return what these keys may use up, of those that have limits."""
    query = select(PublishableKey.id, PublishableKey.limits).where(PublishableKey.id.in_(list(key_ids)))
    return {key_id: limits for key_id, limits in connection.execute(query).all() if limits is not None}
