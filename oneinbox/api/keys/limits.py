"""What a publishable key may use up: calls per minute, calls at once, minutes per day.

Nothing is counted up and down: the calls on record are the count, looked at in the transaction that adds one more, with
the key's row held. So a limit holds exactly, over any number of processes, and nothing drifts when one of them dies.
Minutes are in :mod:`oneinbox.api.keys.minutes`; running calls are ended when they are used up.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from sqlalchemy import Connection

from oneinbox.api.http.rate import LimitReachedError, LimitState
from oneinbox.api.keys import minutes, repo
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


@lru_cache(maxsize=4096)
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


@dataclass(kw_only=True)
class _Window:
    """The calls of the last 60 seconds, wherever these begin: no two windows meet at the full minute."""

    count: int
    oldest: datetime | None

    def add(self, now: datetime) -> None:
        self.count += 1
        self.oldest = self.oldest or now

    def state(self, name: str, quota: int, now: datetime) -> LimitState:
        reset_s = 0.0 if self.oldest is None else (self.oldest + _WINDOW - now).total_seconds()
        return _state(name, quota, quota - self.count - 1, int(_WINDOW.total_seconds()), reset_s)


class Tally:
    """What one key's calls have used up at one moment, within one transaction that holds the key's row.

    What is not limited is not counted.
    """

    def __init__(self, connection: Connection, key: repo.LimitedKey | None, now: datetime) -> None:
        self._connection = connection
        self._key = key
        self._now = now
        self._windows: dict[str | None, _Window] = {}
        self._live: int | None = None
        self._left_s: float | None = None

    def admit(self, asker_hash: str | None, wanted_s: float) -> Admission:
        """Return how a call of ``wanted_s`` seconds at most may begin, and count it: it is added in this transaction.

        Raises :class:`LimitReachedError` (429), and ``AppError`` (401) where the key has just been deleted or paused.
        """
        if self._key is None or not self._key.is_active:
            raise AppError("key_paused", "the key was deleted or paused", ErrorKind.UNAUTHENTICATED)
        limits, states = self._key.limits, list[LimitState]()
        addresses: list[str | None] = []
        if limits.calls_per_minute is not None:
            addresses.append(None)
            states.append(self._window(None).state("key", limits.calls_per_minute, self._now))
        if limits.calls_per_minute_per_ip is not None and asker_hash is not None:
            addresses.append(asker_hash)
            states.append(self._window(asker_hash).state("ip", limits.calls_per_minute_per_ip, self._now))
        if limits.max_concurrent_calls is not None:
            quota = limits.max_concurrent_calls
            states.append(_state("concurrent", quota, quota - self._live_calls() - 1, None, _WHEN_ONE_ENDS_S))
        budget_s = min(wanted_s, minutes.BOOKED_S)
        if limits.daily_minutes is not None:
            left_s = self._seconds_left(limits.daily_minutes)
            budget_s = min(budget_s, left_s)
            until_midnight_s = minutes.DAY_S - (self._now - minutes.midnight_of(self._now)).total_seconds()
            enough = left_s >= min(_SHORTEST_CALL_S, wanted_s)
            remaining = int((left_s - budget_s) // 60) if enough else -1
            states.append(_state("daily-minutes", limits.daily_minutes, remaining, minutes.DAY_S, until_midnight_s))
        for state in states:
            if state.remaining < 0:
                raise _refusal(state, states)
        for address in addresses:
            self._window(address).add(self._now)
        if self._live is not None:
            self._live += 1
        if self._left_s is not None:
            self._left_s -= budget_s
        return Admission(budget_s=budget_s, states=tuple(states))

    def _window(self, asker_hash: str | None) -> _Window:
        """Return the window of the whole key, or of one address."""
        if asker_hash not in self._windows:
            count, oldest = repo.calls_since(self._connection, self._key_id, self._now - _WINDOW, asker_hash)
            self._windows[asker_hash] = _Window(count=count, oldest=oldest)
        return self._windows[asker_hash]

    def _live_calls(self) -> int:
        if self._live is None:
            self._live = repo.live_calls(self._connection, self._key_id)
        return self._live

    def _seconds_left(self, daily_minutes: int) -> float:
        if self._left_s is None:
            self._left_s = minutes.left_s(self._connection, self._key_id, daily_minutes, self._now)
        return self._left_s

    @property
    def _key_id(self) -> str:
        return "" if self._key is None else self._key.id


def tallies(connection: Connection, key_ids: Iterable[str], now: datetime) -> dict[str, Tally]:
    """Return a tally for each of these keys. Nobody else counts their calls until the transaction ends."""
    return {key_id: Tally(connection, repo.lock_key(connection, key_id), now) for key_id in sorted(set(key_ids))}


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


def _state(name: str, quota: int, remaining: int, window_s: int | None, reset_s: float) -> LimitState:
    return LimitState(name=name, quota=quota, remaining=remaining, window_s=window_s, reset_s=reset_s)
