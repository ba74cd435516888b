"""Credentials: the rules."""

from dataclasses import dataclass, field
from typing import Any

from oneinbox.api.audit import trail
from oneinbox.api.db.database import Database, Rows
from oneinbox.api.db.owned import fetch_owned, page_of_owned
from oneinbox.api.db.tables import Credential
from oneinbox.api.db.vault import SealedError, Vault
from oneinbox.api.http.auth import Caller
from oneinbox.api.http.paging import Page, PageRequest
from oneinbox.api.integrations import repo
from oneinbox.api.integrations.accounts import known_base_url, takes_base_url
from oneinbox.api.integrations.schemas import CredentialAnswer, CredentialCreate, CredentialPatch
from oneinbox.core.clock import utc_now
from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.core.ids import new_id
from oneinbox.core.outbound import OutboundUrl, UrlRefusedError
from oneinbox.net.outbound import OutboundGuard, url_not_allowed

_MAX_NAMED = 10
_MIN_SHOWN_OF = 12
"""Of a key shorter than this, no character is shown."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """An organisation's own account with a provider, ready to be used in a call."""

    base_url: str
    api_key: str = field(repr=False)
    addresses: tuple[str, ...]
    """The only addresses at which ``base_url`` may be reached; empty where the address is not of a user's choosing."""


@dataclass(frozen=True, kw_only=True)
class OpenedCredential:
    """A credential with its key."""

    provider: str
    own_url: str | None
    api_key: str = field(repr=False)
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])


class CredentialService:
    """Keeping credentials, and handing them to calls."""

    def __init__(self, database: Database, vault: Vault, outbound: OutboundGuard) -> None:
        self._database = database
        self._vault = vault
        self._outbound = outbound

    async def create(self, caller: Caller, body: CredentialCreate) -> CredentialAnswer:
        """Keep a credential."""
        self._check_metadata(body.provider, body.metadata)
        now = utc_now()
        row = Credential(
            id=new_id("cred"),
            org_id=caller.org_id,
            name=body.name,
            provider=body.provider,
            custom_metadata=body.metadata,
            created_at=now,
            updated_at=now,
        )
        async with self._database.write() as rows:
            self._seal(row, body.api_key)
            rows.add(row)
            await trail.record(rows, caller, "credential.created", "credential", row.id)
        return _answer(row)

    async def page(self, org_id: str, asked: PageRequest) -> Page[CredentialAnswer]:
        """Return one page of credentials, newest first."""
        async with self._database.read() as rows:
            found, total = await page_of_owned(rows, Credential, org_id, asked.limit, asked.offset)
        return Page(items=[_answer(row) for row in found], total=total, limit=asked.limit, offset=asked.offset)

    async def get(self, org_id: str, credential_id: str) -> CredentialAnswer:
        """Return one credential."""
        async with self._database.read() as rows:
            return _answer(await find_credential(rows, org_id, credential_id))

    async def update(self, caller: Caller, credential_id: str, body: CredentialPatch) -> CredentialAnswer:
        """Change what the body says."""
        said = body.said()
        async with self._database.write() as rows:
            row = await find_credential(rows, caller.org_id, credential_id)
            if "metadata" in said:
                self._check_metadata(row.provider, said["metadata"])
                row.custom_metadata = said["metadata"]
            if "name" in said:
                row.name = said["name"]
            if "api_key" in said:
                self._seal(row, said["api_key"])
            row.updated_at = utc_now()
            await trail.record(rows, caller, "credential.updated", "credential", row.id)
        return _answer(row)

    async def delete(self, caller: Caller, credential_id: str) -> None:
        """Delete a credential that nothing uses."""
        async with self._database.write() as rows:
            row = await find_credential(rows, caller.org_id, credential_id)
            users = await repo.users_of_credential(rows, caller.org_id, row.id, _MAX_NAMED)
            if users:
                raise AppError(
                    "credential_in_use",
                    f"the credential is used by {', '.join(users)}: give them another, or delete them first",
                    ErrorKind.CONFLICT,
                )
            await rows.delete(row)
            await trail.record(rows, caller, "credential.deleted", "credential", credential_id)

    async def open(self, rows: Rows, org_id: str, credential_id: str, *, param: str) -> OpenedCredential:
        """Return the credential with its key. Raises ``AppError`` where it is gone, or does not open."""
        row = await find_credential(rows, org_id, credential_id, param=param)
        try:
            api_key = self._vault.open(row.sealed, *_bound_to(row))
        except SealedError as error:
            raise AppError(
                "credential_unreadable",
                f"the credential {row.id} cannot be opened ({error}): send its api_key again",
                ErrorKind.INVALID,
                param=param,
            ) from None
        own_url = row.custom_metadata.get("base_url")
        return OpenedCredential(
            provider=row.provider, own_url=own_url, api_key=api_key, metadata=dict(row.custom_metadata)
        )

    async def reach(self, opened: OpenedCredential, *, param: str) -> Account:
        """Return the account for a call made now: its address looked up and judged. Holds no database connection.

        Raises ``AppError`` where it may not be reached.
        """
        if opened.own_url is None:
            base_url = known_base_url(opened.provider)
            if base_url is None:
                raise _base_url_required(param)
            return Account(base_url=base_url, api_key=opened.api_key, addresses=())
        try:
            target = await self._outbound.check(opened.own_url)
            self._require_privacy(target.url, [str(address) for address in target.addresses])
        except UrlRefusedError as error:
            raise url_not_allowed(error, param=param) from None
        addresses = tuple(str(address) for address in target.addresses)
        return Account(base_url=str(target.url).rstrip("/"), api_key=opened.api_key, addresses=addresses)

    def _seal(self, row: Credential, api_key: str) -> None:
        row.sealed = self._vault.seal(api_key, *_bound_to(row))
        row.last4 = api_key[-4:] if len(api_key) >= _MIN_SHOWN_OF else ""

    def _check_metadata(self, provider: str, metadata: dict[str, Any]) -> None:
        if not takes_base_url(provider):
            return
        base_url = metadata.get("base_url")
        if base_url is None:
            if known_base_url(provider) is None:
                raise _base_url_required("metadata.base_url")
            return
        refusal = UrlRefusedError("base_url has to be a text without a query, such as https://models.example.com/v1")
        if not isinstance(base_url, str) or "?" in base_url or "#" in base_url:
            raise url_not_allowed(refusal, param="metadata.base_url")
        url = self._outbound.require(base_url, param="metadata.base_url")
        try:
            if url.literal is not None:
                self._require_privacy(url, [url.host])
        except UrlRefusedError as error:
            raise url_not_allowed(error, param="metadata.base_url") from None

    def _require_privacy(self, url: OutboundUrl, addresses: list[str]) -> None:
        """A key goes in clear only through networks that the operator answers for."""
        if url.scheme == "http" and not all(self._outbound.policy.names(address) for address in addresses):
            raise UrlRefusedError("a key is sent over https only: base_url has to begin with https://")


