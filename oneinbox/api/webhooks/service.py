"""Webhooks: the rules."""

from datetime import datetime, timedelta
from typing import Any

from oneinbox.api.audit import trail
from oneinbox.api.config import ApiConfig
from oneinbox.api.db.columns import dump_json
from oneinbox.api.db.database import OUTBOX_WRITTEN, Database, Rows
from oneinbox.api.db.outbox import DeliveryStatus, WebhookStatus
from oneinbox.api.db.owned import fetch_owned
from oneinbox.api.db.tables import Webhook, WebhookDelivery, WebhookEvent
from oneinbox.api.http.auth import Caller
from oneinbox.api.http.paging import Page, PageRequest
from oneinbox.api.webhooks import repo
from oneinbox.api.webhooks.schemas import (
    CallSecretAnswer,
    DeliveryAnswer,
    WebhookAnswer,
    WebhookCreate,
    WebhookPatch,
    WebhookWithSecret,
)
from oneinbox.api.webhooks.sender import Parcel, Sender
from oneinbox.api.webhooks.signing import SigningSecrets
from oneinbox.core.clock import utc_now
from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.core.ids import new_id
from oneinbox.net.outbound import OutboundGuard

TEST_EVENT = "webhook.test"
_BOTH_SIGN = timedelta(days=1)
"""How long a replaced secret signs beside the new one."""


def secrets_for(webhook: Webhook, secrets: SigningSecrets, now: datetime) -> list[str]:
    """Return what signs a delivery, the newest first."""
    found = [secrets.of_webhook(webhook.id, webhook.secret_version)]
    if webhook.secret_changed_at is not None and now - webhook.secret_changed_at < _BOTH_SIGN:
        found.append(secrets.of_webhook(webhook.id, webhook.secret_version - 1))
    return found


