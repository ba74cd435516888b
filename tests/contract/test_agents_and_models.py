"""Agents and models: made, read, changed, deleted."""

from typing import Any

import pytest

from oneinbox.api.config import StageDefaults
from tests.support.api import Api, running_api

AGENT_DEFAULTS: dict[str, Any] = {
    "webhook_id": None,
    "transcriber": {"provider": "default", "model": None, "language": "en", "credential_id": None},
    "tts": {
        "provider": "default",
        "credential_id": None,
        "voice_id": None,
        "model": None,
        "speed": 1.0,
        "stability": 0.5,
    },
    "first_message": None,
    "end_call_phrases": [],
    "silence_timeout_seconds": 10,
    "max_duration_seconds": 600,
    "interruption_sensitivity": 0.5,
    "responsiveness": 0.5,
    "turn_taking": {
        "first_message_interruptible": True,
        "end_of_turn_model": True,
        "reminder_count": 0,
        "reminder_after_seconds": None,
        "reminders": None,
        "acknowledgement_phrases": None,
        "interruption_phrases": None,
    },
    "speed": 1.0,
    "language": "en",
    "dynamic_variables": {},
    "voicemail_detection": False,
    "voicemail_message": None,
    "enable_recording": False,
    "background_sound": None,
    "emotions": False,
    "job_description": None,
    "metadata": {},
    "providers": {"stt": "openai_compatible", "llm": "openai_compatible", "tts": "openai_compatible"},
}


async def test_an_agent_needs_only_a_name(api: Api) -> None:
    agent = await api.made("/v1/agents", name="Front desk")
    assert agent["id"].startswith("agt_")
    assert agent["llm_id"].startswith("llm_")
    assert {name: agent[name] for name in AGENT_DEFAULTS} == AGENT_DEFAULTS
    model = (await api.ask("GET", f"/v1/models/{agent['llm_id']}")).json()
    assert model["system_prompt"] == agent["effective_system_prompt"]
    assert "voice agent" in model["system_prompt"]
    assert (model["provider"], model["model"], model["temperature"]) == ("default", None, 0.7)
    assert (await api.ask("GET", f"/v1/agents/{agent['id']}")).json() == agent


async def test_an_agent_with_everything_said(api: Api) -> None:
    model = await api.made("/v1/models", name="Shared", system_prompt="Base.")
    webhook = await api.made("/v1/webhooks", name="W", url="https://example.com/hook", events=["call.ended"])
    deepgram = await api.made("/v1/integrations", name="D", provider="deepgram", api_key="k")
    openai = await api.made("/v1/integrations", name="O", provider="openai", api_key="k")
    said: dict[str, Any] = {
        "name": "Full",
        "llm_id": model["id"],
        "webhook_id": webhook["id"],
        "transcriber": {"provider": "deepgram", "model": "nova-3", "language": "de", "credential_id": deepgram["id"]},
        "tts": {
            "provider": "openai",
            "credential_id": openai["id"],
            "voice_id": "vc_openai_alloy",
            "model": "m",
            "speed": 0.5,
            "stability": 1.0,
        },
        "first_message": "Hi {{name}}",
        "end_call_phrases": ["bye", "that is all"],
        "silence_timeout_seconds": 0,
        "max_duration_seconds": 7200,
        "interruption_sensitivity": 1.0,
        "responsiveness": 0.0,
        "turn_taking": {
            "first_message_interruptible": False,
            "end_of_turn_model": False,
            "reminder_count": 2,
            "reminder_after_seconds": 4.5,
            "reminders": ["Hallo?"],
            "acknowledgement_phrases": ["jo"],
            "interruption_phrases": [],
        },
        "speed": 2.0,
        "language": "de",
        "dynamic_variables": {"name": "you", "n": 1, "deep": {"a": [None, True]}},
        "voicemail_detection": True,
        "voicemail_message": "Call {{name}}",
        "enable_recording": True,
        "background_sound": "office",
        "emotions": True,
        "job_description": "Job.",
        "metadata": {"a": {"b": [1, 2.5, None, "ü😀"]}},
    }
    agent = await api.made("/v1/agents", **said)
    assert {name: agent[name] for name in said} == said
    assert agent["effective_system_prompt"] == "Base.\n\nJob."
    assert agent["providers"] == {"stt": None, "llm": "openai_compatible", "tts": "openai_compatible"}


async def test_the_demo_agent_is_made_ready(api: Api) -> None:
    agent = (await api.ask("GET", f"/v1/agents/{api.first.demo_agent_id}")).json()
    assert agent["name"] == "Demo desk"
    assert agent["providers"] == {"stt": "demo", "llm": "demo", "tts": "demo"}
    assert agent["end_call_phrases"] == ["goodbye"]


