"""Phone numbers: the rules. They are records so far: no carrier is connected."""

from collections.abc import Mapping
from typing import Any

from oneinbox.api.agents.service import answering_agents
from oneinbox.api.audit import trail
from oneinbox.api.db.database import Database, Rows
from oneinbox.api.db.owned import fetch_owned, insert_once, page_of_owned, take_turns
from oneinbox.api.db.tables import Agent, PhoneNumber
from oneinbox.api.db.vault import Vault
from oneinbox.api.http.auth import Caller
from oneinbox.api.http.paging import Page, PageRequest
from oneinbox.api.integrations.service import require_credential
from oneinbox.api.phone.schemas import (
    InboundRoutingAnswer,
    InboundRoutingSet,
    PhoneNumberAnswer,
    PhoneNumberCreate,
    PhoneNumberPatch,
)
from oneinbox.core.clock import utc_now
from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.core.ids import new_id
from oneinbox.net.outbound import OutboundGuard


class PhoneService:
    """Bringing numbers, and saying who answers them."""

    def __init__(self, database: Database, vault: Vault, outbound: OutboundGuard) -> None:
        self._database = database
        self._vault = vault
        self._outbound = outbound

    async def create(self, caller: Caller, body: PhoneNumberCreate) -> PhoneNumberAnswer:
        """Keep a number."""
        config = body.provider_config
        if config is not None:
            self._outbound.require(
                f"https://{config.trunk_address.partition(':')[0]}", param="provider_config.trunk_address"
            )
        routing = {} if body.inbound_routing is None else body.inbound_routing.model_dump(exclude_none=True)
        now = utc_now()
        number_id = new_id("phn")
        password = None if config is None else config.auth_password
        async with self._database.write() as rows:
            await _require_agents(rows, caller.org_id, body.agent_id, routing)
            if body.credential_id is not None:
                await require_credential(rows, caller.org_id, body.credential_id, body.provider, param="credential_id")
            sealed = password and self._vault.seal(password, "phone_numbers", caller.org_id, number_id)
            values = {
                "id": number_id,
                "org_id": caller.org_id,
                "phone_number": body.phone_number,
                "friendly_name": body.friendly_name,
                "provider": body.provider,
                "agent_id": body.agent_id,
                "credential_id": body.credential_id,
                "trunk_address": config and config.trunk_address,
                "auth_username": config and config.auth_username,
                "sealed_password": sealed or None,
                "inbound_routing": routing,
                "status": "inactive",
                "created_at": now,
                "updated_at": now,
            }
            if not await insert_once(rows, PhoneNumber, values):
                raise AppError(
                    "phone_number_exists",
                    f"the number {body.phone_number} is here already",
                    ErrorKind.CONFLICT,
                    param="phone_number",
                )
            await trail.record(rows, caller, "phone_number.created", "phone_number", number_id)
            row = await _find(rows, caller.org_id, number_id)
        return _answer(row)

    async def page(self, org_id: str, asked: PageRequest) -> Page[PhoneNumberAnswer]:
        """Return one page of numbers, newest first."""
        async with self._database.read() as rows:
            found, total = await page_of_owned(rows, PhoneNumber, org_id, asked.limit, asked.offset)
        return Page(items=[_answer(row) for row in found], total=total, limit=asked.limit, offset=asked.offset)

    async def get(self, org_id: str, number_id: str) -> PhoneNumberAnswer:
        """Return one number."""
        async with self._database.read() as rows:
            return _answer(await _find(rows, org_id, number_id))

    async def update(self, caller: Caller, number_id: str, body: PhoneNumberPatch) -> PhoneNumberAnswer:
        """Change what the body says; the routing is merged."""
        said = body.said()
        async with self._database.write() as rows:
            row = await _find(rows, caller.org_id, number_id)
            if "friendly_name" in said:
                row.friendly_name = body.friendly_name
            agent_id = body.agent_id if "agent_id" in said else None
            routing: dict[str, Any] | None = None
            if "inbound_routing" in said:
                change = body.inbound_routing
                merged = {} if change is None else {**row.inbound_routing, **change.model_dump(exclude_unset=True)}
                routing = {name: value for name, value in merged.items() if value is not None}
            await _require_agents(rows, caller.org_id, agent_id, routing or {})
            row.agent_id = agent_id or row.agent_id
            row.inbound_routing = row.inbound_routing if routing is None else routing
            row.updated_at = utc_now()
            await trail.record(rows, caller, "phone_number.updated", "phone_number", row.id)
        return _answer(row)

    async def delete(self, caller: Caller, number_id: str) -> None:
        """Forget a number."""
        async with self._database.write() as rows:
            row = await _find(rows, caller.org_id, number_id)
            await rows.delete(row)
            await trail.record(rows, caller, "phone_number.deleted", "phone_number", number_id)

    async def routing(self, org_id: str, number_id: str) -> InboundRoutingAnswer:
        """Return who answers; everything null where nobody does."""
        async with self._database.read() as rows:
            row = await _find(rows, org_id, number_id)
        return InboundRoutingAnswer.model_validate(row.inbound_routing)

    async def route(self, caller: Caller, number_id: str, body: InboundRoutingSet) -> InboundRoutingAnswer:
        """Say who answers, in place of what was said before."""
        routing = body.model_dump(exclude_none=True)
        async with self._database.write() as rows:
            row = await _find(rows, caller.org_id, number_id)
            await _require_agents(rows, caller.org_id, None, routing, prefix="")
            row.inbound_routing = routing
            row.updated_at = utc_now()
            await trail.record(rows, caller, "phone_number.updated", "phone_number", row.id)
        return InboundRoutingAnswer.model_validate(routing)


def carrier_not_configured() -> AppError:
    """Return the error for what only a carrier can do."""
    return AppError(
        "carrier_not_configured",
        "this server has no account with a carrier, so it cannot search or buy numbers: bring your own "
        "(POST /v1/phone-numbers)",
        ErrorKind.INVALID,
    )


async def _find(rows: Rows, org_id: str, number_id: str) -> PhoneNumber:
    row = await fetch_owned(rows, PhoneNumber, org_id, number_id)
    if row is None:
        raise AppError("phone_number_not_found", f"there is no phone number {number_id[:80]!r}", ErrorKind.NOT_FOUND)
    return row


async def _require_agents(
    rows: Rows, org_id: str, agent_id: str | None, routing: Mapping[str, Any], *, prefix: str = "inbound_routing."
) -> None:
    named = {
        "agent_id": agent_id,
        f"{prefix}agent_id": routing.get("agent_id"),
        f"{prefix}fallback.agent_id": routing.get("fallback", {}).get("agent_id"),
    }
    if agent_id is None and prefix:
        del named["agent_id"]
    await take_turns(rows, answering_agents(org_id))  # none of them is deleted before this is on record
    for param, named_id in named.items():
        if named_id is not None and await fetch_owned(rows, Agent, org_id, named_id) is None:
            raise AppError("agent_not_found", f"there is no agent {named_id[:80]!r}", ErrorKind.INVALID, param=param)


def _answer(row: PhoneNumber) -> PhoneNumberAnswer:
    trunk = {"trunk_address": row.trunk_address, "auth_username": row.auth_username}
    return PhoneNumberAnswer.model_validate(
        {
            **{column.key: getattr(row, column.key) for column in PhoneNumber.__table__.columns},
            "provider_config": trunk if row.trunk_address is not None else None,
            "inbound_trunk_id": None,
            "outbound_trunk_id": None,
            "dispatch_rule_id": None,
            "inbound_routing": row.inbound_routing or None,
        }
    )
