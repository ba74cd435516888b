"""Web calls from a server: starting, what the worker is told, reading, stopping, deleting."""

import asyncio
from datetime import datetime
from typing import Any

import jwt
import pytest

from oneinbox.api.config import StageDefaults
from oneinbox.core.errors import ErrorKind
from oneinbox.core.events import CallActive, CallEnded, EndReason
from tests.support.api import LOCAL, PROVIDER_KEY, TOKEN_SECRET, Api, refused, running_api

ANSWER_FIELDS = {
    "id",
    "agent_id",
    "type",
    "status",
    "room_name",
    "server_url",
    "participant_token",
    "created_at",
}
RECORD_FIELDS = {
    "id",
    "agent_id",
    "type",
    "status",
    "from_number",
    "to_number",
    "room_name",
    "direction",
    "scheduled_at",
    "variables",
    "started_at",
    "ended_at",
    "duration_seconds",
    "end_reason",
    "transcript",
    "messages",
    "recording_url",
    "recording",
    "microphone_silent_at_s",
    "analysis",
    "latency",
    "cost_cents",
    "metadata",
    "created_at",
    "updated_at",
    "twilio_call_sid",
    "outcome",
    "ai_summary",
    "credits_used",
}


async def start(api: Api, **body: Any) -> dict[str, Any]:
    body.setdefault("agent_id", api.first.demo_agent_id)
    return await api.made("/v1/calls/web", **body)


async def test_a_call_is_started_as_the_seed_shows(api: Api) -> None:
    call = await start(api, variables={"customer_name": "Suman"}, metadata={"source": "homepage_widget"})
    assert set(call) == ANSWER_FIELDS
    assert call["id"].startswith("call_")
    assert (call["type"], call["status"]) == ("web", "queued")
    assert call["room_name"].startswith("web-")
    assert len(call["room_name"]) == 12
    assert call["server_url"] == "ws://oneinbox.test:8080"
    datetime.fromisoformat(call["created_at"])
    record = (await api.ask("GET", f"/v1/calls/{call['id']}")).json()
    assert set(record) >= RECORD_FIELDS
    assert record["variables"] == {"customer_name": "Suman"}
    assert record["metadata"] == {"source": "homepage_widget"}
    assert record["status"] == "queued"
    assert record["messages"] == []
    assert record["latency"]["providers"] == {"stt": "demo", "llm": "demo", "tts": "demo"}
    assert record["ended_at"] is None
    assert record["transcript"] is None


async def test_the_token_lets_one_identity_into_one_room_and_tells_nothing_else(api: Api) -> None:
    call = await start(api, variables={"secret_word": "xyzzy"}, metadata={"m": "plugh"})
    claims = jwt.decode(call["participant_token"], TOKEN_SECRET, algorithms=["HS256"], issuer="oneinbox")
    spec = api.dispatcher.started[0]
    assert claims["sub"] == spec.identity
    assert claims["video"]["room"] == call["room_name"] == spec.room_name
    assert claims["video"]["roomJoin"] is True
    assert claims["exp"] - claims["nbf"] == 120
    assert spec.join_timeout_s == 120
    assert "xyzzy" not in str(claims)
    assert "plugh" not in str(claims)
    assert (await start(api))["participant_token"] != call["participant_token"]
    assert api.dispatcher.started[1].identity != spec.identity


