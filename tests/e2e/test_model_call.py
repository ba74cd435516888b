"""Calls of an agent whose three stages are served over OpenAI's wire, faults included."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.openai_script import Script
from tests.support.openai_wire import OpenAiWire
from tests.support.running import RunningServer
from tests.support.speech import flite, need_flite

KEY = "sk-test-3f9a0c"
QUESTION = "could you tell me when my order arrives"
SECOND = "and can I still change the address"
SCRIPT = Script(
    replies={
        QUESTION: "It left the warehouse this morning. You will have it in your hands by tomorrow at noon.",
        SECOND: "Yes, until this evening.",
    },
    known=[{"text": QUESTION, "voice": "slt"}, {"text": SECOND, "voice": "slt"}],
)
GREETING = "Hello Suman, what can I do for you?"


@pytest.fixture
async def wire() -> AsyncIterator[OpenAiWire]:
    need_flite()
    async with OpenAiWire(SCRIPT, api_key=KEY) as running:
        yield running


@pytest.fixture
def server(wire: OpenAiWire, tmp_path: Path) -> Iterator[RunningServer]:
    environ = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": wire.base_url}
    with RunningServer(tmp_path / "data", environ=environ) as running:
        yield running


async def start(server: RunningServer) -> tuple[Caller, str]:
    """An agent made with its name and a greeting alone, as a developer would with curl, and a call of it."""

    def make() -> dict[str, Any]:
        agent = server.json(
            "POST", "/v1/agents", json={"name": "Shop", "first_message": "Hello {{name}}, what can I do for you?"}
        )
        assert agent["providers"] == dict.fromkeys(("stt", "llm", "tts"), "openai_compatible")
        return server.json("POST", "/v1/calls/web", json={"agent_id": agent["id"], "variables": {"name": "Suman"}})

    made = await asyncio.to_thread(make)
    caller = await Caller().join(made["server_url"], made["participant_token"])
    await caller.wait_for_answers(1)
    return caller, made["id"]


async def ask(caller: Caller, question: str) -> None:
    before = len(caller.answers())
    await caller.speak_and_wait(flite(question))
    await caller.wait_for_answers(before + 1)


async def record_of(server: RunningServer, caller: Caller, call_id: str) -> dict[str, Any]:
    await caller.leave()
    return await asyncio.to_thread(server.wait_for_call, call_id)


async def test_two_turns_with_a_model(server: RunningServer, wire: OpenAiWire) -> None:
    caller, call_id = await start(server)
    await ask(caller, QUESTION)
    await ask(caller, SECOND)
    record = await record_of(server, caller, call_id)
    assert [(one["role"], one["content"]) for one in record["messages"]] == [
        ("agent", GREETING),
        ("user", QUESTION),
        ("agent", SCRIPT.replies[QUESTION]),
        ("user", SECOND),
        ("agent", SCRIPT.replies[SECOND]),
    ]
    assert record["latency"]["providers"] == dict.fromkeys(("stt", "llm", "tts"), "openai_compatible")
    assert record["latency"]["llm_ttft"]["samples"] == 2
    assert record["status"] == "completed"
    assert KEY not in "".join(server.output)
    assert KEY not in str(record)
    assert {asked.stage for asked in wire.requests} >= {"stt", "llm", "tts"}


async def test_faults_are_lived_through(server: RunningServer, wire: OpenAiWire) -> None:
    """After each, the caller hears an answer or an apology, and the call goes on."""
    caller, call_id = await start(server)
    faults: list[tuple[str, str | int]] = [("llm", "reset_mid"), ("tts", 500), ("stt", 429), ("llm", "stall")]
    for stage, fault in faults:
        wire.fail(stage, fault)
        await ask(caller, QUESTION)
        await ask(caller, SECOND)
        assert "until this evening" in caller.said_by_agent()[-1]
    record = await record_of(server, caller, call_id)
    assert record["status"] == "completed"
    assert [one["stage"] for one in record["provider_failures"]] == [stage for stage, _ in faults]
    assert KEY not in str(record)


async def test_a_refused_key_ends_the_call_with_its_reason(server: RunningServer, wire: OpenAiWire) -> None:
    for stage, reason in (("llm", "llm_failed"), ("stt", "stt_failed"), ("tts", "tts_failed")):
        caller, call_id = await start(server)
        wire.fail(stage, 401, times=100)
        await caller.speak_and_wait(flite(QUESTION))
        await caller.wait(lambda caller=caller: caller.left_reason, 25, "the end of the call")
        record = await record_of(server, caller, call_id)
        assert (record["status"], record["end_reason"]) == ("failed", reason)
        if stage != "tts":
            assert record["messages"][-1]["role"] == "agent", "the caller heard why"
        wire.faults.clear()
    assert KEY not in "".join(server.output)


def test_an_agent_without_a_model_is_refused_clearly(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        agent = server.json("POST", "/v1/agents", json={"name": "Nobody"})
        assert agent["providers"]["llm"] is None
        answer = server.request("POST", "/v1/calls/web", json={"agent_id": agent["id"]})
        assert answer.status_code == 422
        assert answer.json()["error"]["code"] == "no_llm_configured"
        assert server.json("GET", "/v1/calls")["total"] == 0
