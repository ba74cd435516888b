"""Lists in pages: ``limit`` and ``offset`` in, ``items, total, limit, offset`` out."""

from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query

from oneinbox.api.http.fields import Answer

Item = TypeVar("Item")
MAX_OFFSET = 1_000_000_000


class PageRequest:
    """Which part of a list is asked for."""

    def __init__(
        self,
        limit: Annotated[int, Query(ge=1, le=100, description="How many items at most.")] = 20,
        offset: Annotated[int, Query(ge=0, le=MAX_OFFSET, description="How many items to leave out.")] = 0,
    ) -> None:
        self.limit = limit
        self.offset = offset


AskedPage = Annotated[PageRequest, Depends()]


class Page(Answer, Generic[Item]):
    """One page of a list, newest first."""

    items: list[Item]
    total: int
    limit: int
    offset: int
