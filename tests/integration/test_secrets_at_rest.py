"""No secret in clear: not in the database, its log, our logs, or an answer that is not meant to show it."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from oneinbox.api.accounts.service import create_sign_in_link
from oneinbox.api.db.tables import Base
from tests.support.api import (
    CREDENTIAL_KEYS,
    PROVIDER_KEY,
    SESSION_SECRET,
    TOKEN_SECRET,
    Api,
    Storage,
    choose_storage,
    running_api,
)
from tests.support.postgres import postgres_server
from tests.support.witness import Witness


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("oneinbox.api.accounts.passwords._N", 2)  # nobody guesses these
    with caplog.at_level(logging.DEBUG):
        yield


async def everything_stored(api: Api) -> bytes:
    """SQLite: its files. Postgres: every row of every table as text (its files are compressed), and its log of changes."""
    if api.database_url is None:
        files = {path.name: path.read_bytes() for path in api.data_dir.iterdir()}
        assert len(files["oneinbox.db-wal"]) > 10_000
        return b"".join(files.values())
    stored: list[bytes] = []
    async with api.database.read() as rows:
        for table in Base.metadata.sorted_tables:
            found = (await rows.execute(text(f"SELECT row_to_json(t)::text FROM {table.name} t"))).scalars()
            stored += [row.encode() for row in found]
    segments = list((postgres_server().data_dir / "pg_wal").glob("0*"))
    assert segments
    return b"".join(stored + [segment.read_bytes() for segment in segments])


@pytest.mark.parametrize("storage", list(Storage))
async def test_no_secret_is_kept_or_logged_in_clear(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, storage: Storage
) -> None:
    choose_storage(storage)
    try:
        async with running_api(tmp_path) as api:

            async def make_link() -> str:
                return (await create_sign_in_link(api.database)).token

            witness = Witness(api.client, make_link, key=api.key, agent_id=api.first.demo_agent_id)
            witness.secrets |= {api.other_key, TOKEN_SECRET, SESSION_SECRET, PROVIDER_KEY, *CREDENTIAL_KEYS}
            for number in range(5):
                await witness.everything(number)
            stored = await everything_stored(api)
    finally:
        choose_storage(Storage.SQLITE)
    assert witness.sent >= 200
    assert {200, 201, 204, 401, 403, 404, 409, 422} <= witness.statuses
    for kind in ("oi_sk_live_", "oi_pk_live_", "whsec_", "eyJ"):
        assert sum(secret.startswith(kind) for secret in witness.secrets) >= 5, kind
    logged = "\n".join(f"{record.getMessage()} {record.exc_text}" for record in caplog.records)
    assert len(logged) > 10_000
    assert api.first.org_id.encode() in stored  # we did look at the right place
    for secret in witness.secrets:
        assert secret.encode() not in stored, f"in the database: {secret[:14]}..."
        assert secret not in logged, f"in the log: {secret[:14]}..."