async def test_what_the_worker_is_told(api: Api) -> None:
    agent = await api.made(
        "/v1/agents",
        name="Ann",
        first_message="Hi {{name}}!",
        job_description="Sell {{thing}}.",
        dynamic_variables={"thing": "tea", "name": "you"},
        end_call_phrases=["bye now"],
        silence_timeout_seconds=20,
        turn_taking={"reminder_count": 3, "acknowledgement_phrases": ["roger"], "first_message_interruptible": False},
        max_duration_seconds=60,
        interruption_sensitivity=0.9,
        responsiveness=0.1,
        speed=1.5,
        language="de",
        tts={"voice_id": "nova", "speed": 1.2, "stability": 0.9},
    )
    patch = {"system_prompt": "You are Ann.", "temperature": 0.2, "max_tokens": 99}
    assert (await api.ask("PATCH", f"/v1/models/{agent['llm_id']}", json=patch)).status_code == 200
    await start(api, agent_id=agent["id"], variables={"name": "{{thing}}"})
    spec = api.dispatcher.started[0]
    assert spec.first_message == "Hi {{thing}}!"  # a value is never looked at again
    assert spec.llm.system_prompt == "You are Ann.\n\nSell tea."
    assert (spec.llm.provider, spec.llm.model, spec.llm.base_url) == (
        "openai_compatible",
        "tiny",
        "http://127.0.0.1:9999/v1",
    )
    assert (spec.llm.temperature, spec.llm.max_tokens, spec.llm.api_key) == (0.2, 99, PROVIDER_KEY)
    assert spec.stt.language == "de"
    assert (spec.tts.voice, spec.tts.speed, spec.tts.stability) == ("nova", pytest.approx(1.8), 0.9)
    assert spec.turns.end_call_phrases == ("bye now",)
    assert (spec.turns.silence_timeout_s, spec.turns.max_duration_s) == (20, 60)
    assert (spec.turns.reminder_count, spec.turns.reminders, spec.turns.first_message_interruptible) == (3, (), False)
    assert (spec.turns.acknowledgement_phrases, spec.turns.interruption_phrases) == (("roger",), None)
    assert (spec.turns.interruption_sensitivity, spec.turns.responsiveness) == (0.9, 0.1)
    assert spec.org_id == api.first.org_id


async def test_overrides_are_laid_over_the_agent_for_this_call_only(api: Api) -> None:
    agent = await api.made("/v1/agents", name="Ann", first_message="Hi", job_description="Job.", tts={"voice_id": "a"})
    overrides = {
        "llm": {"model": "big", "temperature": 0, "system_prompt": "Other {{x}}."},
        "transcriber": {"model": "ears", "language": "fr"},
        "tts": {"voice_id": "b", "model": "mouth", "speed": 2, "stability": 0},
        "first_message": "Bonjour {{x}}",
    }
    await start(api, agent_id=agent["id"], overrides=overrides, variables={"x": 7})
    spec = api.dispatcher.started[0]
    assert (spec.llm.model, spec.llm.temperature, spec.llm.system_prompt) == ("big", 0, "Other 7.\n\nJob.")
    assert (spec.stt.model, spec.stt.language) == ("ears", "fr")
    assert (spec.tts.voice, spec.tts.model, spec.tts.speed, spec.tts.stability) == ("b", "mouth", 2, 0)
    assert spec.first_message == "Bonjour 7"
    await start(api, agent_id=agent["id"], overrides={"llm": None, "first_message": None, "tts": {"voice_id": None}})
    plain = api.dispatcher.started[1]
    assert (plain.first_message, plain.llm.model, plain.tts.voice) == ("Hi", "tiny", "a")
    await start(api, agent_id=agent["id"], overrides={"first_message": "  "})
    assert api.dispatcher.started[2].first_message is None


async def test_the_demo_agent_needs_nothing_set_up(tmp_path: Any) -> None:
    async with running_api(tmp_path, stages=StageDefaults()) as api:
        await start(api)
        spec = api.dispatcher.started[0]
        assert spec.providers() == {"stt": "demo", "llm": "demo", "tts": "demo"}
        assert spec.first_message == (
            "Hello, this is the OneInbox demo desk. Would you like to book a table, hear our opening hours, or talk to "
            "a person?"
        )
        assert spec.turns.end_call_phrases == ("goodbye",)
        assert spec.turns.silence_timeout_s == 30


@pytest.mark.parametrize(
    ("stages", "agent", "code", "param"),
    [
        ({}, {}, "no_llm_configured", "llm.provider"),
        ({"llm": 1}, {}, "no_stt_configured", "transcriber.provider"),
        ({"llm": 1, "stt": 1}, {"tts": {"provider": "openai"}}, "no_tts_configured", "tts.provider"),
        ({"llm": 1, "stt": 1}, {"tts": {"provider": "cartesia"}}, "provider_not_available", "tts.provider"),
        ({"llm": 1}, {"transcriber": {"provider": "deepgram"}}, "provider_not_available", "transcriber.provider"),
        ({"llm": 1, "stt": 1}, {"transcriber": {"provider": "demo"}}, "demo_mixed", "transcriber.provider"),
    ],
)
async def test_a_call_nobody_can_serve_is_refused_and_leaves_nothing(
    tmp_path: Any, stages: dict[str, int], agent: dict[str, Any], code: str, param: str
) -> None:
    async with running_api(tmp_path, stages=StageDefaults(**dict.fromkeys(stages, LOCAL))) as api:
        made = await api.made("/v1/agents", name="Ann", **agent)
        answer = await api.ask("POST", "/v1/calls/web", json={"agent_id": made["id"]})
        assert answer.status_code == 422, answer.text
        error = answer.json()["error"]
        assert (error["code"], error["param"]) == (code, param)
        assert api.dispatcher.started == []
        assert await api.count("calls") == 0


