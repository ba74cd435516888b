"""The key of stored secrets: made for files of an earlier release, changed by a command, never lost."""

import asyncio
import json
import stat
from pathlib import Path

import pytest
from sqlalchemy import select

from oneinbox.api.db.database import open_database
from oneinbox.api.db.tables import Credential
from oneinbox.api.db.vault import SealedError, Vault
from oneinbox.api.first_run import ensure_first_organisation
from oneinbox.core.clock import utc_now
from oneinbox.server.commands import rotate_credentials
from oneinbox.server.settings import SettingsError, load_secrets, load_settings


def test_a_file_of_an_earlier_release_gets_its_key_once(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps({"participant_tokens": "a", "sessions": "b"}))
    found = load_secrets(tmp_path)
    assert (found.participant_tokens, found.sessions, len(found.credentials)) == ("a", "b", 1)
    assert load_secrets(tmp_path) == found
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_networks_of_the_operator_are_read_and_checked() -> None:
    given = load_settings({}, {"ONEINBOX_ALLOWED_PRIVATE_NETWORKS": "10.1.0.0/16, fd00::/8"})
    assert given.allowed_private_networks == ("10.1.0.0/16", "fd00::/8")
    with pytest.raises(SettingsError, match="allowed_private_networks"):
        load_settings({}, {"ONEINBOX_ALLOWED_PRIVATE_NETWORKS": "10.1.0.1/16"})


async def test_a_rotation_leaves_nothing_sealed_with_the_old_key(tmp_path: Path) -> None:
    settings = load_settings({"data_dir": str(tmp_path)}, {})
    running = Vault(lambda: load_secrets(tmp_path).credentials)  # as a server that is not started again has it
    database = await open_database(data_dir=tmp_path)
    try:
        org_id = (await ensure_first_organisation(database)).org_id
        bound = ("credentials", org_id, "cred_1", "groq")
        now = utc_now()
        async with database.write() as rows:
            rows.add(
                Credential(
                    id="cred_1",
                    org_id=org_id,
                    name="x",
                    provider="groq",
                    sealed=running.seal("the key", *bound),
                    last4="",
                    custom_metadata={},
                    created_at=now,
                    updated_at=now,
                )
            )
        first = load_secrets(tmp_path).credentials
        for count in (2, 2):  # the key before the newest stays for what was being written
            assert "1 stored secret" in await rotate_credentials(settings)
            assert len(load_secrets(tmp_path).credentials) == count
        assert not set(first) & set(load_secrets(tmp_path).credentials)
        async with database.read() as rows:
            sealed = (await rows.execute(select(Credential.sealed))).scalar_one()
    finally:
        await database.aclose()
    assert running.open(sealed, *bound) == "the key"
    with pytest.raises(SealedError):
        Vault(lambda: first).open(sealed, *bound)


async def test_two_first_readers_agree_on_the_key(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text(json.dumps({"participant_tokens": "a", "sessions": "b"}))
    found = await asyncio.gather(*(asyncio.to_thread(load_secrets, tmp_path) for _ in range(8)))
    assert len({one.credentials for one in found}) == 1
