"""Putting calls on record: the one transaction between a request and a call.

It takes any number of starts at once and gives each an outcome of its own. Within it hold, for each: its key is still
there and its limits are not reached, counting the calls before it in the same group; its row, its line in the audit
log and the answer kept for its ``Idempotency-Key`` are all there, or none of them is.

Locks are taken in one order, so that no two such transactions wait for each other: idempotency keys, publishable keys,
audit chains, each sorted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection

from oneinbox.api.audit import trail
from oneinbox.api.calls import repo
from oneinbox.api.config import ApiConfig
from oneinbox.api.http.auth import Caller
from oneinbox.api.http.idempotency import KeptAnswer, KeyUse
from oneinbox.api.http.rate import LimitState
from oneinbox.api.idempotency.store import IdempotencyStore
from oneinbox.api.keys.limits import Tally, hash_address, tallies
from oneinbox.api.keys.service import PageCaller
from oneinbox.core.clock import utc_now
from oneinbox.core.errors import AppError
from oneinbox.core.events import CallStatus
from oneinbox.core.spec import CallSpec

CREATED = 201


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
class Start:
    """A call that is to begin. ``facts``: what its record has beside what ``spec`` says, by column."""

    asker: Asker
    spec: CallSpec
    facts: dict[str, Any]


class Kept(msgspec.Struct, frozen=True):
    """What is kept of a start: the token is made again each time, so that it can still be used."""

    call_id: str
    agent_id: str
    room_name: str
    identity: str
    created_at: str


@dataclass(frozen=True, kw_only=True)
class OnRecord:
    """A call that is on record now."""

    spec: CallSpec
    kept: Kept
    limits: tuple[LimitState, ...]


class Ledger:
    """Puts starts on record."""

    def __init__(self, config: ApiConfig, answers: IdempotencyStore) -> None:
        self._config = config
        self._answers = answers

    def enter(self, connection: Connection, starts: Sequence[Start]) -> list[OnRecord | Kept | AppError]:
        """Put those on record that may begin; return for each what came of it, in order.

        ``Kept``: it was answered before. ``AppError``: it may not begin, and has left nothing. Raises
        :class:`oneinbox.api.calls.repo.RoomTakenError` when a room's name is in use; then nothing is on record.
        """
        outcomes: dict[int, OnRecord | Kept | AppError] = {}
        for number in sorted(range(len(starts)), key=lambda number: _lock_order(starts[number].asker.use)):
            known = self._answered_before(connection, starts[number].asker.use)
            if known is not None:
                outcomes[number] = known
        now = utc_now()
        counted = tallies(
            connection, [start.asker.page.publishable_key_id for start in starts if start.asker.page], now
        )
        entered: list[tuple[Start, OnRecord]] = []
        rows: list[dict[str, Any]] = []
        for number, start in enumerate(starts):
            if number in outcomes:
                continue
            try:
                made, row = self._admit(start, counted, now)
            except AppError as refusal:
                outcomes[number] = refusal
                if start.asker.use is not None:
                    self._answers.forget(connection, start.asker.use)
                continue
            outcomes[number] = made
            entered.append((start, made))
            rows.append(row)
        repo.insert_calls(connection, rows)
        trail.record_together(connection, (_entry(start) for start, _ in entered))
        for start, made in entered:
            if start.asker.use is not None:
                answer = KeptAnswer(status=CREATED, body=msgspec.json.encode(made.kept).decode())
                self._answers.keep(connection, start.asker.use, answer, settled=False)
        return [outcomes[number] for number in range(len(starts))]

    def _answered_before(self, connection: Connection, use: KeyUse | None) -> Kept | AppError | None:
        if use is None:
            return None
        try:
            kept = self._answers.begin(connection, use)
        except AppError as refusal:
            return refusal
        return None if kept is None else msgspec.json.decode(kept.body, type=Kept)

    def _admit(self, start: Start, counted: dict[str, Tally], now: datetime) -> tuple[OnRecord, dict[str, Any]]:
        """Return the start as it may begin, and its row. Raises ``AppError``."""
        asker, spec = start.asker, start.spec
        limits: tuple[LimitState, ...] = ()
        asker_hash, budget_s, page = None, None, asker.page
        if page is not None:
            asker_hash = hash_address(asker.caller.asked.ip, self._config.session_secret)
            admission = counted[page.publishable_key_id].admit(asker_hash, spec.turns.max_duration_s)
            limits, budget_s = admission.states, admission.budget_s
        row = {
            "id": spec.call_id,
            "org_id": spec.org_id,
            "agent_id": spec.agent_id,
            "type": "web",
            "status": CallStatus.QUEUED.value,
            "room_name": spec.room_name,
            "publishable_key_id": None if page is None else page.publishable_key_id,
            "asker_hash": asker_hash,
            "budget_s": budget_s,
            "providers": {str(stage): provider for stage, provider in spec.providers().items()},
            "server_id": self._config.server_id,
            "created_at": now,
            "updated_at": now,
            **start.facts,
        }
        kept = Kept(
            call_id=spec.call_id,
            agent_id=spec.agent_id,
            room_name=spec.room_name,
            identity=spec.identity,
            created_at=now.isoformat(),
        )
        return OnRecord(spec=spec, kept=kept, limits=limits), row


def _lock_order(use: KeyUse | None) -> tuple[str, ...]:
    return () if use is None else (use.org_id, use.route, use.key_hash)


def _entry(start: Start) -> trail.Entry:
    return trail.Entry(
        caller=start.asker.caller, action="call.created", resource_type="call", resource_id=start.spec.call_id
    )
