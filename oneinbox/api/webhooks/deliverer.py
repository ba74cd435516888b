"""Delivers from the outbox: at least once, in order within a call and endpoint, each endpoint at its own pace.

An attempt is first written down (counted, and leased for a while), then made, then its outcome written. A process that
dies in between leaves a lease that runs out; the delivery is then made again, with the same ``webhook-id``.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from oneinbox.api.db.database import Database
from oneinbox.api.db.outbox import DeliveryStatus
from oneinbox.api.webhooks import repo
from oneinbox.api.webhooks.sender import ATTEMPT_LIMIT_S, Attempt, Parcel, Sender
from oneinbox.api.webhooks.service import secrets_for
from oneinbox.api.webhooks.signing import SigningSecrets
from oneinbox.core.clock import utc_now
from oneinbox.core.tasks import TaskScope

_log = logging.getLogger(__name__)

RETRY_DELAYS_S: tuple[float, ...] = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 21_600, 36_000)
"""A day in all; then the delivery has failed. Each is stretched or shortened by a tenth at random."""
AT_ONCE_PER_ENDPOINT = 4
_BATCH = 200
_IDLE_S = 1.0
_ERROR_PAUSE_S = 1.0
_KEEP = timedelta(days=30)
_CLEAN_EVERY_S = 3_600.0


class Deliverer:
    """The background work of webhooks: one a server process; several on one database do not get into each other's way."""

    def __init__(
        self,
        database: Database,
        sender: Sender,
        secrets: SigningSecrets,
        *,
        delays_s: Sequence[float] = RETRY_DELAYS_S,
        lease_s: float = 3 * ATTEMPT_LIMIT_S,
        idle_s: float = _IDLE_S,
    ) -> None:
        self._database = database
        self._sender = sender
        self._secrets = secrets
        self._delays_s = tuple(delays_s)
        self._lease = timedelta(seconds=lease_s)
        self._idle_s = idle_s
        self._scope = TaskScope("webhooks")
        self._in_hand: Counter[str] = Counter()
        self._wake = database.outbox_written

    def start(self) -> None:
        """Begin; :meth:`aclose` ends it."""
        self._scope.spawn(self._run(), "deliver")

    async def aclose(self) -> None:
        """Stop. What was being sent is sent again by the next one to start."""
        await self._scope.aclose()
        await self._sender.aclose()

    async def backlog(self) -> tuple[int, float] | None:
        """Return how many deliveries wait, and for how many seconds the oldest does; ``None``: the database is away."""
        try:
            async with self._database.read() as rows:
                count, oldest = await repo.backlog(rows)
        except SQLAlchemyError:
            return None
        return count, 0.0 if oldest is None else max(0.0, (utc_now() - oldest).total_seconds())

    async def _run(self) -> None:
        clean_at = 0.0
        while True:
            self._wake.clear()
            try:
                if asyncio.get_running_loop().time() >= clean_at:
                    clean_at = asyncio.get_running_loop().time() + _CLEAN_EVERY_S
                    await self._clean()
                taken = await self._take()
            except SQLAlchemyError:
                _log.exception("the outbox could not be read")
                await asyncio.sleep(_ERROR_PAUSE_S)
                continue
            for due in taken:
                self._in_hand[due.delivery.endpoint] += 1
                self._scope.spawn(self._deliver(due), due.delivery.id)
            if not taken:
                await self._pause()

    async def _pause(self) -> None:
        """Until something was written to the outbox or settled here, or a retry may be due."""
        try:
            async with asyncio.timeout(self._idle_s):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _take(self) -> list[repo.Due]:
        now = utc_now()
        async with self._database.read() as rows:
            numbers = await repo.due_now(rows, now, in_hand=self._in_hand, at_once=AT_ONCE_PER_ENDPOINT, limit=_BATCH)
        if not numbers:
            return []
        async with self._database.write() as rows:
            return await repo.take(rows, numbers, now, now + self._lease)

    async def _deliver(self, due: repo.Due) -> None:
        try:
            attempt = await self._sender.send(self._parcel(due))
            await self._settle(due, attempt)
        except SQLAlchemyError:
            _log.exception("the outcome of delivery %s could not be written; it is made again", due.delivery.id)
        finally:
            endpoint = due.delivery.endpoint
            self._in_hand[endpoint] -= 1
            if not self._in_hand[endpoint]:
                del self._in_hand[endpoint]
            self._wake.set()

    def _parcel(self, due: repo.Due) -> Parcel:
        delivery, webhook = due.delivery, due.webhook
        return Parcel(
            url=delivery.url or (webhook.url if webhook else ""),
            event_id=delivery.event_id,
            body=due.body,
            secrets=[self._secrets.of_calls(delivery.org_id)]
            if webhook is None
            else secrets_for(webhook, self._secrets, utc_now()),
        )

    async def _settle(self, due: repo.Due, attempt: Attempt) -> None:
        now = utc_now()
        delivery = due.delivery
        values = outcome(attempt, self._next_at(delivery.attempt, attempt, now), now)
        async with self._database.write() as rows:
            await repo.settle(rows, delivery.seq, values)
            if attempt.gone and delivery.webhook_id is not None:
                await repo.disable(rows, delivery.webhook_id, now)
                await repo.give_up_pending(rows, delivery.webhook_id, "the endpoint answered 410 (gone)", now)

    def _next_at(self, attempts: int, attempt: Attempt, now: datetime) -> datetime | None:
        """When the next attempt is due; ``None``: there is none."""
        if attempt.delivered or attempt.gone or attempts > len(self._delays_s):
            return None
        delay_s = self._delays_s[attempts - 1] * random.uniform(0.9, 1.1)  # noqa: S311 - spreads load, guards nothing
        return now + timedelta(seconds=max(delay_s, attempt.retry_after_s or 0))

    async def _clean(self) -> None:
        async with self._database.write() as rows:
            await repo.forget_events_before(rows, utc_now() - _KEEP)


def outcome(attempt: Attempt, next_at: datetime | None, now: datetime) -> dict[str, Any]:
    """Return what a delivery's row says after an attempt."""
    status = DeliveryStatus.FAILED if next_at is None else DeliveryStatus.PENDING
    if attempt.delivered:
        status = DeliveryStatus.DELIVERED
    return {
        "status": status.value,
        "response_status": attempt.response_status,
        "response_body": attempt.response_body,
        "error": attempt.error,
        "next_retry_at": next_at,
        "completed_at": now if next_at is None else None,
    }
