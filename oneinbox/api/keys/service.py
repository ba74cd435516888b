"""Keys: making them, and telling whose they are."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from oneinbox.api.accounts.service import ensure_organisation
from oneinbox.api.audit import trail
from oneinbox.api.config import ApiConfig
from oneinbox.api.db.database import Database, Rows
from oneinbox.api.db.owned import fetch_owned
from oneinbox.api.db.tables import ApiKey, PublishableKey
from oneinbox.api.http.auth import Asked, Caller, invalid_key
from oneinbox.api.keys import repo
from oneinbox.api.keys.origins import OriginError, canonical_origins, origin_list, parse_sent_origin
from oneinbox.api.keys.schemas import (
    ApiKeyCreate,
    KeyLimits,
    PublishableKeyAnswer,
    PublishableKeyCreate,
    PublishableKeyCreated,
    PublishableKeyPatch,
)
from oneinbox.api.keys.secret import PUBLISHABLE, SECRET, hash_of, is_well_formed, make_key
from oneinbox.api.keys.secret_keys import make_row
from oneinbox.core.clock import utc_now
from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.core.ids import new_id

_USE_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class SecretKey:
    """A secret key that has just been made. ``key`` is shown once and not kept."""

    id: str
    key: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class PageCaller(Caller):
    """A web page that asks with a publishable key."""

    publishable_key_id: str
    origin: str
    """As the browser wrote it."""
    allowed_agent_ids: tuple[str, ...] = ()
    """Empty: every one of the organisation's."""

    def require_agent(self, agent_id: str) -> None:
        """Raise ``AppError`` (403) unless the key may call this agent."""
        if self.allowed_agent_ids and agent_id not in self.allowed_agent_ids:
            raise AppError(
                "agent_not_allowed",
                "this key may not call this agent: add it to the key's allowed_agent_ids",
                ErrorKind.FORBIDDEN,
                param="agent_id",
            )


async def create_secret_key(database: Database, name: str) -> SecretKey:
    """Make a secret key of the first organisation. Works while a server runs on the same database."""
    made = make_key(SECRET)
    async with database.write() as rows:
        organisation = await ensure_organisation(rows)
        row = make_row(organisation.id, ApiKeyCreate(name=name), made)
        rows.add(row)
        await trail.record(rows, Caller(org_id=organisation.id), "api_key.created", "api_key", row.id)
    return SecretKey(id=row.id, key=made.text)


class KeyService:
    """Keys of either kind."""

    def __init__(self, database: Database, config: ApiConfig) -> None:
        self._database = database
        self._allow_insecure = config.allow_insecure_origins

    async def by_secret_key(self, key: str) -> Caller | None:
        """Return whose secret key this is; ``None``: nobody's. Raises ``AppError`` (401) saying what is wrong with it."""
        if not is_well_formed(key, SECRET):
            raise _malformed()
        key_hash = hash_of(key)
        async with self._database.read() as rows:
            row = await repo.secret_key_by_hash(rows, key_hash)
            if row is None and await repo.is_retired(rows, key_hash):
                raise _revoked()
        if row is None or not hmac.compare_digest(row.key_hash, key_hash):
            return None
        _require_usable(row)
        await self._note_use(row)
        return Caller(org_id=row.org_id, key_id=row.id)

    async def by_publishable_key(self, key: str, sent_origins: Sequence[str], asked: Asked) -> PageCaller:
        """Return whose page asks. Raises ``AppError``: 401 for the key, 403 for the origin."""
        if key.startswith("oi_sk_"):
            raise AppError(
                "publishable_key_required",
                "this route is for web pages: send a publishable key (oi_pk_...). If a secret key stood in a page, "
                "delete it now; from a server, use POST /v1/calls/web",
                ErrorKind.FORBIDDEN,
            )
        if not is_well_formed(key, PUBLISHABLE):
            raise _malformed()
        key_hash = hash_of(key)
        row = await self._database.read_plain(
            partial(repo.publishable_key_by_hash, key_hash=key_hash), ("pk", key_hash)
        )
        if row is None or not hmac.compare_digest(row.key_hash, key_hash):
            async with self._database.read() as rows:
                raise _revoked() if await repo.is_retired(rows, key_hash) else invalid_key()
        _require_usable(row)
        origin = parse_sent_origin(sent_origins)
        if origin is None or not origin_list(tuple(row.allowed_origins)).allows(origin):
            raise origin_not_allowed(sent_origins)
        await self._note_use(row)
        return PageCaller(
            org_id=row.org_id,
            key_id=row.id,
            publishable_key_id=row.id,
            asked=asked,
            origin=sent_origins[0],
            allowed_agent_ids=tuple(row.allowed_agent_ids or ()),
        )

    async def create(self, caller: Caller, body: PublishableKeyCreate) -> PublishableKeyCreated:
        """Make a publishable key."""
        origins = self._canonical(body.allowed_origins)
        made = make_key(PUBLISHABLE)
        now = utc_now()
        row = PublishableKey(
            id=new_id("pk"),
            org_id=caller.org_id,
            name=body.name,
            key_hash=made.hash,
            key_prefix=made.prefix,
            last4=made.last4,
            allowed_origins=origins,
            scopes=body.scopes,
            allowed_agent_ids=body.allowed_agent_ids,
            limits=body.limits.model_dump(exclude_none=True),
            is_active=True,
            expires_at=body.expires_at,
            created_at=now,
            updated_at=now,
            last_used_at=None,
        )
        async with self._database.write() as rows:
            await _require_agents(rows, caller, body.allowed_agent_ids)
            rows.add(row)
            await trail.record(rows, caller, "publishable_key.created", "publishable_key", row.id)
        return PublishableKeyCreated.model_validate({**_facts(row), "key": made.text})

    async def list_keys(self, org_id: str) -> list[PublishableKeyAnswer]:
        """Return the organisation's publishable keys, newest first."""
        async with self._database.read() as rows:
            found = await repo.publishable_keys(rows, org_id)
        return [PublishableKeyAnswer.model_validate(row) for row in found]

    async def update(self, caller: Caller, key_id: str, body: PublishableKeyPatch) -> PublishableKeyAnswer:
        """Change what the body says."""
        said = body.said()
        if "allowed_origins" in said:
            said["allowed_origins"] = self._canonical(said["allowed_origins"])
        async with self._database.write() as rows:
            row = await fetch_owned(rows, PublishableKey, caller.org_id, key_id)
            if row is None:
                raise _not_found(key_id)
            await _require_agents(rows, caller, said.get("allowed_agent_ids", []))
            for name, value in said.items():
                setattr(row, name, _merged(row.limits, value) if name == "limits" else value)
            row.updated_at = utc_now()
            await trail.record(rows, caller, "publishable_key.updated", "publishable_key", row.id)
        return PublishableKeyAnswer.model_validate(row)

    async def delete(self, caller: Caller, key_id: str) -> None:
        """Delete a key: it stops working at once."""
        async with self._database.write() as rows:
            row = await fetch_owned(rows, PublishableKey, caller.org_id, key_id)
            if row is None:
                raise _not_found(key_id)
            await repo.retire(rows, row, utc_now())
            await rows.delete(row)
            await trail.record(rows, caller, "publishable_key.deleted", "publishable_key", row.id)

    def _canonical(self, origins: Sequence[str]) -> list[str]:
        try:
            return canonical_origins(origins, allow_insecure=self._allow_insecure)
        except OriginError as error:
            raise AppError("invalid_origin", str(error), ErrorKind.INVALID, param="allowed_origins") from None

    async def _note_use(self, row: ApiKey | PublishableKey) -> None:
        """Note the use, once a minute at most: a key under load must not cost a write per request."""
        now: datetime = utc_now()
        if row.last_used_at is None or now - row.last_used_at >= _USE_NOTED_EVERY:
            async with self._database.write() as rows:
                await repo.note_use(rows, type(row), row.id, now)


