"""The commands beside ``up``: keys, sign-in links, migration, and the doctor."""

import socket
import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from oneinbox.api.accounts.service import create_sign_in_link
from oneinbox.api.audit import trail
from oneinbox.api.db.database import Database, DatabaseError, open_database
from oneinbox.api.db.database import migrate as migrate_database
from oneinbox.api.db.vault import Vault
from oneinbox.api.integrations.rotation import reseal_everything
from oneinbox.api.keys.service import create_secret_key
from oneinbox.live.engine.turn_log import SUFFIX, LogEnd, TurnLogError, read_log, replay
from oneinbox.server.pages import STATIC_DIR
from oneinbox.server.settings import (
    Settings,
    add_credentials_key,
    explain_stages,
    forget_old_credentials_keys,
    load_secrets,
)
from oneinbox.server.up import public_address

Finding = tuple[str, str]
"""``ok``, ``note`` or ``bad``, and what was found."""

MODEL_FILES = ("silero_vad.onnx", "smart_turn.onnx")


async def create_key(settings: Settings, name: str) -> str:
    """Make a secret key of the first organisation and return it; it cannot be shown again."""
    async with _opened(settings) as database:
        return (await create_secret_key(database, name)).key


async def make_sign_in_link(settings: Settings) -> str:
    """Return a new one-use sign-in link."""
    async with _opened(settings) as database:
        link = await create_sign_in_link(database)
    return f"{public_address(settings)}/sign-in?token={link.token}"


async def migrate(settings: Settings) -> str:
    """Bring the database to this release."""
    await migrate_database(data_dir=settings.data_path, url=settings.database_url)
    return "the database is at this release"


async def rotate_credentials(settings: Settings) -> str:
    """Make a new key for stored secrets and seal all of them with it. Works while a server runs."""
    add_credentials_key(settings.data_path)
    async with _opened(settings) as database:
        count = await reseal_everything(database, Vault(lambda: load_secrets(settings.data_path).credentials))
    forget_old_credentials_keys(settings.data_path)
    return f"{count} stored secrets are sealed with a new key"


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncGenerator[Database]:
    database = await open_database(data_dir=settings.data_path, url=settings.database_url)
    try:
        yield database
    finally:
        await database.aclose()


async def doctor(settings: Settings) -> int:
    """Look at the installation, print what was found, return 0 when nothing is wrong."""
    findings = [
        *_look_at_files(settings),
        *await _look_at_database(settings),
        *_look_at_ports(settings),
        *await _look_at_server(settings),
        *await _look_at_stages(settings),
    ]
    return _tell(findings)


async def doctor_media(settings: Settings, *, at: str | None, token: str | None, browser: bool) -> int:
    """Check whether browsers can reach the media: of the running server of these settings, or of the one ``at`` a URL."""
    # an answer from a server needs the live half, which no other command does
    from oneinbox.server.media_browser import look_with_chromium  # noqa: PLC0415
    from oneinbox.server.media_doctor import look_at_media, look_from_here, probe_token, server_url_of  # noqa: PLC0415

    if at is not None and token is not None:
        findings = await look_from_here(server_url_of(at), token)
    else:
        findings = await look_at_media(settings)
    if browser:
        address = server_url_of(at or public_address(settings))
        findings.append(await look_with_chromium(address, token or probe_token(settings, 0)))
    return _tell(findings)


def _tell(findings: list[Finding]) -> int:
    for state, text in findings:
        print(f"{state:<5} {text}")
    bad = sum(state == "bad" for state, _ in findings)
    print("nothing is wrong" if bad == 0 else f"{bad} thing{'s' if bad > 1 else ''} to mend")
    return 1 if bad else 0