async def test_providers_say_what_is_not_set_up(tmp_path: Any) -> None:
    async with running_api(tmp_path, stages=StageDefaults()) as api:
        assert (await api.made("/v1/agents", name="Ann"))["providers"] == {"stt": None, "llm": None, "tts": "demo"}
        demo = (await api.ask("GET", f"/v1/agents/{api.first.demo_agent_id}")).json()
        assert demo["providers"] == {"stt": "demo", "llm": "demo", "tts": "demo"}


async def test_absent_stays_and_null_is_a_value(api: Api) -> None:
    agent = await api.made(
        "/v1/agents", name="Ann", first_message="Hi", job_description="J", tts={"voice_id": "v", "speed": 1.5}
    )
    path = f"/v1/agents/{agent['id']}"
    changed = (await api.ask("PATCH", path, json={"name": "Bea"})).json()
    assert (changed["name"], changed["first_message"], changed["tts"]["voice_id"]) == ("Bea", "Hi", "v")
    assert changed["updated_at"] > agent["updated_at"]
    changed = (await api.ask("PATCH", path, json={"first_message": None})).json()
    assert (changed["first_message"], changed["job_description"]) == (None, "J")
    changed = (await api.ask("PATCH", path, json={"tts": {"stability": 0.1}})).json()
    assert (changed["tts"]["voice_id"], changed["tts"]["speed"], changed["tts"]["stability"]) == ("v", 1.5, 0.1)
    changed = (await api.ask("PATCH", path, json={"tts": {"voice_id": None}})).json()
    assert (changed["tts"]["voice_id"], changed["tts"]["speed"]) == (None, 1.5)
    changed = (await api.ask("PATCH", path, json={"tts": None})).json()
    assert changed["tts"] == AGENT_DEFAULTS["tts"]
    changed = (await api.ask("PATCH", path, json={"turn_taking": {"reminder_count": 1}})).json()
    changed = (await api.ask("PATCH", path, json={"turn_taking": {"end_of_turn_model": False}})).json()
    assert (changed["turn_taking"]["reminder_count"], changed["turn_taking"]["end_of_turn_model"]) == (1, False)
    changed = (await api.ask("PATCH", path, json={"turn_taking": {"reminder_count": None}})).json()
    assert changed["turn_taking"]["reminder_count"] == 0
    changed = (await api.ask("PATCH", path, json={"turn_taking": None})).json()
    assert changed["turn_taking"] == AGENT_DEFAULTS["turn_taking"]
    changed = (await api.ask("PATCH", path, json={"language": "fr"})).json()
    assert changed["transcriber"]["language"] == "fr"  # follows, until it is given one of its own
    changed = (await api.ask("PATCH", path, json={"metadata": {"a": 1}})).json()
    assert changed["metadata"] == {"a": 1}
    assert (await api.ask("GET", path)).json() == changed


AGENT_REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({}, "name"),
    ({"name": None}, "name"),
    ({"name": ""}, "name"),
    ({"name": "   "}, "name"),
    ({"name": "x" * 256}, "name"),
    ({"name": 5}, "name"),
    ({"name": "a\0b"}, "name"),
    ({"name": "x", "tts": {"speed": 0.49}}, "tts.speed"),
    ({"name": "x", "tts": {"speed": 2.01}}, "tts.speed"),
    ({"name": "x", "tts": {"stability": 1.01}}, "tts.stability"),
    ({"name": "x", "tts": {"stability": "0.5"}}, "tts.stability"),
    ({"name": "x", "tts": {"pitch": 1}}, "tts.pitch"),
    ({"name": "x", "tts": "alloy"}, "tts"),
    ({"name": "x", "transcriber": {"provider": ""}}, "transcriber.provider"),
    ({"name": "x", "turn_taking": {"reminder_count": -1}}, "turn_taking.reminder_count"),
    ({"name": "x", "turn_taking": {"reminder_after_seconds": 0}}, "turn_taking.reminder_after_seconds"),
    ({"name": "x", "turn_taking": {"reminders": [""]}}, "turn_taking.reminders.0"),
    ({"name": "x", "turn_taking": {"unknown": 1}}, "turn_taking.unknown"),
    ({"name": "x", "silence_timeout_seconds": -1}, "silence_timeout_seconds"),
    ({"name": "x", "silence_timeout_seconds": 301}, "silence_timeout_seconds"),
    ({"name": "x", "silence_timeout_seconds": None}, "silence_timeout_seconds"),
    ({"name": "x", "silence_timeout_seconds": 10**30}, "silence_timeout_seconds"),
    ({"name": "x", "max_duration_seconds": 29}, "max_duration_seconds"),
    ({"name": "x", "max_duration_seconds": 7201}, "max_duration_seconds"),
    ({"name": "x", "interruption_sensitivity": 1.1}, "interruption_sensitivity"),
    ({"name": "x", "interruption_sensitivity": True}, "interruption_sensitivity"),
    ({"name": "x", "responsiveness": -0.1}, "responsiveness"),
    ({"name": "x", "speed": 3}, "speed"),
    ({"name": "x", "end_call_phrases": [""]}, "end_call_phrases.0"),
    ({"name": "x", "end_call_phrases": "bye"}, "end_call_phrases"),
    ({"name": "x", "dynamic_variables": []}, "dynamic_variables"),
    ({"name": "x", "emotions": 1}, "emotions"),
    ({"name": "x", "first_message": "x" * 100_001}, "first_message"),
    ({"name": "x", "llm_id": "llm_nobody"}, "llm_id"),
    ({"name": "x", "llm_id": "llm\n"}, "llm_id"),
    ({"name": "x", "id": "agt_mine"}, "id"),
    ({"name": "x", "org_id": "org_other"}, "org_id"),
    ({"name": "x", "effective_system_prompt": "x"}, "effective_system_prompt"),
]