def origin_not_allowed(sent_origins: Sequence[str]) -> AppError:
    """Return the error for a page that is not on the key's list, or that does not say where it is from."""
    if list(sent_origins) == ["null"]:
        message = (
            "a publishable key works from web pages of an origin, and this one has none (Origin: null), as files and "
            "sandboxed frames: serve it over http:// or https://, or give the frame allow-same-origin"
        )
    elif len(sent_origins) == 1:
        shown = sent_origins[0][:80]
        message = f"the page's origin {shown!r} is not on the key's list of allowed origins"
    else:
        message = "a publishable key works from web pages only, and this request names no origin"
    return AppError("ORIGIN_NOT_ALLOWED", message, ErrorKind.FORBIDDEN)


def _merged(limits: dict[str, object] | None, said: KeyLimits | None) -> dict[str, object]:
    """Lay what was said over what there was; null takes a limit away, null for the whole takes all away."""
    if said is None:
        return {}
    merged = {**(limits or {}), **said.said()}
    return {name: value for name, value in merged.items() if value is not None}


async def _require_agents(rows: Rows, caller: Caller, agent_ids: list[str]) -> None:
    unknown = await repo.unknown_agents(rows, caller.org_id, agent_ids) if agent_ids else []
    if unknown:
        raise AppError(
            "agent_not_found", f"there is no agent {unknown[0][:80]!r}", ErrorKind.INVALID, param="allowed_agent_ids"
        )


def _require_usable(row: ApiKey | PublishableKey) -> None:
    if not row.is_active:
        raise AppError("key_paused", "the key is paused: somebody switched it off", ErrorKind.UNAUTHENTICATED)
    if row.expires_at is not None and row.expires_at <= utc_now():
        raise AppError("key_expired", "the key has expired: make a new one", ErrorKind.UNAUTHENTICATED)


def _revoked() -> AppError:
    return AppError(
        "key_revoked", "the key was revoked, or rotated: take the new one, or make one", ErrorKind.UNAUTHENTICATED
    )


def _malformed() -> AppError:
    return AppError(
        "invalid_key",
        "this is no key: it is cut off or mistyped (its checksum does not fit)",
        ErrorKind.UNAUTHENTICATED,
    )


def _facts(row: PublishableKey) -> dict[str, object]:
    return PublishableKeyAnswer.model_validate(row).model_dump()


def _not_found(key_id: str) -> AppError:
    return AppError("key_not_found", f"there is no publishable key {key_id[:80]!r}", ErrorKind.NOT_FOUND)
