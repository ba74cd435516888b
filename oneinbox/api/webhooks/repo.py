"""Queries over webhooks and their deliveries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, exists, func, or_, select, update
from sqlalchemy.orm import aliased

from oneinbox.api.db.database import Rows
from oneinbox.api.db.outbox import DeliveryStatus, WebhookStatus
from oneinbox.api.db.owned import fetch_page, is_plausible_id
from oneinbox.api.db.tables import Agent, Webhook, WebhookDelivery, WebhookEvent

_PENDING = DeliveryStatus.PENDING.value


@dataclass(frozen=True, kw_only=True)
class Due:
    """A delivery that was taken for an attempt."""

    delivery: WebhookDelivery
    body: str
    webhook: Webhook | None


async def page_of_webhooks(rows: Rows, org_id: str, limit: int, offset: int) -> tuple[list[Webhook], int]:
    """Return one page of the organisation's webhooks, newest first, and how many there are."""
    return await fetch_page(rows, select(Webhook).where(Webhook.org_id == org_id), Webhook, limit, offset)


async def agents_naming(rows: Rows, webhook: Webhook) -> list[str]:
    """Return the names of agents that tell this webhook; three at most."""
    query = select(Agent.name).where(Agent.org_id == webhook.org_id, Agent.webhook_id == webhook.id).order_by(Agent.id)
    return list((await rows.execute(query.limit(3))).scalars())


async def page_of_deliveries(
    rows: Rows, org_id: str, webhook_id: str, limit: int, offset: int
) -> tuple[list[WebhookDelivery], int]:
    """Return one page of a webhook's deliveries, newest first, and how many there are."""
    mine = (WebhookDelivery.org_id == org_id, WebhookDelivery.webhook_id == webhook_id)
    total = (await rows.execute(select(func.count()).select_from(WebhookDelivery).where(*mine))).scalar_one()
    query = select(WebhookDelivery).where(*mine).order_by(WebhookDelivery.seq.desc()).limit(limit).offset(offset)
    return list((await rows.execute(query)).scalars()), total


async def get_delivery(rows: Rows, org_id: str, webhook_id: str, delivery_id: str) -> WebhookDelivery | None:
    """Return the delivery if it is this webhook's and the organisation's."""
    if not is_plausible_id(delivery_id):
        return None
    query = select(WebhookDelivery).where(
        WebhookDelivery.id == delivery_id,
        WebhookDelivery.org_id == org_id,
        WebhookDelivery.webhook_id == webhook_id,
    )
    return (await rows.execute(query)).scalar_one_or_none()


async def backlog(rows: Rows) -> tuple[int, datetime | None]:
    """Return how many deliveries are not settled, and when the oldest was made."""
    query = select(func.count(), func.min(WebhookDelivery.created_at)).where(WebhookDelivery.status == _PENDING)
    count, oldest = (await rows.execute(query)).one()
    return count, oldest


def _due(now: datetime) -> Select[Any]:
    """What may be attempted: due, in nobody's hands, and the first of its stream that is not settled."""
    earlier = aliased(WebhookDelivery)
    blocked = exists().where(
        earlier.status == _PENDING, earlier.stream == WebhookDelivery.stream, earlier.seq < WebhookDelivery.seq
    )
    return select(WebhookDelivery.seq).where(
        WebhookDelivery.status == _PENDING,
        WebhookDelivery.next_retry_at <= now,
        or_(WebhookDelivery.leased_until.is_(None), WebhookDelivery.leased_until <= now),
        ~blocked,
    )


async def due_now(rows: Rows, now: datetime, *, in_hand: Mapping[str, int], at_once: int, limit: int) -> list[int]:
    """Return the numbers of deliveries to attempt, at most ``at_once`` for one endpoint beside those ``in_hand``."""
    place = func.row_number().over(partition_by=WebhookDelivery.endpoint, order_by=WebhookDelivery.seq)
    candidates = _due(now).add_columns(WebhookDelivery.endpoint, place.label("place")).subquery()
    query = (
        select(candidates.c.seq, candidates.c.endpoint, candidates.c.place)
        .where(candidates.c.place <= at_once)
        .order_by(candidates.c.place, candidates.c.seq)
        .limit(limit)
    )
    found = (await rows.execute(query)).all()
    return [seq for seq, endpoint, place in found if place + in_hand.get(endpoint, 0) <= at_once]


async def take(rows: Rows, numbers: Sequence[int], now: datetime, leased_until: datetime) -> list[Due]:
    """Take deliveries for an attempt, those that nobody else has taken, and count it."""
    taken = (
        update(WebhookDelivery)
        .where(
            WebhookDelivery.seq.in_(numbers),
            WebhookDelivery.status == _PENDING,
            or_(WebhookDelivery.leased_until.is_(None), WebhookDelivery.leased_until <= now),
        )
        .values(leased_until=leased_until, attempt=WebhookDelivery.attempt + 1)
        .returning(WebhookDelivery.seq)
        .execution_options(synchronize_session=False)
    )
    ours = list((await rows.execute(taken)).scalars())
    query = (
        select(WebhookDelivery, WebhookEvent.body, Webhook)
        .join(WebhookEvent, WebhookEvent.id == WebhookDelivery.event_id)
        .outerjoin(Webhook, Webhook.id == WebhookDelivery.webhook_id)
        .where(WebhookDelivery.seq.in_(ours))
        .order_by(WebhookDelivery.seq)
        .execution_options(populate_existing=True)
    )
    found = (await rows.execute(query)).all()
    return [Due(delivery=row[0], body=row[1], webhook=row[2]) for row in found]


async def settle(rows: Rows, seq: int, values: Mapping[str, Any]) -> None:
    """Write what came of an attempt, unless the delivery was settled meanwhile."""
    statement = update(WebhookDelivery).where(WebhookDelivery.seq == seq, WebhookDelivery.status == _PENDING)
    await rows.execute(statement.values(leased_until=None, **values))


async def disable(rows: Rows, webhook_id: str, now: datetime) -> None:
    """Switch a webhook off."""
    await rows.execute(
        update(Webhook).where(Webhook.id == webhook_id).values(status=WebhookStatus.DISABLED.value, updated_at=now)
    )


async def give_up_pending(rows: Rows, webhook_id: str, why: str, now: datetime) -> None:
    """End every delivery of the webhook that is not settled."""
    statement = update(WebhookDelivery).where(
        WebhookDelivery.webhook_id == webhook_id, WebhookDelivery.status == _PENDING
    )
    await rows.execute(
        statement.values(
            status=DeliveryStatus.FAILED.value, error=why, next_retry_at=None, leased_until=None, completed_at=now
        )
    )


async def forget_events_before(rows: Rows, moment: datetime) -> None:
    """Delete events, with their deliveries, that are older and have nothing to deliver."""
    pending = select(WebhookDelivery.event_id).where(WebhookDelivery.status == _PENDING)
    await rows.execute(
        delete(WebhookEvent)
        .where(WebhookEvent.created_at < moment, WebhookEvent.id.not_in(pending))
        .execution_options(synchronize_session=False)
    )
