"""Lists by cursor: an opaque word names the last item seen, so that new items move nothing."""

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query

from oneinbox.api.http.fields import Answer
from oneinbox.core.errors import AppError, ErrorKind

Item = TypeVar("Item")
_MAX_CURSOR = 300


@dataclass(frozen=True)
class Place:
    """Where a list goes on: behind this item, newest first."""

    created_at: datetime
    id: str

    def __str__(self) -> str:
        text = f"{self.created_at.astimezone(UTC).isoformat()} {self.id}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(text: str) -> Place:
    """Return what :class:`Place` wrote. Raises ``AppError`` (``invalid_cursor``)."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("ascii")
        moment, _, item_id = raw.partition(" ")
        created_at = datetime.fromisoformat(moment)
    except (binascii.Error, ValueError):  # what is not ASCII, and no time, are ValueErrors too
        raise _invalid() from None
    if created_at.tzinfo is None or created_at.year < 1970 or not item_id.isprintable():
        raise _invalid()
    return Place(created_at, item_id)


class CursorRequest:
    """Which part of a list is asked for."""

    def __init__(
        self,
        limit: Annotated[int, Query(ge=1, le=100, description="How many items at most.")] = 20,
        cursor: Annotated[
            str | None, Query(max_length=_MAX_CURSOR, description="`next_cursor` of the page before.")
        ] = None,
    ) -> None:
        self.limit = limit
        self.after = None if cursor is None else read_cursor(cursor)


AskedByCursor = Annotated[CursorRequest, Depends()]


class CursorPage(Answer, Generic[Item]):
    """One page of a list, newest first."""

    items: list[Item]
    next_cursor: str | None
    has_more: bool
    limit: int


def _invalid() -> AppError:
    return AppError(
        "invalid_cursor",
        "this is no cursor of ours: send `next_cursor` of the page before, as it came",
        ErrorKind.INVALID,
        param="cursor",
    )
