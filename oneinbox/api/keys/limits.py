"""What a publishable key may use up: calls per minute, calls at once, minutes per day.

Nothing is counted up and down: the calls on record are the count, looked at in the transaction that adds one more, with
the key's row held. So a limit holds exactly, over any number of processes, and nothing drifts when one of them dies.
Minutes are in :mod:`oneinbox.api.keys.minutes`; running calls are ended when they are used up.
"""

import hashlib
import hmac
import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

from oneinbox.api.db.database import Rows
from oneinbox.api.http.rate import LimitReachedError, LimitState
from oneinbox.api.keys import minutes, repo
from oneinbox.api.keys.schemas import KeyLimits
from oneinbox.core.errors import AppError, ErrorKind

_WINDOW = timedelta(minutes=1)
_SHORTEST_CALL_S = 5.0
"""With less than that left of the day's minutes, no call is worth its greeting."""
_WHEN_ONE_ENDS_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Admission:
    """A call that may begin. ``budget_s``: what it takes from the day's minutes at least, until it has ended."""

    budget_s: float
    states: tuple[LimitState, ...]


def hash_address(address: str | None, secret: str) -> str | None:
    """Return what is kept of an address: a keyed hash of it, or of its /64 network (one household's IPv6)."""
    if address is None:
        return None
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        address = str(ipaddress.ip_network((parsed, 64), strict=False))
    return hmac.digest(secret.encode(), f"address:{address}".encode(), hashlib.sha256).hex()


async def admit(rows: Rows, key_id: str, asker_hash: str | None, wanted_s: float, now: datetime) -> Admission:
    """Return how a call of ``wanted_s`` seconds at most may begin; the caller adds it in the same transaction.

    Raises :class:`LimitReachedError` (429), and ``AppError`` (401) where the key has just been deleted or paused.
    """
    key = await repo.lock_publishable_key(rows, key_id)
    if key is None or not key.is_active:
        raise AppError("key_paused", "the key was deleted or paused", ErrorKind.UNAUTHENTICATED)
    limits = KeyLimits.model_validate(key.limits or {})
    states: list[LimitState] = []
    if limits.calls_per_minute is not None:
        states.append(await _window(rows, "key", limits.calls_per_minute, key_id, None, now=now))
    if limits.calls_per_minute_per_ip is not None and asker_hash is not None:
        states.append(await _window(rows, "ip", limits.calls_per_minute_per_ip, key_id, asker_hash, now=now))
    if limits.max_concurrent_calls is not None:
        live = await repo.live_calls(rows, key_id)
        quota = limits.max_concurrent_calls
        states.append(_state("concurrent", quota, quota - live - 1, None, _WHEN_ONE_ENDS_S))
    budget_s = min(wanted_s, minutes.BOOKED_S)
    if limits.daily_minutes is not None:
        left_s = await minutes.left_s(rows, key_id, limits.daily_minutes, now)
        budget_s = min(budget_s, left_s)
        until_midnight_s = minutes.DAY_S - (now - minutes.midnight_of(now)).total_seconds()
        enough = left_s >= min(_SHORTEST_CALL_S, wanted_s)
        remaining = int((left_s - budget_s) // 60) if enough else -1
        states.append(_state("daily-minutes", limits.daily_minutes, remaining, minutes.DAY_S, until_midnight_s))
    for state in states:
        if state.remaining < 0:
            raise _refusal(state, states)
    return Admission(budget_s=budget_s, states=tuple(states))


def _refusal(state: LimitState, states: list[LimitState]) -> LimitReachedError:
    retry_after_s = state.reset_s
    match state.name:
        case "key":
            return LimitReachedError(
                "rate_limited",
                "this key has started as many calls as it may in a minute: try again later",
                retry_after_s=retry_after_s,
                states=states,
            )
        case "ip":
            return LimitReachedError(
                "ip_rate_limited",
                "as many calls were started from this address as may be in a minute: try again later",
                retry_after_s=retry_after_s,
                states=states,
            )
        case "concurrent":
            return LimitReachedError(
                "too_many_calls",
                "this key has as many calls running as it may: try again when one has ended",
                retry_after_s=retry_after_s,
                states=states,
            )
        case _:
            return LimitReachedError(
                "daily_minutes_used_up",
                "this key's minutes are used up for today (until midnight UTC), or taken by calls that have just begun",
                retry_after_s=retry_after_s,
                states=states,
            )


async def _window(
    rows: Rows, name: str, quota: int, key_id: str, asker_hash: str | None, *, now: datetime
) -> LimitState:
    """The calls of the last 60 seconds, wherever these begin: no two windows meet at the full minute."""
    count, oldest = await repo.calls_since(rows, key_id, now - _WINDOW, asker_hash)
    reset_s = 0.0 if oldest is None else (oldest + _WINDOW - now).total_seconds()
    return _state(name, quota, quota - count - 1, int(_WINDOW.total_seconds()), reset_s)


def _state(name: str, quota: int, remaining: int, window_s: int | None, reset_s: float) -> LimitState:
    return LimitState(name=name, quota=quota, remaining=remaining, window_s=window_s, reset_s=reset_s)
