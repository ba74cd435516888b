"""Calls of an agent with tools, end to end: real server, real worker, LiveKit's client, models over OpenAI's wire."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.mcp_server import ToolServer
from tests.support.openai_script import Script
from tests.support.openai_wire import OpenAiWire
from tests.support.running import RunningServer

KEY = "sk-test-3f9a0c"
TOOL_SECRET = "shop-secret-1"


def asks(*calls: tuple[str, dict[str, Any]], text: str = "") -> dict[str, Any]:
    return {"text": text, "tool_calls": [{"name": name, "arguments": arguments} for name, arguments in calls]}


SCRIPT = Script(
    replies={
        "where is order seven": asks(("order_status", {"number": "7"})),
        '{"status": "shipped"}': "It has been shipped.",
        "where is order nine": asks(("order_status", {"number": "9"})),
        "HTTP 500: the warehouse burnt down": "I cannot find that out just now.",
        "stock and order": asks(("order_status", {"number": "7"}), ("stock", {"item": "tea", "size": 2})),
        "6 pieces of tea are in stock": "Your tea is here, and order seven is shipped.",
        "slow one please": asks(("order_status", {"number": "slow"})),
        "never mind": "Of course.",
        "what came of it": "It was shipped after all.",
        "note that": asks(("lead", {"budget": 1200}), text="I have noted that."),
        "Noted.": "Anything else?",
        "good bye": asks(("finish", {}), text="Good bye then."),
    },
)


class Shop(ThreadingHTTPServer):
    """The account's own server."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ShopHandler)
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.go_on = Event()
        Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class ShopHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Shop)
        self.server.requests.append((self.path, dict(self.headers)))
        status, body = 200, json.dumps({"status": "shipped"})
        if self.path.endswith("/9"):
            status, body = 500, "the warehouse burnt down"
        elif self.path.endswith("/slow"):
            self.server.go_on.wait(60)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as running:
        yield running
        running.go_on.set()
        running.shutdown()


@pytest.fixture
async def wire() -> AsyncIterator[OpenAiWire]:
    async with OpenAiWire(SCRIPT, api_key=KEY) as running:
        yield running


@pytest.fixture
def tool_server() -> Iterator[ToolServer]:
    with ToolServer(key="mcp-secret-1") as running:
        yield running


@pytest.fixture
def server(wire: OpenAiWire, tmp_path: Path) -> Iterator[RunningServer]:
    environ = {
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": wire.base_url,
        "ONEINBOX_ALLOWED_PRIVATE_NETWORKS": "127.0.0.0/8",
    }
    with RunningServer(tmp_path / "data", environ=environ) as running:
        yield running


def make_call(server: RunningServer, shop: Shop, tool_server: ToolServer) -> dict[str, Any]:
    def tool(kind: str, name: str, **more: Any) -> str:
        body = {"type": kind, "name": name, "description": "When it fits", **more}
        return server.json("POST", "/v1/tools", json=body)["id"]

    number = [{"name": "number", "type": "string", "description": "The order", "required": True}]
    budget = {"fields": [{"name": "budget", "type": "number", "description": "In euros"}]}
    tools = [
        tool(
            "api_call",
            "order status",
            url=f"{shop.url}/orders/{{{{number}}}}",
            method="GET",
            headers={"X-Key": TOOL_SECRET, "X-Customer": "{{customer}}"},
            parameters=number,
            timeout_seconds=60,
            max_retries=0,
        ),
        tool("mcp_server", "shop", url=tool_server.url, headers={"Authorization": "Bearer mcp-secret-1"}),
        tool("extract_information", "lead", extraction_schema=budget),
        tool("end_call", "finish"),
    ]
    model = server.json("POST", "/v1/models", json={"name": "M", "tool_ids": tools})
    agent = server.json("POST", "/v1/agents", json={"name": "Shop", "llm_id": model["id"], "first_message": "Hello."})
    body = {"agent_id": agent["id"], "variables": {"customer": "suman"}}
    return server.json("POST", "/v1/calls/web", json=body)


async def join(server: RunningServer, shop: Shop, tool_server: ToolServer) -> tuple[Caller, str]:
    made = await asyncio.to_thread(make_call, server, shop, tool_server)
    caller = await Caller().join(made["server_url"], made["participant_token"])
    await caller.wait_for_agent("Hello")
    await caller.wait_until_quiet()
    return caller, made["id"]


async def ask(caller: Caller, text: str, answer: str) -> None:
    await caller.type(text)
    await caller.wait_for_agent(answer, limit_s=40)
    await caller.wait_until_quiet()