@pytest.mark.parametrize(
    ("name", "body", "status", "code", "param"),
    [
        ("unknown agent", {"agent_id": "agt_nobody"}, 404, "agent_not_found", "agent_id"),
        ("no agent", {}, 422, "validation_error", "agent_id"),
        ("agent is a number", {"agent_id": 5}, 422, "validation_error", "agent_id"),
        ("agent with NUL", {"agent_id": "agt\0"}, 422, "validation_error", "agent_id"),
        ("empty agent", {"agent_id": ""}, 422, "validation_error", "agent_id"),
        ("unknown field", {"agent_id": "DEMO", "webhook": "x"}, 422, "validation_error", "webhook"),
        (
            "a webhook within",
            {"agent_id": "DEMO", "webhook_url": "http://127.0.0.1/"},
            422,
            "url_not_allowed",
            "webhook_url",
        ),
        ("variables are a list", {"agent_id": "DEMO", "variables": []}, 422, "validation_error", "variables"),
        ("metadata is text", {"agent_id": "DEMO", "metadata": "x"}, 422, "validation_error", "metadata"),
        ("metadata with NUL", {"agent_id": "DEMO", "metadata": {"a": "\0"}}, 422, "validation_error", "metadata"),
        ("a huge number", {"agent_id": "DEMO", "metadata": {"a": 10**40}}, 422, "validation_error", "metadata"),
        (
            "a long value",
            {"agent_id": "DEMO", "variables": {"a": "x" * 10_001}},
            422,
            "variable_too_long",
            "variables.a",
        ),
        (
            "an unknown override",
            {"agent_id": "DEMO", "overrides": {"tts": {"pitch": 2}}},
            422,
            "validation_error",
            "overrides.tts.pitch",
        ),
        (
            "an override out of range",
            {"agent_id": "DEMO", "overrides": {"llm": {"temperature": 2.1}}},
            422,
            "validation_error",
            "overrides.llm.temperature",
        ),
        (
            "an override that nobody serves",
            {"agent_id": "DEMO", "overrides": {"llm": {"provider": "anthropic"}}},
            422,
            "provider_not_available",
            "llm.provider",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
async def test_a_bad_request_is_refused_and_leaves_nothing(
    api: Api, name: str, body: dict[str, Any], status: int, code: str, param: str
) -> None:
    if body.get("agent_id") == "DEMO":
        body = {**body, "agent_id": api.first.demo_agent_id}
    answer = await api.ask("POST", "/v1/calls/web", json=body)
    assert answer.status_code == status, answer.text
    assert (answer.json()["error"]["code"], answer.json()["error"]["param"]) == (code, param)
    assert await api.count("calls") == 0
    assert api.dispatcher.started == []


async def test_null_is_as_good_as_nothing(api: Api) -> None:
    call = await start(api, variables=None, metadata=None, overrides=None)
    record = (await api.ask("GET", f"/v1/calls/{call['id']}")).json()
    assert (record["variables"], record["metadata"]) == ({}, {})


async def test_control_characters_are_taken_out_of_variables(api: Api) -> None:
    call = await start(api, variables={"na\0me": "a\0b\x1b[0m\nc", "list": ["\x07"]})
    record = (await api.ask("GET", f"/v1/calls/{call['id']}")).json()
    assert record["variables"] == {"name": "ab[0m\nc", "list": [""]}


async def test_a_dispatch_that_is_refused_leaves_nothing(api: Api) -> None:
    api.dispatcher.refusal = refused(ErrorKind.UNAVAILABLE, "server_full")
    answer = await api.ask("POST", "/v1/calls/web", json={"agent_id": api.first.demo_agent_id})
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "server_full"
    assert answer.headers["retry-after"] == "3"
    assert await api.count("calls") == 0


async def test_a_dispatch_that_breaks_is_a_500_and_leaves_nothing(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    api.dispatcher.refusal = RuntimeError("boom with details")
    answer = await api.ask("POST", "/v1/calls/web", json={"agent_id": api.first.demo_agent_id})
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal_error"
    assert "boom" not in answer.text
    assert answer.headers["x-request-id"] == answer.json()["error"]["request_id"]
    assert answer.json()["error"]["request_id"] in caplog.text
    assert await api.count("calls") == 0


async def test_a_request_given_up_in_mid_dispatch_leaves_nothing(api: Api) -> None:
    waiting = asyncio.Event()

    async def hang(spec: object) -> None:
        waiting.set()
        await asyncio.Event().wait()

    api.dispatcher.start_call = hang  # type: ignore[method-assign] # a dispatcher that never answers
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(api.ask("POST", "/v1/calls/web", json={"agent_id": api.first.demo_agent_id}))
        await waiting.wait()
        assert await api.count("calls") == 1
        asking.cancel()
    assert await api.count("calls") == 0


async def test_a_room_name_that_is_taken_is_drawn_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    names = iter(["web-00000001", "web-00000001", "web-00000002", "web-00000001"])
    monkeypatch.setattr("oneinbox.api.calls.start.new_room_name", lambda: next(names))
    first = await start(api)
    assert (await start(api))["room_name"] == "web-00000002"
    await api.recorder.record(CallEnded(call_id=first["id"], reason=EndReason.USER_HANGUP, duration_s=0))
    assert (await start(api))["room_name"] == "web-00000001"  # free again once its call has ended


async def test_the_list_is_filtered_and_paged(api: Api) -> None:
    agent = await api.made("/v1/agents", name="Ann")
    calls = [await start(api) for _ in range(3)]
    await start(api, agent_id=agent["id"])
    await api.recorder.record(CallActive(call_id=calls[0]["id"], answer_ms=1))
    everything = (await api.ask("GET", "/v1/calls")).json()
    assert (everything["total"], everything["limit"], everything["offset"]) == (4, 20, 0)
    assert everything["items"][0]["agent_id"] == agent["id"]  # newest first
    by_agent = (await api.ask("GET", f"/v1/calls?agent_id={agent['id']}")).json()
    assert by_agent["total"] == 1
    live = (await api.ask("GET", "/v1/calls?status=in_progress")).json()
    assert [item["id"] for item in live["items"]] == [calls[0]["id"]]
    second = (await api.ask("GET", "/v1/calls?limit=2&offset=2")).json()
    assert [item["id"] for item in second["items"]] == [calls[1]["id"], calls[0]["id"]]
    assert (second["total"], second["limit"], second["offset"]) == (4, 2, 2)
    assert (await api.ask("GET", "/v1/calls?agent_id=%00")).json()["total"] == 0


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("offset=-1", "offset"),
        ("offset=99999999999999999999999", "offset"),
        ("status=in-progress", "status"),
        ("status=", "status"),
    ],
)
async def test_a_bad_query_names_its_parameter(api: Api, query: str, param: str) -> None:
    answer = await api.ask("GET", f"/v1/calls?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == param


@pytest.mark.parametrize(
    ("public_url", "expected"),
    [
        (None, "ws://oneinbox.test:8080"),
        ("https://talk.example.com", "wss://talk.example.com"),
        ("https://talk.example.com/", "wss://talk.example.com"),
        ("http://10.0.0.5:9000", "ws://10.0.0.5:9000"),
    ],
)
async def test_the_server_url(tmp_path: Any, public_url: str | None, expected: str) -> None:
    async with running_api(tmp_path, public_url=public_url) as api:
        assert (await start(api))["server_url"] == expected


async def test_the_operators_key_is_in_no_answer_and_no_row(api: Api) -> None:
    agent = await api.made("/v1/agents", name="Ann")
    call = await start(api, agent_id=agent["id"])
    assert api.dispatcher.started[0].llm.api_key == PROVIDER_KEY
    for path in ("/v1/calls", f"/v1/calls/{call['id']}", "/v1/agents", "/v1/models"):
        assert PROVIDER_KEY not in (await api.ask("GET", path)).text
    assert PROVIDER_KEY not in repr(api.dispatcher.started[0])
    assert PROVIDER_KEY not in repr(api.config)
