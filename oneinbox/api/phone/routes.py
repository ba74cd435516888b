"""Phone numbers over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from oneinbox.api.http.auth import Caller, Guard
from oneinbox.api.http.body import JsonRoute
from oneinbox.api.http.documented import errors
from oneinbox.api.http.paging import AskedPage, Page
from oneinbox.api.phone.schemas import (
    InboundRoutingAnswer,
    InboundRoutingSet,
    PhoneNumberAnswer,
    PhoneNumberCreate,
    PhoneNumberPatch,
    PhoneNumberPurchase,
)
from oneinbox.api.phone.service import PhoneService, carrier_not_configured


def phone_routes(service: PhoneService, guard: Guard) -> APIRouter:
    """Return the routes below ``/v1/phone-numbers``."""
    router = APIRouter(prefix="/v1/phone-numbers", tags=["phone-numbers"], route_class=JsonRoute)

    @router.get("/search", responses=errors(401, 403))
    async def search_phone_numbers(
        caller: Annotated[Caller, Depends(guard)],
        country: Annotated[str | None, Query(pattern=r"^[A-Z]{2}$")] = None,
        area_code: Annotated[str | None, Query(pattern=r"^[0-9]{1,6}$")] = None,
        contains: Annotated[str | None, Query(pattern=r"^[0-9*]{1,15}$")] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 10,
    ) -> list[PhoneNumberAnswer]:
        """Look for numbers on sale. This server has no carrier: answers `carrier_not_configured`."""
        del caller, country, area_code, contains, limit
        raise carrier_not_configured()

    @router.post("/purchase", status_code=201, responses=errors(401, 403, 413, 415))
    async def purchase_phone_number(
        body: PhoneNumberPurchase, caller: Annotated[Caller, Depends(guard)]
    ) -> PhoneNumberAnswer:
        """Buy a number. This server has no carrier: answers `carrier_not_configured`."""
        del body, caller
        raise carrier_not_configured()

    @router.post("", status_code=201, responses=errors(401, 403, 409, 413, 415))
    async def create_phone_number(
        body: PhoneNumberCreate, caller: Annotated[Caller, Depends(guard)]
    ) -> PhoneNumberAnswer:
        """Bring a number that you have with a carrier."""
        return await service.create(caller, body)

    @router.get("", responses=errors(401, 403))
    async def list_phone_numbers(
        asked: AskedPage, caller: Annotated[Caller, Depends(guard)]
    ) -> Page[PhoneNumberAnswer]:
        """List the numbers, newest first."""
        return await service.page(caller.org_id, asked)

    @router.get("/{number_id}", responses=errors(401, 403, 404))
    async def get_phone_number(number_id: str, caller: Annotated[Caller, Depends(guard)]) -> PhoneNumberAnswer:
        """Read one number."""
        return await service.get(caller.org_id, number_id)

    @router.patch("/{number_id}", responses=errors(401, 403, 404, 413, 415))
    async def update_phone_number(
        number_id: str, body: PhoneNumberPatch, caller: Annotated[Caller, Depends(guard)]
    ) -> PhoneNumberAnswer:
        """Change a number; `inbound_routing` is merged into what stands."""
        return await service.update(caller, number_id, body)

    @router.delete("/{number_id}", status_code=204, responses=errors(401, 403, 404))
    async def delete_phone_number(number_id: str, caller: Annotated[Caller, Depends(guard)]) -> None:
        """Forget a number. It stays yours with the carrier."""
        await service.delete(caller, number_id)

    @router.get("/{number_id}/inbound-routing", responses=errors(401, 403, 404))
    async def get_inbound_routing(number_id: str, caller: Annotated[Caller, Depends(guard)]) -> InboundRoutingAnswer:
        """Read who answers the number."""
        return await service.routing(caller.org_id, number_id)

    @router.post("/{number_id}/inbound-routing", status_code=201, responses=errors(401, 403, 404, 413, 415))
    async def set_inbound_routing(
        number_id: str, body: InboundRoutingSet, caller: Annotated[Caller, Depends(guard)]
    ) -> InboundRoutingAnswer:
        """Say who answers the number, in place of what was said before."""
        return await service.route(caller, number_id, body)

    return router
