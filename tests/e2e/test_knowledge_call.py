"""An agent whose knowledge base is too large for its prompt searches it in the call."""

import asyncio
from pathlib import Path
from typing import Any

from tests.support import documents
from tests.support.caller import Caller
from tests.support.openai_script import Script
from tests.support.openai_wire import OpenAiWire
from tests.support.running import RunningServer

PARKING = "Cars are parked behind the house, in the yard."
FOUND = f'<knowledge source="house.pdf">\n{PARKING}\n</knowledge>'
SCRIPT = Script(
    replies={
        "where do I park": {"tool_calls": [{"name": "search_knowledge_base", "arguments": {"query": "parked cars"}}]},
        FOUND: "You can park behind the house.",
    }
)


def make_agent(server: RunningServer) -> dict[str, Any]:
    base = server.json("POST", "/v1/knowledge-bases", json={"name": "House"})
    sources = f"/v1/knowledge-bases/{base['id']}/sources"
    server.json(
        "POST", sources, files={"type": (None, "text"), "source": (None, "The menu. " + "soup fish bread " * 3_000)}
    )
    server.json("POST", sources, files={"file": ("house.pdf", documents.pdf(PARKING), "application/pdf")})
    model = server.json(
        "POST", "/v1/models", json={"name": "M", "system_prompt": "Be kind.", "knowledge_base_ids": [base["id"]]}
    )
    agent = server.json("POST", "/v1/agents", json={"name": "House", "llm_id": model["id"], "first_message": "Hello."})
    return {"agent": agent["id"], "sources": sources}


async def test_a_large_knowledge_base_is_searched_in_the_call(tmp_path: Path) -> None:
    async with OpenAiWire(SCRIPT, api_key="sk-test") as wire:
        environ = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": wire.base_url}
        with RunningServer(tmp_path / "data", environ=environ) as server:
            made = await asyncio.to_thread(make_agent, server)
            async with asyncio.timeout(60):
                while any(
                    one["status"] == "processing"
                    for one in await asyncio.to_thread(server.json, "GET", made["sources"])
                ):
                    await asyncio.sleep(0.2)
            call = await asyncio.to_thread(server.json, "POST", "/v1/calls/web", json={"agent_id": made["agent"]})
            caller = await Caller().join(call["server_url"], call["participant_token"])
            await caller.wait_for_agent("Hello")
            await caller.wait_until_quiet()
            await caller.type("where do I park")
            await caller.wait_for_agent("behind the house")
            await caller.wait_until_quiet()
            await caller.leave()
            record = await asyncio.to_thread(server.wait_for_call, call["id"])
        system = wire.asked("llm")[-1].body["messages"][0]["content"]
        assert "search_knowledge_base" in system
        assert PARKING not in system
        assert FOUND in [one.get("content") for one in wire.asked("llm")[-1].body["messages"]]
        assert record["messages"][-1]["content"] == "You can park behind the house."
