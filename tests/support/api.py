"""The API in-process, on a real SQLite file, with a dispatcher that only writes down what it is told."""

import atexit
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from oneinbox.api.accounts.service import create_sign_in_link
from oneinbox.api.app import create_app
from oneinbox.api.calls.recorder import Recorder
from oneinbox.api.config import ApiConfig, StageDefault, StageDefaults
from oneinbox.api.db.database import FILE_NAME, Database, open_database
from oneinbox.api.db.tables import ApiKey, Organisation, User
from oneinbox.api.first_run import FirstRun, ensure_first_organisation
from oneinbox.api.keys.secret import SECRET, make_key
from oneinbox.api.keys.service import create_secret_key
from oneinbox.core.clock import utc_now
from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.core.events import CallEnded, EndReason
from oneinbox.core.spec import CallSpec

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
    refusal: BaseException | None = None
    holds: set[str] = field(default_factory=set[str])
    recorder: Recorder | None = None
    """Where set, a stop is recorded as the worker would."""

    async def start_call(self, spec: CallSpec) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.started.append(spec)
        self.holds.add(spec.call_id)

    async def stop_call(self, call_id: str, reason: EndReason) -> bool:
        self.stopped.append((call_id, reason))
        if call_id not in self.holds:
            return False
        if self.recorder is not None:
            await self.recorder.record(CallEnded(call_id=call_id, reason=reason, duration_s=1.5))
        return True


@dataclass
class Api:
    """One running API: ask it through ``client``."""

    config: ApiConfig
    data_dir: Path
    database: Database
    dispatcher: FakeDispatcher
    recorder: Recorder
    client: httpx.AsyncClient
    first: FirstRun
    key: str
    other_key: str
    """A secret key of another organisation."""

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


@dataclass(frozen=True)
class _Template:
    """A database with two organisations, made once in a test run: copying it is quicker than making it again."""

    file: Path
    key: str
    other_key: str


_templates: list[_Template] = []


async def _template() -> _Template:
    if not _templates:
        folder = Path(tempfile.mkdtemp(prefix="oneinbox-tests-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        database = await open_database(data_dir=folder)
        try:
            await ensure_first_organisation(database)
            key = (await create_secret_key(database, "tests")).key
            other_key = await add_organisation(database)
        finally:
            await database.aclose()
        _templates.append(_Template(folder / FILE_NAME, key, other_key))
    return _templates[0]


@asynccontextmanager
async def running_api(data_dir: Path, **changes: Any) -> AsyncGenerator[Api, None]:
    """Open a database in ``data_dir`` and the API on it."""
    config = make_config(**changes)
    template = await _template()
    if not (data_dir / FILE_NAME).exists():
        shutil.copyfile(template.file, data_dir / FILE_NAME)
    database = await open_database(data_dir=data_dir)
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
                client=client,
                first=first,
                key=template.key,
                other_key=template.other_key,
            )
    finally:
        await database.aclose()


def refused(kind: ErrorKind, code: str) -> AppError:
    """An error as a dispatcher raises it."""
    return AppError(code, "no", kind, retry_after_s=2.2)
