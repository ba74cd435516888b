"""Starting a web call: resolved, admitted, put on record, handed to a worker."""

import secrets
from dataclasses import dataclass

import msgspec

from oneinbox.api.agents.repo import agent_with_model
from oneinbox.api.agents.service import agent_not_found
from oneinbox.api.audit import trail
from oneinbox.api.calls import repo
from oneinbox.api.calls.dispatcher import Dispatcher
from oneinbox.api.calls.resolve import CallNames, call_wishes, make_spec
from oneinbox.api.calls.schemas import WebCallAnswer, WebCallRequest, WebCallTokenRequest
from oneinbox.api.calls.supplies import Storeroom
from oneinbox.api.config import ApiConfig
from oneinbox.api.db.database import Database, Rows
from oneinbox.api.db.tables import Agent, Call, LanguageModel
from oneinbox.api.http.auth import Caller
from oneinbox.api.http.idempotency import KeptAnswer, KeyUse
from oneinbox.api.http.rate import LimitState
from oneinbox.api.idempotency.store import IdempotencyStore
from oneinbox.api.keys.limits import admit, hash_address
from oneinbox.api.keys.service import PageCaller
from oneinbox.core.clock import utc_now
from oneinbox.core.events import CallStatus
from oneinbox.core.ids import new_id, new_room_name
from oneinbox.core.spec import CallSpec
from oneinbox.core.tokens import mint_participant_token
from oneinbox.net.outbound import OutboundGuard

_ROOM_TRIES = 5
_CREATED = 201


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Who starts a call, and how it is to be answered. A web page's caller is a :class:`PageCaller`."""

    caller: Caller
    server_url: str
    use: KeyUse | None = None
    """The request's ``Idempotency-Key``."""

    @property
    def page(self) -> PageCaller | None:
        """The web page, where one asks."""
        return self.caller if isinstance(self.caller, PageCaller) else None


@dataclass(frozen=True, kw_only=True)
class Started:
    """A call that has been started, now or by an earlier request with the same key."""

    answer: WebCallAnswer
    limits: tuple[LimitState, ...] = ()
    replayed: bool = False


class _Kept(msgspec.Struct, frozen=True):
    """What is kept of a start: the token is made again each time, so that it can still be used."""

    call_id: str
    agent_id: str
    room_name: str
    identity: str
    created_at: str


@dataclass(frozen=True, kw_only=True)
class _OnRecord:
    spec: CallSpec
    call: Call
    limits: tuple[LimitState, ...]


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

    async def start_web_call(self, asker: Asker, body: WebCallTokenRequest) -> Started:
        """Resolve the call, put it on record, hand it to a worker, and return what a browser needs to join it."""
        if asker.page is not None:
            asker.page.require_agent(body.agent_id)
        if isinstance(body, WebCallRequest) and body.webhook_url is not None:
            self._outbound.require(body.webhook_url, param="webhook_url")
        async with self._database.read() as rows:
            found = await agent_with_model(rows, asker.caller.org_id, body.agent_id)
        if found is None:
            raise agent_not_found(body.agent_id)
        made = await self._put_on_record(asker, *found, body)
        if isinstance(made, _Kept):
            return Started(answer=self._answer(asker, made), replayed=True)
        await self._dispatch(made.spec, asker)
        return Started(answer=self._answer(asker, _kept(made.spec, made.call)), limits=made.limits)

    async def _put_on_record(
        self, asker: Asker, agent: Agent, model: LanguageModel, body: WebCallTokenRequest
    ) -> _OnRecord | _Kept:
        call_id, identity = new_id("call"), f"user-{secrets.token_hex(8)}"
        overrides = body.overrides if isinstance(body, WebCallRequest) else None
        wishes = call_wishes(agent, model, overrides)
        supplies = await self._storeroom.supplies(asker.caller.org_id, model, wishes)
        for _ in range(_ROOM_TRIES):
            names = CallNames(call_id=call_id, room_name=new_room_name(), identity=identity)
            spec = make_spec(
                agent,
                model,
                overrides=overrides,
                variables=body.variables or {},
                names=names,
                config=self._config,
                supplies=supplies,
            )
            try:
                async with self._database.write() as rows:
                    return await self._add(rows, asker, spec, _new_call(spec, asker, agent, model, body))
            except repo.RoomTakenError:
                continue
        raise RuntimeError(f"{_ROOM_TRIES} random room names in a row were taken")

    async def _add(self, rows: Rows, asker: Asker, spec: CallSpec, call: Call) -> _OnRecord | _Kept:
        kept = None if asker.use is None else await self._answers.begin(rows, asker.use)
        if kept is not None:
            return msgspec.json.decode(kept.body, type=_Kept)
        limits: tuple[LimitState, ...] = ()
        call.server_id = self._config.server_id
        if asker.page is not None:
            call.asker_hash = hash_address(asker.caller.asked.ip, self._config.session_secret)
            wanted_s = spec.turns.max_duration_s
            admission = await admit(rows, asker.page.publishable_key_id, call.asker_hash, wanted_s, call.created_at)
            limits, call.budget_s = admission.states, admission.budget_s
        await repo.add_call(rows, call)
        await trail.record(rows, asker.caller, "call.created", "call", call.id)
        if asker.use is not None:
            answer = KeptAnswer(status=_CREATED, body=msgspec.json.encode(_kept(spec, call)).decode())
            await self._answers.keep(rows, asker.use, answer, settled=False)
        return _OnRecord(spec=spec, call=call, limits=limits)

    async def _dispatch(self, spec: CallSpec, asker: Asker) -> None:
        dispatched = False
        try:
            await self._dispatcher.start_call(spec)
            dispatched = True
        finally:
            if not dispatched:  # refused, failed, or given up: nobody was told of this call
                async with self._database.write() as rows:
                    call = await repo.get_call(rows, spec.org_id, spec.call_id)
                    if call is not None:
                        await rows.delete(call)
                        await trail.record(rows, asker.caller, "call.refused", "call", spec.call_id)
                    if asker.use is not None:
                        await self._answers.forget(rows, asker.use)
        if asker.use is not None:
            await self._answers.settle(asker.use)

    def _answer(self, asker: Asker, kept: _Kept) -> WebCallAnswer:
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


def _kept(spec: CallSpec, call: Call) -> _Kept:
    return _Kept(
        call_id=call.id,
        agent_id=call.agent_id,
        room_name=call.room_name,
        identity=spec.identity,
        created_at=call.created_at.isoformat(),
    )


def _new_call(spec: CallSpec, asker: Asker, agent: Agent, model: LanguageModel, body: WebCallTokenRequest) -> Call:
    now = utc_now()
    return Call(
        id=spec.call_id,
        org_id=spec.org_id,
        agent_id=spec.agent_id,
        llm_id=model.id,
        type="web",
        status=CallStatus.QUEUED.value,
        room_name=spec.room_name,
        publishable_key_id=None if asker.page is None else asker.page.publishable_key_id,
        variables=body.variables or {},
        custom_metadata=body.metadata or {},
        webhook_id=agent.webhook_id,
        webhook_url=body.webhook_url if isinstance(body, WebCallRequest) else None,
        providers={str(stage): provider for stage, provider in spec.providers().items()},
        created_at=now,
        updated_at=now,
    )
