"""Wall-clock time, in one place. Durations inside a call use the event loop's own monotonic clock instead."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the present moment as an aware datetime in UTC."""
    return datetime.now(UTC)
