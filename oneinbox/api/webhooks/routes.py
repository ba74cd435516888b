"""Webhooks over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from oneinbox.api.http.auth import Caller, Guard
from oneinbox.api.http.body import JsonRoute
from oneinbox.api.http.documented import errors
from oneinbox.api.http.idempotency import no_answers_kept
from oneinbox.api.http.paging import MAX_OFFSET, AskedPage, Page
from oneinbox.api.webhooks.schemas import (
    CallSecretAnswer,
    DeliveryAnswer,
    WebhookAnswer,
    WebhookCreate,
    WebhookPatch,
    WebhookWithSecret,
)
from oneinbox.api.webhooks.service import WebhookService


def webhook_routes(service: WebhookService, guard: Guard) -> APIRouter:
    """Return the routes below ``/v1/webhooks``."""
    router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], route_class=JsonRoute)

    @router.post("", status_code=201, responses=errors(401, 403, 413, 415))
    async def create_webhook(body: WebhookCreate, caller: Annotated[Caller, Depends(guard)]) -> WebhookWithSecret:
        """Make a webhook. Its signing secret is shown in this answer."""
        return await service.create(caller, body)

    @router.get("", responses=errors(401, 403))
    async def list_webhooks(asked: AskedPage, caller: Annotated[Caller, Depends(guard)]) -> Page[WebhookAnswer]:
        """List the webhooks, newest first."""
        return await service.page(caller.org_id, asked)

    @router.get("/call-secret", responses=errors(401, 403))
    async def get_call_webhook_secret(caller: Annotated[Caller, Depends(guard)]) -> CallSecretAnswer:
        """Read the secret that signs what goes to calls' own `webhook_url`."""
        return service.call_secret(caller.org_id)

    @router.get("/{webhook_id}", responses=errors(401, 403, 404))
    async def get_webhook(webhook_id: str, caller: Annotated[Caller, Depends(guard)]) -> WebhookAnswer:
        """Read one webhook."""
        return await service.get(caller.org_id, webhook_id)

    @router.patch("/{webhook_id}", responses=errors(401, 403, 404, 413, 415))
    async def update_webhook(
        webhook_id: str, body: WebhookPatch, caller: Annotated[Caller, Depends(guard)]
    ) -> WebhookAnswer:
        """Change a webhook. Switching it off gives up what waits to be delivered."""
        return await service.update(caller, webhook_id, body)

    @router.delete("/{webhook_id}", status_code=204, responses=errors(401, 403, 404, 409))
    async def delete_webhook(webhook_id: str, caller: Annotated[Caller, Depends(guard)]) -> None:
        """Delete a webhook and the record of its deliveries."""
        await service.delete(caller, webhook_id)

    @router.post("/{webhook_id}/rotate-secret", responses=errors(401, 403, 404))
    async def rotate_webhook_secret(webhook_id: str, caller: Annotated[Caller, Depends(guard)]) -> WebhookWithSecret:
        """Replace the signing secret. For a day deliveries carry two signatures, by the new one and by the old."""
        return await service.rotate_secret(caller, webhook_id)

    @router.post("/{webhook_id}/test", responses=errors(401, 403, 404))
    @no_answers_kept  # it waits for the endpoint: no transaction may stand open meanwhile
    async def test_webhook(webhook_id: str, caller: Annotated[Caller, Depends(guard)]) -> DeliveryAnswer:
        """Send the event `webhook.test` now, once. The answer says what the endpoint answered."""
        return await service.test(caller, webhook_id)

    @router.get("/{webhook_id}/deliveries", responses=errors(401, 403, 404))
    async def list_webhook_deliveries(
        webhook_id: str,
        caller: Annotated[Caller, Depends(guard)],
        limit: Annotated[int, Query(ge=1, le=200, description="How many items at most.")] = 50,
        offset: Annotated[int, Query(ge=0, le=MAX_OFFSET, description="How many items to leave out.")] = 0,
    ) -> Page[DeliveryAnswer]:
        """List the deliveries of the last 30 days, newest first."""
        return await service.deliveries(caller.org_id, webhook_id, limit, offset)

    @router.post(
        "/{webhook_id}/deliveries/{delivery_id}/redeliver", status_code=202, responses=errors(401, 403, 404, 409)
    )
    async def redeliver_webhook(
        webhook_id: str, delivery_id: str, caller: Annotated[Caller, Depends(guard)]
    ) -> DeliveryAnswer:
        """Deliver an event once more, whatever became of it before."""
        return await service.redeliver(caller, webhook_id, delivery_id)

    return router