async def test_a_call_with_tools(server: RunningServer, shop: Shop, tool_server: ToolServer, wire: OpenAiWire) -> None:
    caller, call_id = await join(server, shop, tool_server)
    await ask(caller, "where is order seven", "It has been shipped")
    await ask(caller, "where is order nine", "I cannot find that out")
    await ask(caller, "stock and order", "Your tea is here")
    await ask(caller, "note that", "I have noted that")
    await caller.type("good bye")
    await caller.wait(lambda: caller.left_reason, 40, "the end of the call")
    await caller.leave()
    record = await asyncio.to_thread(server.wait_for_call, call_id)
    assert (record["status"], record["end_reason"]) == ("completed", "agent_hangup")
    done = [one for one in record["messages"] if one["role"].startswith("tool")]
    calls = [(one["name"], json.loads(one["arguments"])) for one in done if one["role"] == "tool_call"]
    assert calls[:2] == [("order_status", {"number": "7"}), ("order_status", {"number": "9"})]
    assert sorted(calls[2:4], key=str) == [  # side by side
        ("order_status", {"number": "7"}),
        ("stock", {"item": "tea", "size": 2}),
    ]
    assert calls[4:] == [
        ("lead", {"budget": 1200}),
        ("finish", {}),
    ]
    ids = [one["tool_call_id"] for one in done if one["role"] == "tool_call"]
    assert len(set(ids)) == len(ids)
    assert {one["tool_call_id"] for one in done if one["role"] == "tool_result"} == set(ids)
    failed = [one for one in done if one["role"] == "tool_result" and one["is_error"]]
    assert [one["content"] for one in failed] == ["HTTP 500: the warehouse burnt down"]
    assert record["analysis"]["extracted_data"] == {"lead": {"budget": 1200}}
    assert record["provider_failures"] == []
    assert [path for path, _ in shop.requests] == ["/orders/7", "/orders/9", "/orders/7"]
    assert {headers["X-Customer"] for _, headers in shop.requests} == {"suman"}
    keys = [headers["Idempotency-Key"] for _, headers in shop.requests]
    assert len(set(keys)) == 3
    assert tool_server.calls == [("stock", {"item": "tea", "size": 2})]
    output = "".join(server.output) + json.dumps(record)
    for secret in (TOOL_SECRET, "mcp-secret-1", KEY):
        assert secret not in output
    assert all(asked.answered for asked in wire.asked("llm")), "the wire refuses a history that is not valid"


async def test_a_slow_tool_is_bridged_interrupted_and_its_result_kept(
    server: RunningServer, shop: Shop, tool_server: ToolServer, wire: OpenAiWire
) -> None:
    caller, call_id = await join(server, shop, tool_server)
    before = len(caller.said_by_agent())
    await caller.type("slow one please")
    await caller.wait(lambda: len(caller.said_by_agent()) > before, 40, "a filler")
    await caller.wait(lambda: caller.states[-1] == "thinking", 40, "the agent to be shown thinking")
    await ask(caller, "never mind", "Of course")
    shop.go_on.set()
    results = await asyncio.to_thread(wait_for_result, server, call_id)
    await ask(caller, "what came of it", "It was shipped after all")
    last = wire.asked("llm")[-1].body["messages"]
    assert [one["content"] for one in last if one["role"] == "tool"] == results == ['{"status": "shipped"}']
    await caller.leave()
    assert [path for path, _ in shop.requests] == ["/orders/slow"]


def wait_for_result(server: RunningServer, call_id: str) -> list[str]:
    import time  # noqa: PLC0415 - the only wait of this file that no caller does

    deadline = time.monotonic() + 40
    while True:
        messages = server.json("GET", f"/v1/calls/{call_id}")["messages"]
        if found := [one["content"] for one in messages if one["role"] == "tool_result"]:
            return found
        assert time.monotonic() < deadline, messages
        time.sleep(0.1)


async def test_a_call_is_told_by_the_api_the_keypad_and_its_page(
    server: RunningServer, shop: Shop, tool_server: ToolServer, wire: OpenAiWire
) -> None:
    caller, call_id = await join(server, shop, tool_server)

    async def tell(way: str, **body: Any) -> None:
        await asyncio.to_thread(server.json, "POST", f"/v1/calls/{call_id}/{way}", json=body)

    await tell("context", text="The invoice is paid.")
    await tell("say", text="Your driver has just arrived.")
    await caller.wait_for_agent("Your driver has just arrived")
    await caller.wait_until_quiet()
    await tell("message", text="Do you know more")
    await caller.wait_for_agent("You said: Do you know more")
    await caller.wait_until_quiet()
    for digit, code in (("4", 4), ("2", 2), ("#", 11)):
        await caller.room.local_participant.publish_dtmf(code=code, digit=digit)
    await caller.wait_for_agent("keys")
    await caller.wait_until_quiet()
    agent = next(iter(caller.room.remote_participants))
    await caller.room.local_participant.perform_rpc(
        destination_identity=agent, method="oi.context", payload="cart: 2 items"
    )
    await ask(caller, "and now", "2 items] and now")
    messages = wire.asked("llm")[-1].body["messages"]
    assert "The invoice is paid." in messages[0]["content"]
    assert "cart" not in messages[0]["content"]
    assert messages[-1]["content"] == "[The caller's page says: cart: 2 items] and now"
    await caller.leave()
    record = await asyncio.to_thread(server.wait_for_call, call_id)
    users = [one["content"] for one in record["messages"] if one["role"] == "user"]
    assert users == ["Do you know more", "[keys] 4 2", "and now"]
    gone = await asyncio.to_thread(server.request, "POST", f"/v1/calls/{call_id}/say", json={"text": "x"})
    assert (gone.status_code, gone.json()["error"]["code"]) == (409, "call_not_live")
