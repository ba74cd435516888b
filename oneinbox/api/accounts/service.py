"""Organisations and their users: how they come to be, and how they sign in."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import jwt

from oneinbox.api.accounts import repo
from oneinbox.api.accounts.schemas import MeAnswer, OrganisationAnswer, OrganisationPatch
from oneinbox.api.audit import trail
from oneinbox.api.config import ApiConfig
from oneinbox.api.db.database import Database, Rows
from oneinbox.api.db.tables import Organisation, Session, SignInLink, User
from oneinbox.api.http.auth import Asked, Caller, session_required
from oneinbox.core.clock import utc_now
from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.core.ids import new_id

OWNER_EMAIL = "owner@localhost"
_ALGORITHM = "HS256"
_ISSUER = "oneinbox-dashboard"
_KEEP_EXPIRED = timedelta(days=1)
"""How long a link's row outlives its time, so that its holder is told why it no longer works."""


@dataclass(frozen=True, kw_only=True)
class SignInToken:
    """What a sign-in link holds. Shown once; only its hash is kept."""

    token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class SignedIn:
    """A session that has just begun."""

    access_token: str = field(repr=False)
    expires_in_minutes: int


async def ensure_organisation(rows: Rows) -> Organisation:
    """Return the first organisation; make it, and its owner, where there is none yet."""
    organisation = await repo.first_organisation(rows)
    if organisation is None:
        organisation = Organisation(id=new_id("org"), name="My organisation", demo_agent_id=None, created_at=utc_now())
        rows.add(organisation)
        await rows.flush()
    if await repo.owner_of(rows, organisation.id) is None:
        await add_user(rows, organisation.id, email=OWNER_EMAIL, name="Owner", password_hash=None)
    return organisation


async def add_user(rows: Rows, org_id: str, *, email: str, name: str | None, password_hash: str | None) -> User:
    """Add an owner."""
    now = utc_now()
    user = User(
        id=new_id("usr"),
        org_id=org_id,
        email=email,
        name=name,
        password_hash=password_hash,
        role="owner",
        created_at=now,
        updated_at=now,
    )
    rows.add(user)
    await rows.flush()
    return user


async def create_sign_in_link(database: Database, *, minutes: int = 15) -> SignInToken:
    """Make a link that signs in the first organisation's owner, once, within ``minutes``.

    Works while a server runs on the same database.
    """
    now = utc_now()
    token = secrets.token_urlsafe(32)
    async with database.write() as rows:
        organisation = await ensure_organisation(rows)
        owner = await repo.owner_of(rows, organisation.id)
        if owner is None:
            raise RuntimeError("ensure_organisation makes an owner")
        link = SignInLink(
            id=new_id("sil"),
            org_id=organisation.id,
            user_id=owner.id,
            token_hash=_hash(token),
            created_at=now,
            expires_at=now + timedelta(minutes=minutes),
            used_at=None,
        )
        rows.add(link)
        await trail.record(rows, Caller(org_id=organisation.id), "sign_in_link.created", "sign_in_link", link.id)
    return SignInToken(token=token, expires_at=link.expires_at)


