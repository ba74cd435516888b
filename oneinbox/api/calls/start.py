"""Starting a web call: resolved, admitted, put on record, handed to a worker."""

import secrets
from dataclasses import dataclass
from functools import partial

import msgspec

from oneinbox.api.agents.repo import AgentAndModel, find_agent_with_model
from oneinbox.api.agents.service import agent_not_found
from oneinbox.api.audit import trail
from oneinbox.api.calls import repo
from oneinbox.api.calls.dispatcher import Dispatcher
from oneinbox.api.calls.ledger import Asker, Kept, Ledger, OnRecord, Start
from oneinbox.api.calls.resolve import CallNames, call_wishes, make_spec
from oneinbox.api.calls.schemas import WebCallAnswer, WebCallRequest, WebCallTokenRequest
from oneinbox.api.calls.supplies import Storeroom, needs_nothing
from oneinbox.api.calls.visitor import check_visitor
from oneinbox.api.config import ApiConfig
from oneinbox.api.db.database import Database
from oneinbox.api.db.tables import Agent, LanguageModel
from oneinbox.api.db.together import Together
from oneinbox.api.http.rate import LimitState
from oneinbox.api.idempotency.store import IdempotencyStore
from oneinbox.core.ids import new_id, new_room_name
from oneinbox.core.spec import CallSpec
from oneinbox.core.tokens import mint_participant_token
from oneinbox.net.outbound import OutboundGuard

_ROOM_TRIES = 5
_MAX_KNOWN_SPECS = 200


@dataclass(frozen=True, kw_only=True)
class Started:
    """A call that has been started, now or by an earlier request with the same key."""

    answer: WebCallAnswer
    limits: tuple[LimitState, ...] = ()
    replayed: bool = False


class CallStarter:
    """Starts calls. When any step fails nothing of the call is left."""

    def __init__(
        self,
        database: Database,
        dispatcher: Dispatcher,
        config: ApiConfig,
        outbound: OutboundGuard,
        storeroom: Storeroom,
    ) -> None:
        self._database = database
        self._storeroom = storeroom
        self._dispatcher = dispatcher
        self._config = config
        self._outbound = outbound
        self._answers = IdempotencyStore(database, config.session_secret)
        self._known_specs: dict[tuple[Agent, LanguageModel, bool], CallSpec] = {}
        """By the objects themselves: the same ones are found as long as the rows have not changed."""
        self._starts = Together(database, Ledger(config, self._answers).enter, self._withdraw)

    async def start_web_call(self, asker: Asker, body: WebCallTokenRequest) -> Started:
        """Resolve the call, put it on record, hand it to a worker, and return what a browser needs to join it."""
        if asker.page is not None:
            asker.page.require_agent(body.agent_id)
            check_visitor(body.variables or {}, body.metadata or {})
        if isinstance(body, WebCallRequest) and body.webhook_url is not None:
            self._outbound.require(body.webhook_url, param="webhook_url")
        org_id = asker.caller.org_id
        find = partial(find_agent_with_model, org_id=org_id, agent_id=body.agent_id)
        found = await self._database.read_plain(find, ("agent", org_id, body.agent_id))
        if found is None:
            raise agent_not_found(body.agent_id)
        start = await self._resolve(asker, found, body)
        if asker.use is None:  # a repetition is answered by a full server too
            self._dispatcher.require_room()
        made = await self._put_on_record(start)
        if isinstance(made, Kept):
            return Started(answer=self._answer(asker, made), replayed=True)
        await self._dispatch(start, made)
        return Started(answer=self._answer(asker, made.kept), limits=made.limits)

    async def _resolve(self, asker: Asker, found: AgentAndModel, body: WebCallTokenRequest) -> Start:
        agent, model = found
        facts = {
            "llm_id": model.id,
            "variables": body.variables or {},
            "custom_metadata": body.metadata or {},
            "webhook_id": agent.webhook_id,
            "webhook_url": body.webhook_url if isinstance(body, WebCallRequest) else None,
        }
        return Start(asker=asker, spec=await self._spec(asker, found, body), facts=facts)

    async def _spec(self, asker: Asker, found: AgentAndModel, body: WebCallTokenRequest) -> CallSpec:
        """Return the call's spec. Where it is the agent's own, only the names differ from one call to the next."""
        agent, model = found
        names = CallNames(call_id=new_id("call"), room_name=new_room_name(), identity=f"user-{secrets.token_hex(8)}")
        overrides = body.overrides if isinstance(body, WebCallRequest) else None
        is_agents_own = overrides is None and not body.variables
        from_visitor = asker.page is not None
        known = self._known_specs.get((*found, from_visitor)) if is_agents_own else None
        if known is not None:
            return msgspec.structs.replace(
                known, call_id=names.call_id, room_name=names.room_name, identity=names.identity
            )
        wishes = call_wishes(agent, model, overrides)
        spec = make_spec(
            agent,
            model,
            overrides=overrides,
            variables=body.variables or {},
            names=names,
            config=self._config,
            supplies=await self._storeroom.supplies(agent.org_id, model, wishes),
            from_visitor=from_visitor,
        )
        if is_agents_own and needs_nothing(model, wishes):
            if len(self._known_specs) >= _MAX_KNOWN_SPECS:
                self._known_specs.clear()
            self._known_specs[(*found, from_visitor)] = spec
        return spec

    async def _put_on_record(self, start: Start) -> OnRecord | Kept:
        for _ in range(_ROOM_TRIES):
            try:
                return await self._starts.do(start)
            except repo.RoomTakenError:
                spec = msgspec.structs.replace(start.spec, room_name=new_room_name())
                start = Start(asker=start.asker, spec=spec, facts=start.facts)
        raise RuntimeError(f"{_ROOM_TRIES} random room names in a row were taken")

    async def _dispatch(self, start: Start, made: OnRecord) -> None:
        dispatched = False
        try:
            await self._dispatcher.start_call(made.spec)
            dispatched = True
        finally:
            if not dispatched:  # refused, failed, or given up: nobody was told of this call
                await self._withdraw(start, made)
        if start.asker.use is not None:
            await self._answers.settle(start.asker.use)

    async def _withdraw(self, start: Start, made: OnRecord | Kept) -> None:
        """Take a call off the record that nobody was told of."""
        if isinstance(made, Kept):
            return  # an earlier request's
        asker, use = start.asker, start.asker.use
        async with self._database.write() as rows:
            call = await repo.get_call(rows, made.spec.org_id, made.spec.call_id)
            if call is not None:
                await rows.delete(call)
                await trail.record(rows, asker.caller, "call.refused", "call", made.spec.call_id)
            if use is not None:
                await rows.run_sync(lambda session: self._answers.forget(session.connection(), use))

    def _answer(self, asker: Asker, kept: Kept) -> WebCallAnswer:
        token = mint_participant_token(
            secret=self._config.token_secret,
            issuer=self._config.token_issuer,
            room_name=kept.room_name,
            identity=kept.identity,
            ttl_s=self._config.join_ttl_s,
            origin=None if asker.page is None else asker.page.origin,
        )
        return WebCallAnswer.model_validate(
            {
                "id": kept.call_id,
                "agent_id": kept.agent_id,
                "type": "web",
                "status": "queued",
                "room_name": kept.room_name,
                "server_url": asker.server_url,
                "participant_token": token,
                "created_at": kept.created_at,
            }
        )
