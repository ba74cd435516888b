"""The API in-process, on a real database, with a dispatcher that only writes down what it is told."""

import atexit
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import text, update

from oneinbox.api.accounts.service import create_sign_in_link
from oneinbox.api.app import create_app
from oneinbox.api.calls.recorder import Recorder
from oneinbox.api.config import ApiConfig, StageDefault, StageDefaults
from oneinbox.api.db.database import FILE_NAME, Database, migrate, open_database
from oneinbox.api.db.tables import ApiKey, Call, Organisation, User
from oneinbox.api.first_run import FirstRun, ensure_first_organisation
from oneinbox.api.keys.secret import SECRET, make_key
from oneinbox.api.keys.service import create_secret_key
from oneinbox.core.clock import utc_now
from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.core.events import AnyCallEvent, CallActive, CallEnded, EndReason
from oneinbox.core.instructions import Instruction
from oneinbox.core.spec import CallSpec
from tests.support.postgres import postgres_server

BASE_URL = "http://oneinbox.test:8080"
TOKEN_SECRET = "token-secret-for-tests-only-0123456789abcdef"
SESSION_SECRET = "session-secret-for-tests-only-0123456789abcdef"
CREDENTIAL_KEYS = ("credential-key-for-tests-only-0123456789abcdef",)
PROVIDER_KEY = "sk-the-operators-own-key"
LOCAL = StageDefault(base_url="http://127.0.0.1:9999/v1", api_key=PROVIDER_KEY, model="tiny", voice="alloy")
ALL_STAGES = StageDefaults(stt=LOCAL, llm=LOCAL, tts=LOCAL)


def make_config(**changes: Any) -> ApiConfig:
    """A configuration with all three stages set up, and short waits."""
    base = ApiConfig(
        token_secret=TOKEN_SECRET,
        token_issuer="oneinbox",
        session_secret=SESSION_SECRET,
        credential_keys=lambda: CREDENTIAL_KEYS,
        stages=ALL_STAGES,
        stop_wait_s=0.3,
    )
    return replace(base, **changes)


@dataclass
class FakeDispatcher:
    """Takes every call, unless told to refuse; ends a call on demand as a worker would."""

    started: list[CallSpec] = field(default_factory=list[CallSpec])
    stopped: list[tuple[str, EndReason]] = field(default_factory=list[tuple[str, EndReason]])
    told: list[tuple[str, Instruction]] = field(default_factory=list[tuple[str, Instruction]])
    refusal: BaseException | None = None
    draining: bool = False
    holds: set[str] = field(default_factory=set[str])
    recorder: Recorder | None = None
    """Where set, a stop is recorded as the worker would."""

    full: AppError | None = None

    def require_room(self) -> None:
        if self.full is not None:
            raise self.full

    async def start_call(self, spec: CallSpec) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.started.append(spec)
        self.holds.add(spec.call_id)

    def why_not_ready(self) -> AppError | None:
        return self.refusal if isinstance(self.refusal, AppError) else None

    async def stop_call(self, call_id: str, reason: EndReason) -> bool:
        self.stopped.append((call_id, reason))
        if call_id not in self.holds:
            return False
        if self.recorder is not None:
            await self.recorder.record(CallEnded(call_id=call_id, reason=reason, duration_s=1.5))
            self.holds.discard(call_id)
        return True

    async def tell_call(self, call_id: str, instruction: Instruction) -> bool:
        self.told.append((call_id, instruction))
        return call_id in self.holds

    def calls_in_hand(self) -> frozenset[str]:
        return frozenset(self.holds)


