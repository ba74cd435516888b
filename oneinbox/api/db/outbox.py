"""The outbox: what happened to a call and who is to be told, written in the transaction of the change itself.

So nothing is told that did not happen, and nothing that happened is left untold, whatever dies in between. Deliveries
of one call to one endpoint form a stream: they go one after the other, in the order in which they were written.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import select

from oneinbox.api.db.columns import dump_json
from oneinbox.api.db.database import OUTBOX_WRITTEN, Rows
from oneinbox.api.db.tables import Call, Webhook, WebhookDelivery, WebhookEvent
from oneinbox.core.clock import utc_now
from oneinbox.core.ids import new_id


class EventType(StrEnum):
    """What a webhook can be told of."""

    CALL_STARTED = "call.started"  # two-way audio stands
    CALL_ENDED = "call.ended"  # the end of a call; every call has this event or the next, once
    CALL_FAILED = "call.failed"  # the end of a call that never connected
    RECORDING_AVAILABLE = "call.recording.available"
    TRANSCRIPT_PARTIAL = "transcript.partial"  # one turn is over
    TRANSCRIPT_FINAL = "transcript.final"  # after call.ended
    CALL_ANALYZED = "call.analyzed"


class WebhookStatus(StrEnum):
    """Whether a webhook is told of anything."""

    ACTIVE = "active"
    DISABLED = "disabled"


class DeliveryStatus(StrEnum):
    """Where a delivery stands. The latter two are final."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Who is told of a call's events, and of which."""

    webhook_id: str | None
    url: str | None
    events: frozenset[str]

    @property
    def endpoint(self) -> str:
        """The webhook's id, or the call's own address."""
        return self.webhook_id or self.url or ""


async def listeners_of(rows: Rows, call: Call) -> list[Listener]:
    """Return who is told of this call.

    That is the webhook which its agent named, or else all of the organisation's that are active; and in addition the
    call's own ``webhook_url``.
    """
    query = select(Webhook.id, Webhook.events).where(
        Webhook.org_id == call.org_id, Webhook.status == WebhookStatus.ACTIVE.value
    )
    if call.webhook_id is not None:
        query = query.where(Webhook.id == call.webhook_id)
    found = [
        Listener(webhook_id=row[0], url=None, events=frozenset(row[1])) for row in (await rows.execute(query)).all()
    ]
    if call.webhook_url is not None:
        found.append(Listener(webhook_id=None, url=call.webhook_url, events=frozenset(EventType)))
    return found


async def tell(rows: Rows, listeners: list[Listener], call: Call, event: EventType, facts: Mapping[str, Any]) -> None:
    """Write the event and its deliveries, for those of ``listeners`` that want it."""
    wanted = [listener for listener in listeners if event in listener.events]
    if not wanted:
        return
    written = _event(call, event, facts)
    rows.add(written)
    await rows.flush()
    for listener in wanted:
        rows.add(_delivery(written, listener))
    await rows.flush()
    rows.info[OUTBOX_WRITTEN] = True


def _event(call: Call, event: EventType, facts: Mapping[str, Any]) -> WebhookEvent:
    now = utc_now()
    event_id = new_id("evt")
    told = {
        "id": event_id,
        "event": event.value,
        "created_at": now.isoformat().replace("+00:00", "Z"),
        "call_id": call.id,
        "agent_id": call.agent_id,
        "type": call.type,
        "direction": call.direction,
        "to_number": call.to_number,
        "from_number": call.from_number,
        "metadata": call.custom_metadata,
        **facts,
    }
    return WebhookEvent(
        id=event_id, org_id=call.org_id, call_id=call.id, type=event.value, body=dump_json(told), created_at=now
    )


def _delivery(event: WebhookEvent, listener: Listener) -> WebhookDelivery:
    return WebhookDelivery(
        id=new_id("whd"),
        org_id=event.org_id,
        event_id=event.id,
        event=event.type,
        webhook_id=listener.webhook_id,
        url=listener.url,
        endpoint=listener.endpoint,
        stream=f"{listener.endpoint} {event.call_id}",
        status=DeliveryStatus.PENDING.value,
        attempt=0,
        next_retry_at=event.created_at,
        created_at=event.created_at,
    )
