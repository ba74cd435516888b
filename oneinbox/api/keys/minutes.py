"""A publishable key's minutes of a day (UTC): what has been used, and which running calls have to end for it.

A call counts to the day on which it was made: once it has ended, with how long it lasted; while it runs, with how long it
has lasted so far. For the admission of another it counts with :data:`BOOKED_S` at least, so that a burst of calls that
have not begun to talk cannot take more than there is.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from oneinbox.api.keys import repo
from oneinbox.api.keys.schemas import KeyLimits

DAY_S = 86_400
BOOKED_S = 60.0


@dataclass(frozen=True, kw_only=True)
class UsedUp:
    """The calls that have to end now, and how soon (in seconds) the next might have to; ``None``: none is limited."""

    call_ids: tuple[str, ...]
    next_s: float | None


def left_s(connection: Connection, key_id: str, daily_minutes: int, now: datetime) -> float:
    """Return what another call would find left of today's minutes, in seconds; negative where they are overdrawn."""
    midnight = midnight_of(now)
    ended_s = repo.ended_seconds(connection, key_id, midnight, midnight + timedelta(seconds=DAY_S))
    running = repo.running_calls(connection, key_id, since=midnight)
    return daily_minutes * 60 - ended_s - sum(max(_lasted_s(call, now), call.budget_s or 0.0) for call in running)


def used_up(connection: Connection, now: datetime) -> UsedUp:
    """Return the running calls, of all servers, whose key's minutes are used up by all its calls together."""
    by_key: defaultdict[str, list[repo.RunningCall]] = defaultdict(list)
    for call in repo.running_calls(connection):
        by_key[call.key_id].append(call)
    if not by_key:
        return UsedUp(call_ids=(), next_s=None)
    spent: list[str] = []
    next_s: float | None = None
    for key_id, limits in repo.limits_of(connection, by_key).items():
        daily_minutes = KeyLimits.model_validate(limits).daily_minutes
        if daily_minutes is None:
            continue
        for midnight, calls in _by_day(by_key[key_id]).items():
            ended_s = repo.ended_seconds(connection, key_id, midnight, midnight + timedelta(seconds=DAY_S))
            rest_s = daily_minutes * 60 - ended_s - sum(_lasted_s(call, now) for call in calls)
            if rest_s <= 0:
                spent += [call.id for call in calls]
                continue
            soonest_s = rest_s / len(calls)
            next_s = soonest_s if next_s is None else min(next_s, soonest_s)
    return UsedUp(call_ids=tuple(spent), next_s=next_s)


def midnight_of(now: datetime) -> datetime:
    """Return when the day of ``now`` (in UTC) began."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def _by_day(calls: Sequence[repo.RunningCall]) -> dict[datetime, list[repo.RunningCall]]:
    days: defaultdict[datetime, list[repo.RunningCall]] = defaultdict(list)
    for call in calls:
        days[midnight_of(call.created_at)].append(call)
    return days


def _lasted_s(call: repo.RunningCall, now: datetime) -> float:
    return 0.0 if call.started_at is None else max((now - call.started_at).total_seconds(), 0.0)