def _look_at_files(settings: Settings) -> Iterable[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield ("ok" if sys.version_info >= (3, 11) else "bad"), f"Python {version} (3.11 or newer is needed)"
    for name in MODEL_FILES:
        path = Path(settings.models_dir) / name
        yield ("ok", f"model {path}") if path.is_file() else ("bad", f"model {path} is missing: run `make up`")
    built = (STATIC_DIR / "dashboard" / "index.html").is_file() and (STATIC_DIR / "sdk" / "web-sdk.js").is_file()
    yield ("ok", "dashboard and Web SDK are built") if built else ("bad", "the web parts are not built: run `make web`")


async def _look_at_database(settings: Settings) -> Iterable[Finding]:
    try:
        async with _opened(settings) as database, database.read() as rows:
            breaks = await trail.verify(rows)
    except (DatabaseError, OSError) as error:
        return [("bad", f"database: {error}")]
    where = "the address in DATABASE_URL" if settings.database_url else str(settings.data_path)
    broken = [("bad", f"audit log of {found.org_id} at row {found.seq}: {found.reason}") for found in breaks]
    return [("ok", f"database at {where}"), *(broken or [("ok", "the audit log is whole")])]


def _look_at_ports(settings: Settings) -> Iterable[Finding]:
    for name, port, kind in (
        ("port", settings.port, socket.SOCK_STREAM),
        ("media-port", settings.media_port, socket.SOCK_DGRAM),
    ):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.host if name == "port" else settings.media_host.split(",")[0], port))
            except OSError as error:
                yield "note", f"--{name} {port}: {error.strerror} (a running OneInbox, or another program)"
            else:
                yield "ok", f"--{name} {port} is free"


async def _look_at_server(settings: Settings) -> Iterable[Finding]:
    address = public_address(settings)
    try:
        async with httpx.AsyncClient(timeout=2) as client:
            answer = await client.get(f"{address}/v1/health")
            body = answer.json()
    except (httpx.HTTPError, ValueError):
        return [("note", f"no OneInbox answers at {address}")]
    rows = [("ok", f"OneInbox {body.get('version')} answers at {address}: {body.get('status')}")]
    if not address.startswith("https://") and not address.startswith(("http://localhost", "http://127.")):
        rows.append(("note", "browsers give a microphone only to https:// pages or localhost: set ONEINBOX_PUBLIC_URL"))
    return rows


async def _look_at_stages(settings: Settings) -> Iterable[Finding]:
    rows: list[Finding] = [("note", f"{stage}: {who} ({why})") for stage, who, why in explain_stages(settings)]
    async with httpx.AsyncClient(timeout=3) as client:
        for stage, chosen in settings.stages.items():
            headers = {"Authorization": f"Bearer {chosen.api_key}"} if chosen.api_key else {}
            try:
                answer = await client.get(f"{chosen.base_url}/models", headers=headers)
            except httpx.HTTPError as error:
                rows.append(("bad", f"{stage}: {chosen.base_url} does not answer ({type(error).__name__})"))
                continue
            if answer.status_code in (401, 403):
                rows.append(("bad", f"{stage}: {chosen.base_url} refuses the key ({answer.status_code})"))
            else:
                rows.append(("ok", f"{stage}: {chosen.base_url} answers"))
    return rows


def replay_call(settings: Settings, call_id: str) -> tuple[str, bool]:
    """Return the time line of a call's turns, as far as its log goes, and whether the machine gives the same commands again.

    Raises ``TurnLogError`` where there is no log of it.
    """
    path = settings.data_path / "turns" / f"{Path(call_id).name}{SUFFIX}"
    if not path.exists():
        raise TurnLogError(
            f"no log of the turns of {call_id} is kept in {path.parent}: logs are written of the calls that begin while "
            "the server runs with ONEINBOX_TURN_LOGS set (to how many are kept)"
        )
    turns, steps, end = read_log(path)
    lines, differences = replay(turns, steps)
    if end is not LogEnd.WHOLE:
        lines.append(f"Here {end.value}.")
    verdict = (
        f"{differences} of {len(steps)} steps differ" if differences else f"{len(steps)} steps, all the same again"
    )
    return "\n".join([*lines, verdict]), not differences