async def test_bad_agents_are_refused_with_their_field_and_leave_nothing(api: Api) -> None:
    before = await api.count("agents"), await api.count("models")
    for body, param in AGENT_REFUSALS:
        answer = await api.ask("POST", "/v1/agents", json=body)
        assert answer.status_code == 422, (body, answer.text)
        assert answer.json()["error"]["param"] == param, (body, answer.text)
        assert param.split(".")[0] in answer.json()["error"]["message"] or param == "llm_id", answer.text
    assert (await api.count("agents"), await api.count("models")) == before


async def test_bad_changes_of_an_agent_change_nothing(api: Api) -> None:
    agent = await api.made("/v1/agents", name="Ann")
    path = f"/v1/agents/{agent['id']}"
    for body, param in [*AGENT_REFUSALS[1:], ({"llm_id": None}, "llm_id"), ({"metadata": None}, "metadata")]:
        answer = await api.ask("PATCH", path, json={**body, "language": "xx"})
        assert answer.status_code == 422, (body, answer.text)
        assert answer.json()["error"]["param"] == param, (body, answer.text)
    assert (await api.ask("GET", path)).json() == agent


async def test_agents_are_paged_newest_first(api: Api) -> None:
    made = [(await api.made("/v1/agents", name=f"A{number}"))["id"] for number in range(4)]
    page = (await api.ask("GET", "/v1/agents?limit=2")).json()
    assert [item["id"] for item in page["items"]] == [made[3], made[2]]
    assert (page["total"], page["limit"], page["offset"]) == (5, 2, 0)
    rest = (await api.ask("GET", "/v1/agents?limit=100&offset=2")).json()
    assert [item["id"] for item in rest["items"]] == [made[1], made[0], api.first.demo_agent_id]
    assert (await api.ask("GET", "/v1/agents?offset=1000000000")).json()["items"] == []


async def test_deleting_an_agent_leaves_its_model(api: Api) -> None:
    agent = await api.made("/v1/agents", name="Ann")
    assert (await api.ask("DELETE", f"/v1/agents/{agent['id']}")).status_code == 204
    assert (await api.ask("GET", f"/v1/agents/{agent['id']}")).json()["error"]["code"] == "agent_not_found"
    assert (await api.ask("GET", f"/v1/models/{agent['llm_id']}")).status_code == 200
    assert (await api.ask("DELETE", f"/v1/models/{agent['llm_id']}")).status_code == 204


# ---- models ---------------------------------------------------------------------------------------------------------