class AccountService:
    """Signing in and out."""

    def __init__(self, database: Database, config: ApiConfig) -> None:
        self._database = database
        self._secret = config.session_secret
        self._minutes = config.session_minutes

    async def sign_in_by_link(self, token: str, asked: Asked) -> SignedIn:
        """Burn a sign-in link and begin a session. Raises ``AppError`` (401) saying what is wrong with the link."""
        now = utc_now()
        async with self._database.write() as rows:
            link = await repo.burn_link(rows, _hash(token), now)
            if link is None:
                raise _link_error(await repo.link_by_hash(rows, _hash(token)))
            await repo.forget_expired(rows, now - _KEEP_EXPIRED)
            caller = Caller(org_id=link.org_id, user_id=link.user_id, asked=asked)
            return await self.begin_session(rows, caller, "account.signed_in")

    async def begin_session(self, rows: Rows, caller: Caller, action: str) -> SignedIn:
        """Begin a session of the caller's, in this transaction."""
        if caller.user_id is None:
            raise session_required()
        now = utc_now()
        session = Session(
            id=new_id("ses"),
            org_id=caller.org_id,
            user_id=caller.user_id,
            created_at=now,
            expires_at=now + timedelta(minutes=self._minutes),
            ended_at=None,
        )
        rows.add(session)
        await trail.record(rows, caller, action, "session", session.id)
        return self._token(caller.user_id, session.id, now)

    def _token(self, user_id: str, session_id: str, now: datetime) -> SignedIn:
        expires_at = now + timedelta(minutes=self._minutes)
        claims = {"iss": _ISSUER, "sub": user_id, "sid": session_id, "iat": now, "exp": expires_at}
        return SignedIn(
            access_token=jwt.encode(claims, self._secret, algorithm=_ALGORITHM), expires_in_minutes=self._minutes
        )

    async def refresh(self, caller: Caller) -> SignedIn:
        """Let the caller's session last as long as a new one."""
        if caller.session_id is None or caller.user_id is None:
            raise session_required()
        now = utc_now()
        async with self._database.write() as rows:
            await repo.extend_session(rows, caller.session_id, now + timedelta(minutes=self._minutes))
            await trail.record(rows, caller, "account.session_refreshed", "session", caller.session_id)
        return self._token(caller.user_id, caller.session_id, now)

    async def organisation(self, org_id: str) -> OrganisationAnswer:
        """Return the caller's organisation."""
        async with self._database.read() as rows:
            return OrganisationAnswer.model_validate(await repo.organisation(rows, org_id))

    async def rename(self, caller: Caller, body: OrganisationPatch) -> OrganisationAnswer:
        """Change what the body says."""
        async with self._database.write() as rows:
            row = await repo.organisation(rows, caller.org_id, to_change=True)
            for name, value in body.said().items():
                setattr(row, name, value)
            await trail.record(rows, caller, "organisation.updated", "organisation", row.id)
        return OrganisationAnswer.model_validate(row)

    async def by_session(self, token: str) -> Caller | None:
        """Return who holds this session token; ``None`` when it is not one of ours, or over."""
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                issuer=_ISSUER,
                options={"require": ["exp", "iss", "sub", "sid"]},
            )
        except jwt.InvalidTokenError:
            return None
        async with self._database.read() as rows:
            session = await repo.live_session(rows, str(claims["sid"]), utc_now())
        if session is None:
            return None
        return Caller(org_id=session.org_id, user_id=session.user_id, session_id=session.id)

    async def sign_out(self, caller: Caller) -> None:
        """End the caller's session: its token is worth nothing from now on."""
        if caller.session_id is None:
            raise session_required()
        async with self._database.write() as rows:
            await repo.end_session(rows, caller.session_id, utc_now())
            await trail.record(rows, caller, "account.signed_out", "session", caller.session_id)

    async def who_is(self, caller: Caller) -> MeAnswer:
        """Return the signed-in user."""
        if caller.user_id is None:
            raise session_required()
        async with self._database.read() as rows:
            found = await repo.user_with_organisation(rows, caller.user_id, caller.org_id)
        if found is None:
            raise AppError("session_ended", "the session is over: sign in again", ErrorKind.UNAUTHENTICATED)
        user, organisation = found
        return MeAnswer(
            id=user.id,
            email=user.email,
            name=user.name,
            role=user.role,
            organization=OrganisationAnswer(id=organisation.id, name=organisation.name),
        )


def _hash(token: str) -> str:
    """The tokens are random and long: a fast hash is enough, and a slow one would be a way to keep us busy."""
    return hashlib.sha256(token.encode()).hexdigest()


def _link_error(link: SignInLink | None) -> AppError:
    mend = "`oneinbox sign-in` prints a new link"
    if link is None:
        return AppError("sign_in_link_unknown", f"this sign-in link is not known; {mend}", ErrorKind.UNAUTHENTICATED)
    if link.used_at is not None:
        return AppError("sign_in_link_used", f"this sign-in link was used already; {mend}", ErrorKind.UNAUTHENTICATED)
    return AppError("sign_in_link_expired", f"this sign-in link has expired; {mend}", ErrorKind.UNAUTHENTICATED)
