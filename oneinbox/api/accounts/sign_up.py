"""Signing up and signing in with a password.

A password that is tried counts before it is looked at, so that a hundred at once count a hundred; one that was right is
forgotten. An unknown e-mail takes as long as a wrong password, and is answered with the same words.
"""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from oneinbox.api.accounts import repo
from oneinbox.api.accounts.passwords import Passwords
from oneinbox.api.accounts.schemas import SignUpRequest
from oneinbox.api.accounts.service import AccountService, SignedIn, add_user
from oneinbox.api.audit import trail
from oneinbox.api.config import ApiConfig
from oneinbox.api.db.database import Database, Rows
from oneinbox.api.db.owned import take_turns
from oneinbox.api.db.tables import Organisation
from oneinbox.api.http.auth import Asked, Caller
from oneinbox.core.clock import utc_now
from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.core.ids import new_id

Welcome = Callable[[Rows, Organisation], Awaitable[None]]
"""Gives a new organisation what it begins with, in the transaction that makes it."""

_WINDOW = timedelta(minutes=15)
_PER_PERSON = 10
_PER_ADDRESS = 50
"""Passwords and sign-ups from one address, whosever they are."""
_MAX_ORGANISATION_NAME = 255


class SignUpService:
    """People who come with an e-mail and a password."""

    def __init__(self, database: Database, config: ApiConfig, accounts: AccountService, welcome: Welcome) -> None:
        self._database = database
        self._secret = config.session_secret
        self._enabled = config.sign_up_enabled
        self._accounts = accounts
        self._welcome = welcome
        self._passwords = Passwords()

    async def sign_up(self, body: SignUpRequest, asked: Asked) -> SignedIn:
        """Make an organisation with its owner, who is signed in. Raises ``AppError`` (403, 409, 429)."""
        if not self._enabled:
            raise AppError(
                "sign_up_disabled",
                "this server takes no sign-ups: its operator can allow them (ONEINBOX_SIGN_UP_ENABLED=true)",
                ErrorKind.FORBIDDEN,
            )
        email = _same_email(body.email)
        await self._count([(self._subject("address", asked.ip), _PER_ADDRESS)])
        password_hash = await self._passwords.hash(body.password)
        async with self._database.write() as rows:
            await take_turns(rows, f"email {email}")
            if await repo.user_by_email(rows, email) is not None:
                raise AppError(
                    "email_taken", "there is an account with this e-mail: sign in", ErrorKind.CONFLICT, param="email"
                )
            name = body.organization_name or f"{body.name or email.partition('@')[0]}'s organisation"
            organisation = Organisation(
                id=new_id("org"), name=name[:_MAX_ORGANISATION_NAME], demo_agent_id=None, created_at=utc_now()
            )
            rows.add(organisation)
            await rows.flush()
            user = await add_user(rows, organisation.id, email=email, name=body.name, password_hash=password_hash)
            await self._welcome(rows, organisation)
            caller = Caller(org_id=organisation.id, user_id=user.id, asked=asked)
            await trail.record(rows, caller, "organisation.created", "organisation", organisation.id)
            return await self._accounts.begin_session(rows, caller, "account.signed_up")

    async def sign_in(self, email: str, password: str, asked: Asked) -> SignedIn:
        """Begin a session. Raises ``AppError`` (401, 429)."""
        email = _same_email(email)
        person = self._subject("person", f"{asked.ip} {email}")
        await self._count([(person, _PER_PERSON), (self._subject("address", asked.ip), _PER_ADDRESS)])
        async with self._database.read() as rows:
            user = await repo.user_by_email(rows, email)
        if not await self._passwords.match(password, None if user is None else user.password_hash) or user is None:
            raise AppError("wrong_credentials", "e-mail and password do not fit", ErrorKind.UNAUTHENTICATED)
        async with self._database.write() as rows:
            await repo.forget_attempts(rows, person)
            caller = Caller(org_id=user.org_id, user_id=user.id, asked=asked)
            return await self._accounts.begin_session(rows, caller, "account.signed_in")

    async def _count(self, subjects: list[tuple[str, int]]) -> None:
        now = utc_now()
        async with self._database.write() as rows:
            for subject in sorted(name for name, _ in subjects):  # in one order, so that nobody waits for each other
                await take_turns(rows, f"attempts {subject}")
            await repo.forget_attempts_before(rows, now - _WINDOW)
            for subject, quota in subjects:
                tried, oldest = await repo.attempts(rows, subject)
                if tried >= quota:
                    raise _too_many(oldest or now, now)
            for subject, _ in subjects:
                repo.add_attempt(rows, subject, now)

    def _subject(self, kind: str, whose: str | None) -> str:
        return hmac.digest(self._secret.encode(), f"{kind} {whose}".encode(), hashlib.sha256).hex()


def _too_many(oldest: datetime, now: datetime) -> AppError:
    return AppError(
        "too_many_attempts",
        "too many attempts: wait a few minutes",
        ErrorKind.RATE_LIMITED,
        retry_after_s=max((oldest + _WINDOW - now).total_seconds(), 1),
    )


def _same_email(email: str) -> str:
    return email.strip().lower()
