"""Secret keys by REST: made, rotated and revoked by a signed-in person."""

from oneinbox.api.audit import trail
from oneinbox.api.db.database import Database, Rows
from oneinbox.api.db.owned import fetch_owned
from oneinbox.api.db.tables import ApiKey
from oneinbox.api.http.auth import Caller
from oneinbox.api.keys import repo
from oneinbox.api.keys.schemas import ApiKeyAnswer, ApiKeyCreate, ApiKeyCreated, ApiKeyPatch
from oneinbox.api.keys.secret import SECRET, NewKey, make_key
from oneinbox.core.clock import utc_now
from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.core.ids import new_id


class SecretKeyService:
    """Making, listing, changing, rotating and revoking secret keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, caller: Caller, body: ApiKeyCreate) -> ApiKeyCreated:
        """Make a key."""
        made = make_key(SECRET)
        async with self._database.write() as rows:
            row = make_row(caller.org_id, body, made)
            rows.add(row)
            await trail.record(rows, caller, "api_key.created", "api_key", row.id)
        return _shown(row, made)

    async def list_keys(self, org_id: str) -> list[ApiKeyAnswer]:
        """Return the organisation's secret keys, newest first."""
        async with self._database.read() as rows:
            found = await repo.secret_keys(rows, org_id)
        return [ApiKeyAnswer.model_validate(row) for row in found]

    async def update(self, caller: Caller, key_id: str, body: ApiKeyPatch) -> ApiKeyAnswer:
        """Change what the body says."""
        async with self._database.write() as rows:
            row = await _fetch(rows, caller, key_id)
            for name, value in body.said().items():
                setattr(row, name, value)
            await trail.record(rows, caller, "api_key.updated", "api_key", row.id)
        return ApiKeyAnswer.model_validate(row)

    async def rotate(self, caller: Caller, key_id: str) -> ApiKeyCreated:
        """Put a new key in the place of the old one, which is refused from now on."""
        made = make_key(SECRET)
        async with self._database.write() as rows:
            row = await _fetch(rows, caller, key_id)
            await repo.retire(rows, row, utc_now())
            row.key_hash, row.key_prefix, row.last4 = made.hash, made.prefix, made.last4
            row.last_used_at = None
            await trail.record(rows, caller, "api_key.rotated", "api_key", row.id)
        return _shown(row, made)

    async def revoke(self, caller: Caller, key_id: str) -> None:
        """Delete a key: it is refused from now on."""
        async with self._database.write() as rows:
            row = await _fetch(rows, caller, key_id)
            await repo.retire(rows, row, utc_now())
            await rows.delete(row)
            await trail.record(rows, caller, "api_key.revoked", "api_key", row.id)


def make_row(org_id: str, body: ApiKeyCreate, made: NewKey) -> ApiKey:
    """Return a new row, not yet stored."""
    return ApiKey(
        id=new_id("key"),
        org_id=org_id,
        name=body.name,
        key_hash=made.hash,
        key_prefix=made.prefix,
        last4=made.last4,
        scopes=body.scopes,
        is_active=True,
        expires_at=body.expires_at,
        created_at=utc_now(),
        last_used_at=None,
    )


async def _fetch(rows: Rows, caller: Caller, key_id: str) -> ApiKey:
    row = await fetch_owned(rows, ApiKey, caller.org_id, key_id)
    if row is None:
        raise AppError("key_not_found", f"there is no secret key {key_id[:80]!r}", ErrorKind.NOT_FOUND)
    return row


def _shown(row: ApiKey, made: NewKey) -> ApiKeyCreated:
    return ApiKeyCreated.model_validate({**ApiKeyAnswer.model_validate(row).model_dump(), "api_key": made.text})