async def test_a_model_has_the_documented_defaults(api: Api) -> None:
    model = await api.made("/v1/models", name="M")
    assert (model["provider"], model["model"], model["temperature"], model["max_tokens"]) == (
        "default",
        None,
        0.7,
        4000,
    )
    assert (model["tool_ids"], model["knowledge_base_ids"], model["credential_id"]) == ([], [], None)
    credential = await api.made("/v1/integrations", name="A", provider="anthropic", api_key="k")
    tool = await api.made("/v1/tools", type="end_call", name="Hang up", description="When they say goodbye")
    base = await api.made("/v1/knowledge-bases", name="Prices")
    said: dict[str, Any] = {
        "name": "N",
        "provider": "anthropic",
        "model": "claude-haiku-4-5",
        "system_prompt": "",
        "temperature": 2,
        "max_tokens": None,
        "tool_ids": [tool["id"]],
        "knowledge_base_ids": [base["id"]],
        "custom_websocket_url": "wss://example.com/llm",
        "credential_id": credential["id"],
    }
    full = await api.made("/v1/models", **said)
    assert {name: full[name] for name in said} == said
    page = (await api.ask("GET", "/v1/models")).json()
    assert [item["id"] for item in page["items"]][:2] == [full["id"], model["id"]]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": None}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 128_001}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"provider": None}, "provider"),
        ({"system_prompt": None}, "system_prompt"),
        ({"system_prompt": "\0"}, "system_prompt"),
        ({"tool_ids": [1]}, "tool_ids.0"),
        ({"tools": []}, "tools"),
    ],
)
async def test_a_bad_model_is_refused_with_its_field(api: Api, body: dict[str, Any], param: str) -> None:
    model = await api.made("/v1/models", name="M")
    for method, path, base in (("POST", "/v1/models", {"name": "x"}), ("PATCH", f"/v1/models/{model['id']}", {})):
        answer = await api.ask(method, path, json={**base, **body})
        assert answer.status_code == 422, answer.text
        assert answer.json()["error"]["param"] == param
    assert (await api.ask("GET", f"/v1/models/{model['id']}")).json() == model


async def test_a_changed_model_changes_every_agent_that_uses_it(api: Api) -> None:
    model = await api.made("/v1/models", name="Shared", system_prompt="Old.")
    agents = [await api.made("/v1/agents", name=name, llm_id=model["id"]) for name in ("A", "B")]
    patch = {"system_prompt": "New.", "max_tokens": None, "provider": "demo", "model": None}
    changed = (await api.ask("PATCH", f"/v1/models/{model['id']}", json=patch)).json()
    assert (changed["max_tokens"], changed["temperature"], changed["name"]) == (None, 0.7, "Shared")
    for agent in agents:
        seen = (await api.ask("GET", f"/v1/agents/{agent['id']}")).json()
        assert seen["effective_system_prompt"] == "New."
        assert seen["providers"] == {"stt": "demo", "llm": "demo", "tts": "demo"}


async def test_a_new_provider_needs_its_models_name(api: Api) -> None:
    model = await api.made("/v1/models", name="M", provider="openai", model="gpt-4o")
    path = f"/v1/models/{model['id']}"
    answer = await api.ask("PATCH", path, json={"provider": "groq"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "model_required")
    assert (await api.ask("PATCH", path, json={"provider": "openai"})).status_code == 200
    assert (await api.ask("PATCH", path, json={"provider": "groq", "model": "llama"})).status_code == 200


async def test_a_model_in_use_stays_and_says_who_uses_it(api: Api) -> None:
    model = await api.made("/v1/models", name="M")
    agents = [await api.made("/v1/agents", name=f"User {n}", llm_id=model["id"]) for n in range(2)]
    answer = await api.ask("DELETE", f"/v1/models/{model['id']}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "model_in_use")
    for agent in agents:
        assert agent["id"] in answer.text
        assert agent["name"] in answer.text
        await api.ask("DELETE", f"/v1/agents/{agent['id']}")
    assert (await api.ask("DELETE", f"/v1/models/{model['id']}")).status_code == 204
    assert (await api.ask("GET", f"/v1/models/{model['id']}")).json()["error"]["code"] == "model_not_found"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "ws://127.0.0.1/llm",
        "wss://[::1]/",
        "ws://169.254.169.254/",
        "wss://u:p@e.com",
        "nonsense",
    ],
)
async def test_a_models_own_socket_leads_to_the_public_internet(api: Api, url: str) -> None:
    body = {"name": "x", "custom_websocket_url": url}
    refused = await api.ask("POST", "/v1/models", json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "url_not_allowed")
    assert refused.json()["error"]["param"] == "custom_websocket_url"
    made = await api.made("/v1/models", name="x", custom_websocket_url="wss://llm.example.com/x")
    path = f"/v1/models/{made['id']}"
    assert (await api.ask("PATCH", path, json={"custom_websocket_url": url})).status_code == 422
    assert (await api.ask("GET", path)).json()["custom_websocket_url"] == "wss://llm.example.com/x"
    assert (await api.ask("PATCH", path, json={"custom_websocket_url": None})).status_code == 200