@dataclass
class Api:
    """One running API: ask it through ``client``."""

    config: ApiConfig
    data_dir: Path
    database: Database
    dispatcher: FakeDispatcher
    recorder: Recorder
    app: FastAPI
    client: httpx.AsyncClient
    first: FirstRun
    key: str
    other_key: str
    """A secret key of another organisation."""
    database_url: str | None = None
    """``None``: SQLite in ``data_dir``."""

    async def open_again(self) -> Database:
        """Open the same database as another process would."""
        return await open_database(data_dir=self.data_dir, url=self.database_url)

    @property
    def auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    @property
    def other_auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.other_key}"}

    async def ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Ask with the secret key."""
        headers = {**self.auth, **arguments.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **arguments)

    async def made(self, path: str, **body: Any) -> dict[str, Any]:
        """POST and return what was made."""
        answer = await self.ask("POST", path, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def start_call(self, **body: Any) -> str:
        """Start a web call of the demo agent, or of the one that ``body`` names; returns its id."""
        return (await self.made("/v1/calls/web", **{"agent_id": self.first.demo_agent_id, **body}))["id"]

    async def tell(self, *events: AnyCallEvent) -> None:
        """Have these events recorded, as a worker's."""
        for event in events:
            await self.recorder.record(event)

    async def record_of(self, call_id: str) -> dict[str, Any]:
        """Return the call's record as it stands."""
        answer = await self.ask("GET", f"/v1/calls/{call_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def sign_in(self) -> str:
        """Return a session's token; the client holds no cookie of it."""
        link = await create_sign_in_link(self.database)
        answer = await self.client.post("/v1/auth/sign-in-link", json={"token": link.token})
        assert answer.status_code == 200, answer.text
        self.client.cookies.clear()
        return answer.json()["access_token"]

    async def count(self, table: str) -> int:
        async with self.database.read() as rows:
            return (await rows.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()


async def add_organisation(database: Database) -> str:
    """Make another organisation; returns a secret key of it."""
    now = utc_now()
    made = make_key(SECRET)
    async with database.write() as rows:
        rows.add(Organisation(id="org_other", name="Other", created_at=now))
        await rows.flush()
        rows.add(
            User(
                id="usr_other", org_id="org_other", email="o@example.com", role="owner", created_at=now, updated_at=now
            )
        )
        rows.add(
            ApiKey(
                id="key_other",
                org_id="org_other",
                name="Other",
                key_hash=made.hash,
                key_prefix=made.prefix,
                last4=made.last4,
                scopes=[],
                is_active=True,
                created_at=now,
            )
        )
    return made.text


class Storage(StrEnum):
    """What the API keeps its data in."""

    SQLITE = "sqlite"
    POSTGRES = "postgres"


@dataclass(frozen=True)
class _Template:
    """A database with two organisations, made once in a test run: copying it is quicker than making it again."""

    where: str
    """SQLite: the file; Postgres: the database's name."""
    key: str
    other_key: str


_templates: dict[Storage, _Template] = {}
_chosen = [Storage.SQLITE]


def choose_storage(storage: Storage) -> None:
    """Say what :func:`running_api` uses from now on."""
    _chosen[:] = [storage]


async def _template(storage: Storage) -> _Template:
    if storage not in _templates:
        if storage is Storage.POSTGRES:
            where = await postgres_server().create()
            url = postgres_server().url(where)
            await migrate(url=url)
            database = await open_database(url=url)
        else:
            folder = Path(tempfile.mkdtemp(prefix="oneinbox-tests-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            where = str(folder / FILE_NAME)
            database = await open_database(data_dir=folder)
        try:
            await ensure_first_organisation(database)
            key = (await create_secret_key(database, "tests")).key
            other_key = await add_organisation(database)
        finally:
            await database.aclose()
        _templates[storage] = _Template(where, key, other_key)
    return _templates[storage]


@asynccontextmanager
async def _copy(template: _Template, storage: Storage, data_dir: Path) -> AsyncGenerator[str | None, None]:
    """Make a database out of the template; yields its address, or ``None`` for SQLite's file in ``data_dir``."""
    if storage is Storage.SQLITE:
        if not (data_dir / FILE_NAME).exists():
            shutil.copyfile(template.where, data_dir / FILE_NAME)
        yield None
        return
    server = postgres_server()
    name = await server.create(template=template.where)
    try:
        yield server.url(name)
    finally:
        await server.drop(name)


@asynccontextmanager
async def running_api(data_dir: Path, **changes: Any) -> AsyncGenerator[Api, None]:
    """Open a database (SQLite's in ``data_dir``) and the API on it."""
    config = make_config(**changes)
    storage = _chosen[0]
    template = await _template(storage)
    async with _copy(template, storage, data_dir) as url:
        database = await open_database(data_dir=data_dir, url=url)
        try:
            first = await ensure_first_organisation(database)
            dispatcher = FakeDispatcher()
            app = create_app(config, database, dispatcher)
            # raise_app_exceptions: an error that our own middleware did not answer is the test's failure, not a 500.
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
            async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as client:
                yield Api(
                    config=config,
                    data_dir=data_dir,
                    database=database,
                    dispatcher=dispatcher,
                    recorder=Recorder(database),
                    app=app,
                    client=client,
                    first=first,
                    key=template.key,
                    other_key=template.other_key,
                    database_url=url,
                )
        finally:
            await database.aclose()


async def began(api: Api, call_id: str, *, seconds_ago: float) -> None:
    """Put the call's record to where it is ``in_progress`` and has been for so long."""
    await api.recorder.record(CallActive(call_id=call_id, answer_ms=1))
    async with api.database.write() as rows:
        started_at = utc_now() - timedelta(seconds=seconds_ago)
        await rows.execute(update(Call).where(Call.id == call_id).values(started_at=started_at))


def refused(kind: ErrorKind, code: str) -> AppError:
    """An error as a dispatcher raises it."""
    return AppError(code, "no", kind, retry_after_s=2.2)
