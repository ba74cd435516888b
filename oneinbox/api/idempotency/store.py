"""Keeps the answers to requests that carry an ``Idempotency-Key``, for a day.

The row is written in the transaction of the change: a change that is rolled back leaves no answer, a change that is
there has one, whenever the process dies. An answer may hold a secret that is shown once, so it is sealed with a key
that is not in the database.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, delete, select, update

from oneinbox.api.db.database import Database
from oneinbox.api.db.owned import insert_new
from oneinbox.api.db.plain import table_of
from oneinbox.api.db.tables import IdempotencyKey
from oneinbox.api.db.vault import Vault
from oneinbox.api.http.idempotency import KeptAnswer, KeyUse, Once
from oneinbox.core.clock import utc_now
from oneinbox.core.errors import AppError, ErrorKind

_TABLE = table_of(IdempotencyKey)
_KEPT = timedelta(hours=24)
_IN_FLIGHT = timedelta(seconds=30)
"""How long a request may take; one that is not done by then died with its process."""


class IdempotencyStore:
    """What the answers are kept in."""

    def __init__(self, database: Database, secret: str) -> None:
        self._database = database
        self._vault = Vault(lambda: [f"idempotency:{secret}"])

    @asynccontextmanager
    async def once(self, use: KeyUse) -> AsyncGenerator[Once, None]:
        """Open one transaction around a request. The answer it is given is committed with the change."""
        async with self._database.write_as_one() as rows:
            once = Once(kept=await rows.run_sync(lambda session: self.begin(session.connection(), use)))
            yield once
            answer = once.answer
            if once.kept is None and answer is not None:
                await rows.run_sync(lambda session: self.keep(session.connection(), use, answer))

    def begin(self, connection: Connection, use: KeyUse) -> KeptAnswer | None:
        """Note that a request with this key has begun; return what was answered to an earlier one.

        Raises ``AppError``: another request (422), or the same one is not done yet (409).
        """
        now = utc_now()
        connection.execute(delete(_TABLE).where(_TABLE.c.created_at < now - _KEPT))
        fresh = {
            "org_id": use.org_id,
            "route": use.route,
            "key_hash": use.key_hash,
            "fingerprint": use.fingerprint,
            "settled": False,
            "created_at": now,
        }
        if insert_new(connection, IdempotencyKey, fresh):
            return None
        row = connection.execute(select(_TABLE).where(*_is(use))).one()
        if row.fingerprint != use.fingerprint:
            raise AppError(
                "idempotency_key_reused",
                "this Idempotency-Key came with another request before: take a new key for each new request",
                ErrorKind.INVALID,
                param="Idempotency-Key",
            )
        if row.answer is None or row.status is None or not (row.settled or now - row.created_at > _IN_FLIGHT):
            raise AppError(
                "idempotency_in_flight",
                "the first request with this Idempotency-Key is not done yet: ask again in a moment",
                ErrorKind.CONFLICT,
                retry_after_s=1,
            )
        body = self._vault.open(row.answer, use.org_id, use.route, use.key_hash)
        return KeptAnswer(status=row.status, body=body)

    def keep(self, connection: Connection, use: KeyUse, answer: KeptAnswer, *, settled: bool = True) -> None:
        """Keep the answer; ``settled`` false: the request goes on, and a repetition has to wait."""
        sealed = self._vault.seal(answer.body, use.org_id, use.route, use.key_hash)
        changed = update(_TABLE).where(*_is(use)).values(status=answer.status, settled=settled, answer=sealed)
        connection.execute(changed)

    async def settle(self, use: KeyUse) -> None:
        """Note that the request is done."""
        async with self._database.write() as rows:
            await rows.execute(update(_TABLE).where(*_is(use)).values(settled=True))

    def forget(self, connection: Connection, use: KeyUse) -> None:
        """Forget the request: nothing came of it."""
        connection.execute(delete(_TABLE).where(*_is(use)))


def _is(use: KeyUse) -> tuple[ColumnElement[bool], ...]:
    return (_TABLE.c.org_id == use.org_id, _TABLE.c.route == use.route, _TABLE.c.key_hash == use.key_hash)
