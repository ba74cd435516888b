"""Where what happens in calls is written: insisted on, because the database may be busy or away for a while."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from typing import Protocol

from oneinbox.core.events import AnyCallEvent, CallEnded, EndReason

_log = logging.getLogger(__name__)


class EventSink(Protocol):
    """Where call events are recorded."""

    async def record(self, event: AnyCallEvent) -> None:
        """Record one event."""
        ...

    async def fail_calls(self, call_ids: list[str], reason: EndReason) -> None:
        """Record that these calls ended for ``reason``, where they have not ended yet."""
        ...


async def record(sink: EventSink | None, event: AnyCallEvent) -> None:
    """Record one event; it is tried some times before it is given up, an end for ever."""
    if sink is None:
        raise RuntimeError("where events go has to be said before the first call is started")
    await _persist(partial(sink.record, event), event.call_id, for_ever=isinstance(event, CallEnded))


async def fail_calls(sink: EventSink, call_ids: list[str], reason: EndReason) -> None:
    """Record that these calls ended, however long it takes."""
    await _persist(partial(sink.fail_calls, call_ids, reason), ", ".join(call_ids), for_ever=True)


async def _persist(write: Callable[[], Awaitable[None]], what: str, *, for_ever: bool) -> None:
    """Carry out ``write``, again and again when the database refuses. Only an end is insisted on for ever."""
    delays_s = (0.05, 0.2, 1.0, 5.0)
    for attempt in count():
        try:
            return await write()
        except Exception:  # noqa: BLE001 - whatever the database says, the calls that come after must be recorded
            _log.exception("what happened in %s could not be recorded", what)
        if attempt >= len(delays_s) and not for_ever:
            return None
        await asyncio.sleep(delays_s[min(attempt, len(delays_s) - 1)])
    return None