class WebhookService:
    """Making, reading, changing, testing and deleting webhooks, and sending again."""

    def __init__(self, database: Database, config: ApiConfig, outbound: OutboundGuard) -> None:
        self._database = database
        self._outbound = outbound
        self._secrets = SigningSecrets(config.session_secret)

    async def create(self, caller: Caller, body: WebhookCreate) -> WebhookWithSecret:
        """Make a webhook."""
        self._outbound.require(body.url, param="url")
        now = utc_now()
        webhook = Webhook(
            id=new_id("wh"),
            org_id=caller.org_id,
            name=body.name,
            url=body.url,
            events=list(body.events),
            status=WebhookStatus.ACTIVE.value,
            secret_version=1,
            secret_changed_at=None,
            created_at=now,
            updated_at=now,
        )
        async with self._database.write() as rows:
            rows.add(webhook)
            await trail.record(rows, caller, "webhook.created", "webhook", webhook.id)
        return self._with_secret(webhook)

    async def page(self, org_id: str, asked: PageRequest) -> Page[WebhookAnswer]:
        """Return one page of webhooks, newest first."""
        async with self._database.read() as rows:
            found, total = await repo.page_of_webhooks(rows, org_id, asked.limit, asked.offset)
        items = [WebhookAnswer.model_validate(webhook) for webhook in found]
        return Page(items=items, total=total, limit=asked.limit, offset=asked.offset)

    async def get(self, org_id: str, webhook_id: str) -> WebhookAnswer:
        """Return one webhook."""
        async with self._database.read() as rows:
            return WebhookAnswer.model_validate(await _webhook(rows, org_id, webhook_id))

    async def update(self, caller: Caller, webhook_id: str, body: WebhookPatch) -> WebhookAnswer:
        """Change what the body says. A webhook that is switched off is told nothing any more, not even what waits."""
        said = body.said()
        if "url" in said:
            self._outbound.require(body.url, param="url")
        now = utc_now()
        async with self._database.write() as rows:
            webhook = await _webhook(rows, caller.org_id, webhook_id)
            for name, value in said.items():
                setattr(webhook, name, value)
            webhook.updated_at = now
            if webhook.status == WebhookStatus.DISABLED:
                await repo.give_up_pending(rows, webhook.id, "the webhook is disabled", now)
            await trail.record(rows, caller, "webhook.updated", "webhook", webhook.id)
        return WebhookAnswer.model_validate(webhook)

    async def delete(self, caller: Caller, webhook_id: str) -> None:
        """Delete a webhook and its deliveries."""
        async with self._database.write() as rows:
            webhook = await _webhook(rows, caller.org_id, webhook_id)
            if names := await repo.agents_naming(rows, webhook):
                raise AppError(
                    "webhook_in_use",
                    f"agents tell this webhook ({', '.join(repr(name[:40]) for name in names)}): give them another, "
                    "or null",
                    ErrorKind.CONFLICT,
                )
            await rows.delete(webhook)
            await trail.record(rows, caller, "webhook.deleted", "webhook", webhook_id)

    # ---- secrets --------------------------------------------------------------------------------------------------

    async def rotate_secret(self, caller: Caller, webhook_id: str) -> WebhookWithSecret:
        """Give the webhook a new secret; for a day the old one signs too."""
        now = utc_now()
        async with self._database.write() as rows:
            webhook = await _webhook(rows, caller.org_id, webhook_id)
            webhook.secret_version += 1
            webhook.secret_changed_at = webhook.updated_at = now
            await trail.record(rows, caller, "webhook.secret_rotated", "webhook", webhook.id)
        return self._with_secret(webhook)

    def call_secret(self, org_id: str) -> CallSecretAnswer:
        """Return the secret that signs what goes to calls' own addresses."""
        return CallSecretAnswer(secret=self._secrets.of_calls(org_id))

    def _with_secret(self, webhook: Webhook) -> WebhookWithSecret:
        facts = WebhookAnswer.model_validate(webhook).model_dump()
        return WebhookWithSecret(**facts, secret=self._secrets.of_webhook(webhook.id, webhook.secret_version))

    # ---- deliveries -----------------------------------------------------------------------------------------------

    async def deliveries(self, org_id: str, webhook_id: str, limit: int, offset: int) -> Page[DeliveryAnswer]:
        """Return one page of the webhook's deliveries, newest first."""
        async with self._database.read() as rows:
            await _webhook(rows, org_id, webhook_id)
            found, total = await repo.page_of_deliveries(rows, org_id, webhook_id, limit, offset)
        items = [DeliveryAnswer.model_validate(delivery) for delivery in found]
        return Page(items=items, total=total, limit=limit, offset=offset)

    async def test(self, caller: Caller, webhook_id: str) -> DeliveryAnswer:
        """Send a test event now, once, and return what came of it."""
        now = utc_now()
        async with self._database.write() as rows:
            webhook = await _webhook(rows, caller.org_id, webhook_id)
            event = _test_event(webhook, now)
            rows.add(event)
            await rows.flush()
            delivery = _delivery(webhook, event.id, TEST_EVENT, now)
            delivery.status = DeliveryStatus.FAILED.value  # until it is known better: nobody else is to attempt it
            delivery.attempt, delivery.error = 1, "the attempt was cut off"
            delivery.completed_at, delivery.next_retry_at = now, None
            rows.add(delivery)
            await trail.record(rows, caller, "webhook.tested", "webhook", webhook.id)
        sender = Sender(self._outbound)
        try:
            attempt = await sender.send(
                Parcel(
                    url=webhook.url,
                    event_id=event.id,
                    body=event.body,
                    secrets=secrets_for(webhook, self._secrets, now),
                )
            )
        finally:
            await sender.aclose()
        async with self._database.write() as rows:
            stored = await repo.get_delivery(rows, caller.org_id, webhook_id, delivery.id)
            if stored is None:
                raise _delivery_not_found(delivery.id)  # the webhook was deleted meanwhile
            stored.status = (DeliveryStatus.DELIVERED if attempt.delivered else DeliveryStatus.FAILED).value
            stored.response_status, stored.response_body = attempt.response_status, attempt.response_body
            stored.error, stored.completed_at = attempt.error, utc_now()
        return DeliveryAnswer.model_validate(stored)

    async def redeliver(self, caller: Caller, webhook_id: str, delivery_id: str) -> DeliveryAnswer:
        """Deliver an event again, now, beside whatever else waits; it keeps its ``event_id``."""
        now = utc_now()
        async with self._database.write() as rows:
            webhook = await _webhook(rows, caller.org_id, webhook_id)
            former = await repo.get_delivery(rows, caller.org_id, webhook_id, delivery_id)
            if former is None:
                raise _delivery_not_found(delivery_id)
            if webhook.status != WebhookStatus.ACTIVE:
                raise AppError(
                    "webhook_disabled",
                    "the webhook is disabled: set its status to active first",
                    ErrorKind.CONFLICT,
                )
            delivery = _delivery(webhook, former.event_id, former.event, now)
            rows.add(delivery)
            await trail.record(rows, caller, "webhook.redelivered", "webhook", webhook.id)
            rows.info[OUTBOX_WRITTEN] = True
        return DeliveryAnswer.model_validate(delivery)


async def _webhook(rows: Rows, org_id: str, webhook_id: str) -> Webhook:
    webhook = await fetch_owned(rows, Webhook, org_id, webhook_id)
    if webhook is None:
        raise AppError("webhook_not_found", f"there is no webhook {webhook_id[:80]!r}", ErrorKind.NOT_FOUND)
    return webhook


def _test_event(webhook: Webhook, now: datetime) -> WebhookEvent:
    event_id = new_id("evt")
    told: dict[str, Any] = {
        "id": event_id,
        "event": TEST_EVENT,
        "created_at": now.isoformat().replace("+00:00", "Z"),
        "webhook_id": webhook.id,
        "call_id": None,
        "agent_id": None,
    }
    return WebhookEvent(
        id=event_id, org_id=webhook.org_id, call_id=None, type=TEST_EVENT, body=dump_json(told), created_at=now
    )


def _delivery(webhook: Webhook, event_id: str, event: str, now: datetime) -> WebhookDelivery:
    """A delivery in a stream of its own: it waits for no other."""
    delivery_id = new_id("whd")
    return WebhookDelivery(
        id=delivery_id,
        org_id=webhook.org_id,
        event_id=event_id,
        event=event,
        webhook_id=webhook.id,
        endpoint=webhook.id,
        stream=delivery_id,
        status=DeliveryStatus.PENDING.value,
        attempt=0,
        next_retry_at=now,
        created_at=now,
    )


def _delivery_not_found(delivery_id: str) -> AppError:
    return AppError("delivery_not_found", f"there is no delivery {delivery_id[:80]!r}", ErrorKind.NOT_FOUND)
