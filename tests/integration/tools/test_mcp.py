"""Our client of MCP servers against servers made with the official package, over loopback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from oneinbox.core.events import AnyCallEvent, ProviderFailed
from oneinbox.core.outbound import AddressPolicy
from oneinbox.core.spec import ToolSpec
from oneinbox.live.engine.ports import Tool, ToolOutcome
from oneinbox.live.tools.knowledge import ServerKnowledge
from oneinbox.live.tools.toolbox import CallTools, ToolHub
from tests.support.mcp_server import ToolServer
from tests.unit.tools.test_other_tools import spec_with


def server_spec(server: ToolServer, **config: object) -> ToolSpec:
    return ToolSpec(name="shop", type="mcp_server", description="d", config={"url": server.url, **config})


@asynccontextmanager
async def prepared(
    *tools: ToolSpec, allowed: str = "127.0.0.0/8"
) -> AsyncIterator[tuple[CallTools, list[AnyCallEvent]]]:
    events: list[AnyCallEvent] = []
    hub = ToolHub(AddressPolicy.allowing([allowed]), ServerKnowledge(lambda _: None))
    found = hub.for_call(spec_with(*tools), events.append)
    try:
        await found.prepare()
        yield found, events
    finally:
        await found.aclose()


def tool_of(tools: CallTools, name: str) -> Tool:
    tool = tools.find(name)
    assert tool is not None, [function.name for function in tools.functions()]
    return tool


@pytest.mark.parametrize(("json", "stateless"), [(False, False), (True, False), (False, True), (True, True)])
async def test_a_servers_tools_are_offered_and_run(json: bool, stateless: bool) -> None:
    with ToolServer(key="mcp-secret", json=json, stateless=stateless) as server:
        spec = server_spec(server, credential={"api_key": "mcp-secret"}, headers={"X-Tenant": "acme"})
        async with prepared(spec) as (tools, events):
            functions = {function.name: function for function in tools.functions()}
            assert set(functions) == {"stock", "fail", "slow"}
            assert functions["stock"].description == "Tells how many pieces of something are in stock."
            assert functions["stock"].parameters["required"] == ["item"]
            outcome = await tool_of(tools, "stock").run({"item": "tea", "size": 2}, key="key-1")
            assert outcome == ToolOutcome(content="6 pieces of tea are in stock")
            failed = await tool_of(tools, "fail").run({}, key="key-2")
            assert failed.is_error
            wrong = await tool_of(tools, "stock").run({"size": "many"}, key="key-3")
            assert wrong.is_error
            assert "mcp-secret" not in failed.content + wrong.content
        assert [name for name, _ in server.calls] == ["stock", "fail"]
        keys = [headers["idempotency-key"] for headers in server.headers if "idempotency-key" in headers]
        assert keys == ["key-1", "key-2", "key-3"]
        assert all(headers["x-tenant"] == "acme" for headers in server.headers)
        assert events == []


async def test_only_the_allowed_tools_are_offered() -> None:
    with ToolServer() as server:
        async with prepared(server_spec(server, allowed_tools=["stock"])) as (tools, _):
            assert [function.name for function in tools.functions()] == ["stock"]
            assert tools.find("fail") is None


async def test_two_servers_with_tools_of_the_same_name() -> None:
    with ToolServer() as one, ToolServer() as other:
        specs = [server_spec(server, allowed_tools=["stock"]) for server in (one, other)]
        async with prepared(*specs) as (tools, _):
            names = {function.name for function in tools.functions()}
            assert names == {"stock", "stock_2"}
            for name in names:
                assert not (await tool_of(tools, name).run({"item": "tea"}, key=name)).is_error
        assert len(one.calls) == len(other.calls) == 1


async def test_a_server_that_was_started_again_is_joined_again() -> None:
    with ToolServer() as server:
        async with prepared(server_spec(server)) as (tools, _):
            stock = tool_of(tools, "stock")
            client = tools._servers[0]
            client._session = "0123456789abcdef"  # as after a restart: the server does not know it
            outcomes = await asyncio.gather(*(stock.run({"item": "tea"}, key=f"key-{at}") for at in range(3)))
            assert [outcome.is_error for outcome in outcomes] == [False] * 3


async def test_a_tool_that_takes_too_long() -> None:
    with ToolServer() as server:
        async with prepared(server_spec(server, timeout_seconds=1)) as (tools, _):
            outcome = await tool_of(tools, "slow").run({"seconds": 30}, key="key-1")
            assert outcome == ToolOutcome(content="The tool did not answer within 1 s.", is_error=True)
            assert not (await tool_of(tools, "stock").run({"item": "tea"}, key="key-2")).is_error


@pytest.mark.parametrize("why", ["key", "address", "nobody"])
async def test_a_server_that_cannot_be_used_costs_its_tools_and_nothing_else(why: str) -> None:
    end = ToolSpec(name="finish", type="end_call", description="d")
    with ToolServer(key="mcp-secret") as server:
        spec = server_spec(server, credential={"api_key": "mcp-secret" if why != "key" else "wrong-key"})
        if why == "nobody":
            spec = ToolSpec(
                name="shop", type="mcp_server", description="d", config={"url": "http://127.0.0.1:1025/mcp"}
            )
        async with prepared(spec, end, allowed="127.0.0.0/8" if why != "address" else "10.0.0.0/8") as (tools, events):
            assert [function.name for function in tools.functions()] == ["finish"]
            (failure,) = events
            assert isinstance(failure, ProviderFailed)
            assert (failure.provider, failure.stage) == ("shop", "tools")
            assert "secret" not in failure.detail
            assert "wrong-key" not in failure.detail
