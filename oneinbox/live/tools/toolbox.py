"""The tools of one call, made out of its spec, and what the calls of a worker share for them."""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oneinbox.core.events import AnyCallEvent, ProviderFailed
from oneinbox.core.outbound import AddressPolicy
from oneinbox.core.spec import CallSpec, ToolSpec
from oneinbox.live.engine.ports import Tool, ToolOutcome
from oneinbox.live.tools.api_call import ApiCall
from oneinbox.live.tools.arguments import UnfitError, fill_header
from oneinbox.live.tools.asking import Web, secrets_of
from oneinbox.live.tools.calendar import ScheduleEvent
from oneinbox.live.tools.email import SendEmail
from oneinbox.live.tools.knowledge import KnowledgeTool, ServerKnowledge
from oneinbox.live.tools.mcp import McpError, McpServer
from oneinbox.live.tools.notes import EndCall, ExtractInformation, NotAvailable
from oneinbox.live.tools.settings import ToolSettings
from oneinbox.net.outbound import OutboundGuard

_log = logging.getLogger(__name__)

MCP = "mcp_server"
_PREPARE_S = 8.0
_NO_PHONE = "this is a web call, and this needs a telephone line."
_NO_ACCOUNT = "no account is set up for this."
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_MOST_NAME = 64


class ToolHub:
    """Makes the tools of each call. One for each worker process."""

    def __init__(self, policy: AddressPolicy, knowledge: ServerKnowledge, *, web: Web | None = None) -> None:
        self._web = web or Web(OutboundGuard(policy))
        self._knowledge = knowledge

    def for_call(self, spec: CallSpec, emit: Callable[[AnyCallEvent], None]) -> "CallTools":
        """Return the tools of a call; never raises."""
        return CallTools(spec, self._web, self._knowledge, emit)


class CallTools:
    """The tools of one call: fulfils the engine's ``Tools``."""

    def __init__(
        self, spec: CallSpec, web: Web, knowledge: ServerKnowledge, emit: Callable[[AnyCallEvent], None]
    ) -> None:
        self._spec = spec
        self._web = web
        self._knowledge = knowledge
        self._emit = emit
        self._functions: dict[str, ToolSpec] = {}
        self._tools: dict[str, Tool] = {}
        self._servers: list[McpServer] = []
        for tool in spec.tools:
            if tool.type != MCP:
                self._add(tool, self._make(tool))

    def functions(self) -> Sequence[ToolSpec]:
        """Return what the language model may call, as known so far."""
        return tuple(self._functions.values())

    def find(self, name: str) -> Tool | None:
        """Return the tool that the model calls by this name."""
        return self._tools.get(name)

    async def prepare(self) -> None:
        """Ask the tool servers what they offer. One that fails is reported, and the call goes on without its tools."""
        servers = [tool for tool in self._spec.tools if tool.type == MCP]
        if servers:
            await asyncio.gather(*(self._join(tool) for tool in servers))

    async def aclose(self) -> None:
        """Say goodbye to the tool servers."""
        servers, self._servers = self._servers, []
        await asyncio.gather(*(server.aclose() for server in servers), return_exceptions=True)

    def _add(self, function: ToolSpec, tool: Tool) -> None:
        self._functions[function.name] = function
        self._tools[function.name] = tool

    def _make(self, tool: ToolSpec) -> Tool:
        call_id = self._spec.call_id
        made: Tool = NotAvailable(_NO_PHONE)
        match tool.type:
            case "api_call":
                made = ApiCall(tool, self._web, call_id=call_id, variables=self._spec.trusted_variables())
            case "end_call":
                made = EndCall()
            case "extract_information":
                made = ExtractInformation(tool, call_id=call_id, emit=self._emit)
            case "knowledge_search":
                made = KnowledgeTool(tool, self._knowledge, org_id=self._spec.org_id)
            case "send_email" if tool.config.get("credential"):
                trusted = self._spec.trusted_variables()
                made = SendEmail(tool, self._web, variables=self._spec.variables, trusted=trusted)
            case "schedule_calendar_event" if tool.config.get("credential"):
                made = ScheduleEvent(tool, self._web)
            case "send_email" | "schedule_calendar_event":
                made = NotAvailable(_NO_ACCOUNT)
            case _:
                pass
        return made

    # ---- tool servers -------------------------------------------------------------------------------------------

    async def _join(self, tool: ToolSpec) -> None:
        timeout_s = float(tool.config.get("timeout_seconds", 10))
        try:
            headers = self._headers(tool)
            client = await self._web.client(timeout_s=timeout_s, keep_alive=True)
            server = McpServer(tool.config["url"], headers, client, secrets=secrets_of(headers))
            self._servers.append(server)
            async with asyncio.timeout(min(timeout_s, _PREPARE_S)):
                await server.begin()
                found = await server.tools()
        except TimeoutError:
            self._report(tool, "timeout", "the tool server did not answer in time")
        except (McpError, UnfitError) as error:
            self._report(tool, "connection", str(error))
        else:
            self._offer(tool, server, found, timeout_s)

    def _headers(self, tool: ToolSpec) -> dict[str, str]:
        given: Mapping[str, str] = tool.config.get("headers", {})
        headers = {name: fill_header(name, text, self._spec.trusted_variables()) for name, text in given.items()}
        if credential := tool.config.get("credential"):
            headers["Authorization"] = f"Bearer {credential['api_key']}"
        return headers

    def _offer(self, tool: ToolSpec, server: McpServer, found: Sequence[Mapping[str, Any]], timeout_s: float) -> None:
        wanted = tool.config.get("allowed_tools")
        for one in found:
            name = str(one["name"])
            if wanted is not None and name not in wanted:
                continue
            function = ToolSpec(
                name=self._free_name(name),
                type=MCP,
                description=str(one.get("description") or name),
                parameters=_schema(one.get("inputSchema")),
                config=tool.config,
            )
            self._add(function, _McpTool(function, server, name, timeout_s))

    def _free_name(self, name: str) -> str:
        plain = _NOT_IN_A_NAME.sub("_", name).strip("_")[: _MOST_NAME - 4] or "tool"
        free, number = plain, 1
        while free in self._functions:
            number += 1
            free = f"{plain}_{number}"
        return free

    def _report(self, tool: ToolSpec, kind: str, detail: str) -> None:
        _log.warning("call %s: the tool server %s: %s", self._spec.call_id, tool.name, detail)
        self._emit(
            ProviderFailed(call_id=self._spec.call_id, provider=tool.name, stage="tools", kind=kind, detail=detail)
        )


class _McpTool(ToolSettings):
    """One tool of a tool server."""

    def __init__(self, spec: ToolSpec, server: McpServer, name: str, timeout_s: float) -> None:
        super().__init__(spec)
        self._server = server
        self._name = name
        self._timeout_s = timeout_s

    async def run(self, arguments: Mapping[str, Any], *, key: str) -> ToolOutcome:
        """Call it."""
        try:
            async with asyncio.timeout(self._timeout_s):
                content, is_error = await self._server.call(self._name, arguments, key=key)
        except TimeoutError:
            return ToolOutcome(content=f"The tool did not answer within {self._timeout_s:g} s.", is_error=True)
        except McpError as error:
            return ToolOutcome(content=str(error), is_error=True)
        return ToolOutcome(content=content, is_error=is_error)


def _schema(given: Any) -> dict[str, Any]:
    if isinstance(given, dict) and given.get("type") == "object":  # pyright: ignore[reportUnknownMemberType] - JSON
        return given  # pyright: ignore[reportUnknownVariableType] - JSON
    return {"type": "object", "properties": {}}
