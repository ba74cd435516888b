"""Credentials: kept sealed, shown masked, used in calls; and the voices that come with them."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text, update

from oneinbox.api.db.database import FILE_NAME
from oneinbox.api.db.tables import Credential
from oneinbox.api.db.vault import SealedError, Vault
from oneinbox.api.integrations.rotation import reseal_everything
from oneinbox.core.outbound import AddressPolicy
from tests.support.api import CREDENTIAL_KEYS, Api, running_api

KEY = "gsk-a-key-of-the-users-own-7f3a"


async def bring(api: Api, provider: str = "groq", **more: Any) -> dict[str, Any]:
    return await api.made("/v1/integrations", name="Ours", provider=provider, api_key=KEY, **more)


async def test_a_credential_is_shown_masked_under_both_names(api: Api) -> None:
    made = await bring(api, metadata={"from": "a@example.com"})
    assert made["id"].startswith("cred_")
    assert (made["masked_key"], made["provider"], made["metadata"]) == ("****7f3a", "groq", {"from": "a@example.com"})
    for path in ("/v1/integrations", "/v1/credentials"):
        assert (await api.ask("GET", f"{path}/{made['id']}")).json() == made
        page = (await api.ask("GET", path)).json()
        assert (page["items"], page["total"]) == ([made], 1)
        assert KEY not in json.dumps(page)
    short = await api.made("/v1/credentials", name="Short", provider="deepgram", api_key="abc")
    assert short["masked_key"] == "****"
    assert (await api.ask("DELETE", f"/v1/credentials/{short['id']}")).status_code == 204
    gone = await api.ask("GET", f"/v1/integrations/{short['id']}")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "credential_not_found")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"provider": "nobody"}, "provider"),
        ({"api_key": ""}, "api_key"),
        ({"api_key": "a b\n"}, "api_key"),
        ({"api_key": "schlüssel"}, "api_key"),
        ({"api_key": " padded"}, "api_key"),
        ({"name": " "}, "name"),
        ({"metadata": []}, "metadata"),
        ({"secret": "x"}, "secret"),
        ({"provider": "openai_compatible"}, "metadata.base_url"),
        ({"metadata": {"base_url": "http://169.254.169.254/v1"}}, "metadata.base_url"),
        ({"metadata": {"base_url": "http://localhost:11434/v1"}}, "metadata.base_url"),
        ({"metadata": {"base_url": "http://8.8.8.8/v1"}}, "metadata.base_url"),
        ({"metadata": {"base_url": "https://a.example/v1?x=1"}}, "metadata.base_url"),
        ({"metadata": {"base_url": 7}}, "metadata.base_url"),
    ],
)
async def test_a_bad_credential_is_refused(api: Api, body: dict[str, Any], param: str) -> None:
    answer = await api.ask("POST", "/v1/integrations", json={"name": "x", "provider": "groq", "api_key": KEY, **body})
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["param"] == param
    assert KEY not in answer.text
    assert await api.count("credentials") == 0


async def test_the_key_is_nowhere_in_clear_and_opens_in_its_own_row_only(api: Api) -> None:
    first, second = await bring(api), await bring(api, provider="openai")
    vault = Vault(lambda: CREDENTIAL_KEYS)
    async with api.database.read() as rows:
        stored = {row.id: row for row in (await rows.execute(select(Credential))).scalars()}
    one, other = stored[first["id"]], stored[second["id"]]
    assert KEY not in one.sealed
    assert vault.open(one.sealed, "credentials", one.org_id, one.id, one.provider) == KEY
    for bound in (
        ("credentials", other.org_id, other.id, other.provider),
        ("credentials", "org_other", one.id, one.provider),
        ("credentials", one.org_id, one.id, "openai"),
        ("tools", one.org_id, one.id, one.provider),
    ):
        with pytest.raises(SealedError):
            vault.open(one.sealed, *bound)
    with pytest.raises(SealedError):
        Vault(lambda: ["another-key"]).open(one.sealed, "credentials", one.org_id, one.id, one.provider)
    # The same through the API: a swapped ciphertext does not reach a call.
    model = await api.made("/v1/models", name="M", provider="groq", model="llama", credential_id=first["id"])
    agent = await api.made("/v1/agents", name="A", llm_id=model["id"])
    async with api.database.write() as rows:
        await rows.execute(update(Credential).where(Credential.id == one.id).values(sealed=other.sealed))
    refused = await api.ask("POST", "/v1/calls/web", json={"agent_id": agent["id"]})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "credential_unreadable")


def files_of(api: Api) -> dict[str, bytes]:
    connection = sqlite3.connect(api.data_dir / FILE_NAME)
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    connection.close()
    return {path.name: path.read_bytes() for path in api.data_dir.iterdir()}


@pytest.mark.sqlite_file
async def test_no_key_in_the_files(api: Api) -> None:
    await bring(api)
    await api.made(
        "/v1/tools",
        type="api_call",
        name="T",
        description="d",
        url="https://api.example.com/",
        method="GET",
        headers={"X-Key": KEY},
    )
    for name, content in files_of(api).items():
        assert KEY.encode() not in content, name


async def test_a_credential_in_use_stays(api: Api) -> None:
    made = await bring(api)
    model = await api.made("/v1/models", name="M", provider="groq", model="m", credential_id=made["id"])
    agent = await api.made(
        "/v1/agents", name="A", transcriber={"provider": "groq", "model": "w", "credential_id": made["id"]}
    )
    answer = await api.ask("DELETE", f"/v1/integrations/{made['id']}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "credential_in_use")
    assert model["id"] in answer.text
    assert agent["id"] in answer.text
    await api.ask("PATCH", f"/v1/models/{model['id']}", json={"credential_id": None})
    await api.ask("DELETE", f"/v1/agents/{agent['id']}")
    assert (await api.ask("DELETE", f"/v1/integrations/{made['id']}")).status_code == 204


async def test_a_credential_has_to_fit(api: Api) -> None:
    made = await bring(api)
    for path, body, param, code in (
        ("/v1/models", {"provider": "openai", "credential_id": made["id"]}, "credential_id", "credential_mismatch"),
        ("/v1/models", {"credential_id": made["id"]}, "credential_id", "credential_mismatch"),
        ("/v1/models", {"provider": "groq", "credential_id": "cred_nobody"}, "credential_id", "credential_not_found"),
        ("/v1/agents", {"tts": {"credential_id": made["id"]}}, "tts.credential_id", "credential_mismatch"),
    ):
        answer = await api.ask("POST", path, json={"name": "x", **body})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, code), answer.text
        assert answer.json()["error"]["param"] == param
    foreign = await api.client.post(
        "/v1/models",
        headers=api.other_auth,
        json={"name": "x", "provider": "groq", "model": "m", "credential_id": made["id"]},
    )
    assert foreign.json()["error"]["code"] == "credential_not_found"
    model = await api.made("/v1/models", name="M", provider="groq", model="m", credential_id=made["id"])
    moved = await api.ask("PATCH", f"/v1/models/{model['id']}", json={"provider": "openai", "model": "gpt-4o"})
    assert moved.json()["error"]["code"] == "credential_mismatch"
    assert (await api.ask("GET", f"/v1/models/{model['id']}")).json() == model


async def test_an_own_account_speaks_in_the_call(api: Api) -> None:
    made = await bring(api)
    model = await api.made("/v1/models", name="M", provider="groq", model="llama-3.3", credential_id=made["id"])
    agent = await api.made("/v1/agents", name="A", llm_id=model["id"])
    assert agent["providers"]["llm"] == "openai_compatible"
    await api.made("/v1/calls/web", agent_id=agent["id"])
    llm = api.dispatcher.started[-1].llm
    assert (llm.provider, llm.base_url, llm.api_key, llm.model, llm.addresses) == (
        "openai_compatible",
        "https://api.groq.com/openai/v1",
        KEY,
        "llama-3.3",
        (),
    )
    assert api.dispatcher.started[-1].stt.api_key != KEY
    # A new key is used from the next call on.
    await api.ask("PATCH", f"/v1/integrations/{made['id']}", json={"api_key": "gsk-new-key-0123456789"})
    await api.made("/v1/calls/web", agent_id=agent["id"])
    assert api.dispatcher.started[-1].llm.api_key == "gsk-new-key-0123456789"
    # Another provider for this call knows nothing of the account.
    await api.made("/v1/calls/web", agent_id=agent["id"], overrides={"llm": {"provider": "openai"}})
    assert api.dispatcher.started[-1].llm.api_key not in (KEY, "gsk-new-key-0123456789")
    nameless = await api.made("/v1/models", name="N", provider="groq", credential_id=made["id"])
    other = await api.made("/v1/agents", name="B", llm_id=nameless["id"])
    refused = await api.ask("POST", "/v1/calls/web", json={"agent_id": other["id"]})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "model_required")


async def test_a_providers_without_an_adapter_is_not_available(api: Api) -> None:
    made = await bring(api, provider="anthropic")
    model = await api.made("/v1/models", name="M", provider="anthropic", model="c", credential_id=made["id"])
    agent = await api.made("/v1/agents", name="A", llm_id=model["id"])
    assert agent["providers"]["llm"] is None
    refused = await api.ask("POST", "/v1/calls/web", json={"agent_id": agent["id"]})
    assert refused.json()["error"]["code"] == "provider_not_available"


@pytest.mark.sqlite_file  # opened a second time
async def test_an_own_server_is_pinned_to_the_addresses_that_were_judged(tmp_path: Path) -> None:
    policy = AddressPolicy.allowing(["127.0.0.0/8", "::1/128"])
    async with running_api(tmp_path, outbound=policy) as api:
        made = await bring(api, provider="openai_compatible", metadata={"base_url": "http://localhost:11434/v1/"})
        model = await api.made(
            "/v1/models", name="M", provider="openai_compatible", model="m", credential_id=made["id"]
        )
        agent = await api.made("/v1/agents", name="A", llm_id=model["id"])
        await api.made("/v1/calls/web", agent_id=agent["id"])
        llm = api.dispatcher.started[-1].llm
        assert llm.base_url == "http://localhost:11434/v1"
        assert set(llm.addresses) <= {"127.0.0.1", "::1"}
        assert llm.addresses
    async with running_api(tmp_path) as api:  # the operator took the network back
        refused = await api.ask("POST", "/v1/calls/web", json={"agent_id": agent["id"]})
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "url_not_allowed")


async def test_the_master_key_is_changed_while_the_server_runs(tmp_path: Path) -> None:
    keys = ["first-master-key"]
    async with running_api(tmp_path, credential_keys=lambda: list(keys)) as api:
        made = await bring(api)
        model = await api.made("/v1/models", name="M", provider="groq", model="m", credential_id=made["id"])
        agent = await api.made("/v1/agents", name="A", llm_id=model["id"])
        await api.made("/v1/calls/web", agent_id=agent["id"])
        async with api.database.read() as rows:
            before = (await rows.execute(text("SELECT sealed FROM credentials"))).scalar_one()
        keys.insert(0, "second-master-key")
        assert await reseal_everything(api.database, Vault(lambda: list(keys))) == 1
        keys.pop()
        async with api.database.read() as rows:
            after = (await rows.execute(text("SELECT sealed FROM credentials"))).scalar_one()
        assert after.split(".")[0] != before.split(".")[0]
        await api.made("/v1/calls/web", agent_id=agent["id"])
        assert api.dispatcher.started[-1].llm.api_key == KEY


# ---- voices ---------------------------------------------------------------------------------------------------------


async def test_voices_can_be_listed_imported_and_spoken_with(api: Api) -> None:
    built_in = (await api.ask("GET", "/v1/voices?provider=openai")).json()
    assert built_in["limit"] == 50
    assert {voice["provider"] for voice in built_in["items"]} == {"openai"}
    account = await bring(api, provider="openai")
    imported = await api.made(
        "/v1/voices/import",
        provider="openai",
        provider_voice_id="marin",
        name="Marin",
        credential_id=account["id"],
        language="en",
    )
    assert imported["id"].startswith("vc_")
    page = (await api.ask("GET", "/v1/voices?limit=2")).json()
    assert (page["items"][0], page["items"][1]["id"]) == (imported, "vc_openai_alloy")
    rest = (await api.ask("GET", "/v1/voices?limit=200&offset=2")).json()
    assert len(rest["items"]) == page["total"] - 2
    assert imported["id"] not in {voice["id"] for voice in rest["items"]}
    agent = await api.made("/v1/agents", name="A", tts={"voice_id": imported["id"], "model": "gpt-4o-mini-tts"})
    await api.made("/v1/calls/web", agent_id=agent["id"])
    tts = api.dispatcher.started[-1].tts
    assert (tts.voice, tts.api_key, tts.base_url) == ("marin", KEY, "https://api.openai.com/v1")
    await api.made("/v1/calls/web", agent_id=agent["id"], overrides={"tts": {"voice_id": "vc_openai_nova"}})
    assert api.dispatcher.started[-1].tts.voice == "nova"
    in_use = await api.ask("DELETE", f"/v1/voices/{imported['id']}")
    assert in_use.json()["error"]["code"] == "voice_in_use"
    assert (await api.ask("DELETE", "/v1/voices/vc_openai_nova")).json()["error"]["code"] == "voice_built_in"
    await api.ask("DELETE", f"/v1/agents/{agent['id']}")
    assert (await api.ask("DELETE", f"/v1/voices/{imported['id']}")).status_code == 204


async def test_voices_that_are_not_there_or_do_not_fit(api: Api) -> None:
    account = await bring(api, provider="openai")
    foreign = await api.made(
        "/v1/voices/import", provider="openai", provider_voice_id="v", name="V", credential_id=account["id"]
    )
    for headers, voice, code in (
        (api.auth, {"voice_id": "vc_nobody"}, "VOICE_NOT_FOUND"),
        (api.other_auth, {"voice_id": foreign["id"]}, "VOICE_NOT_FOUND"),
        (api.auth, {"voice_id": "vc_openai_nova", "provider": "demo"}, "voice_mismatch"),
    ):
        answer = await api.client.post("/v1/agents", headers=headers, json={"name": "A", "tts": voice})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)
        assert answer.json()["error"]["param"] == "tts.voice_id"
    raw = await api.made("/v1/agents", name="A", tts={"voice_id": "asteria"})
    assert raw["tts"]["voice_id"] == "asteria"
    call = await api.ask(
        "POST", "/v1/calls/web", json={"agent_id": raw["id"], "overrides": {"tts": {"voice_id": "vc_nobody"}}}
    )
    assert (call.status_code, call.json()["error"]["code"]) == (422, "VOICE_NOT_FOUND")
    assert (await api.ask("GET", "/v1/voices/vc_nobody")).status_code == 404
