"""Limits on the wire: ``RateLimit`` and ``RateLimit-Policy`` after draft-ietf-httpapi-ratelimit-headers."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from oneinbox.core.errors import AppError, ErrorKind

HEADERS = "RateLimit, RateLimit-Policy"


@dataclass(frozen=True, kw_only=True)
class LimitState:
    """One limit as a request left it."""

    name: str
    quota: int
    remaining: int
    window_s: int | None
    """``None``: it has no window; something has to end before there is room again."""
    reset_s: float
    """When there is room again, or more room."""


class LimitReachedError(AppError):
    """A request that one limit more would have to admit. ``states``: all limits that were looked at."""

    def __init__(self, code: str, message: str, *, retry_after_s: float, states: Iterable[LimitState]) -> None:
        super().__init__(code, message, ErrorKind.RATE_LIMITED, retry_after_s=max(retry_after_s, 1.0))
        self.states = tuple(states)


def limit_headers(states: Iterable[LimitState]) -> dict[str, str]:
    """Return the headers that tell of these limits; none where there are none."""
    known = list(states)
    if not known:
        return {}
    return {
        "RateLimit-Policy": ", ".join(_policy(state) for state in known),
        "RateLimit": ", ".join(
            f'"{state.name}";r={max(state.remaining, 0)};t={max(math.ceil(state.reset_s), 0)}' for state in known
        ),
    }


def _policy(state: LimitState) -> str:
    window = "" if state.window_s is None else f";w={state.window_s}"
    return f'"{state.name}";q={state.quota}{window}'