async def find_credential(rows: Rows, org_id: str, credential_id: str, *, param: str | None = None) -> Credential:
    """Return the organisation's credential. Raises ``AppError``: 404, or 422 where ``param`` of a body names it."""
    row = await fetch_owned(rows, Credential, org_id, credential_id)
    if row is None:
        kind = ErrorKind.NOT_FOUND if param is None else ErrorKind.INVALID
        raise AppError("credential_not_found", f"there is no credential {credential_id[:80]!r}", kind, param=param)
    return row


async def require_credential(rows: Rows, org_id: str, credential_id: str, provider: str, *, param: str) -> None:
    """Refuse a credential that is not there, or is another provider's."""
    row = await find_credential(rows, org_id, credential_id, param=param)
    if row.provider != provider:
        raise AppError(
            "credential_mismatch",
            f"the credential is for {row.provider!r}, and this is for {provider[:80]!r}: name the same provider in both",
            ErrorKind.INVALID,
            param=param,
        )


def _bound_to(row: Credential) -> tuple[str, ...]:
    return "credentials", row.org_id, row.id, row.provider


def _answer(row: Credential) -> CredentialAnswer:
    return CredentialAnswer.model_validate(
        {
            "id": row.id,
            "name": row.name,
            "provider": row.provider,
            "masked_key": f"****{row.last4}",
            "metadata": row.custom_metadata,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
        }
    )


def _base_url_required(param: str) -> AppError:
    return AppError("base_url_required", "say where the server is: metadata.base_url", ErrorKind.INVALID, param=param)
