"""A client of Model Context Protocol servers over streamable HTTP: the little of it that calling tools needs.

Source: the MCP specification of 2025-06-18 (lifecycle; transports, "Streamable HTTP"; tools). Every message is a POST of JSON-RPC;
the answer is JSON, or server-sent events that end with it. The session is the header ``Mcp-Session-Id``; a server that has forgotten
it answers 404, and a new one is begun, once. Servers that speak an older revision are spoken to in theirs.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, cast

import httpx

from oneinbox import __version__
from oneinbox.core.outbound import UrlRefusedError
from oneinbox.live.tools.asking import IDEMPOTENCY_KEY, MAX_ANSWER_BYTES, masked
from oneinbox.net.sse import SseError, SseParser

PROTOCOL_VERSION = "2025-06-18"
_MOST_PAGES = 20
_MOST_TOOLS = 128
_METHOD_NOT_FOUND = -32601
_SESSION = "Mcp-Session-Id"


class McpError(Exception):
    """The server cannot be used, or refuses. The message is for the language model, and holds no secret."""


class _SessionLostError(Exception):
    """The server does not know the session any more."""


class McpServer:
    """One server, as one call uses it. ``client`` asks this server alone, and is closed with it."""

    def __init__(
        self, url: str, headers: Mapping[str, str], client: httpx.AsyncClient, *, secrets: tuple[str, ...] = ()
    ) -> None:
        self._url = url
        self._headers = dict(headers)
        self._client = client
        self._secrets = secrets
        self._session: str | None = None
        self._version: str | None = None
        self._numbers = itertools.count(1)
        self._beginning = asyncio.Lock()

    async def begin(self) -> None:
        """Begin a session; raises :class:`McpError`."""
        self._session = self._version = None
        asked = {
            "protocolVersion": PROTOCOL_VERSION,
            "capabilities": {},
            "clientInfo": {"name": "oneinbox", "version": __version__},
        }
        answer = await self._request("initialize", asked)
        self._version = str(answer.get("protocolVersion") or PROTOCOL_VERSION)
        await self._notify("notifications/initialized")

    async def tools(self) -> list[dict[str, Any]]:
        """Return what the server says of its tools; raises :class:`McpError`."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = await self._asked("tools/list", {"cursor": cursor} if cursor else {})
            listed = page.get("tools")
            if isinstance(listed, list):
                tools = [cast("dict[str, Any]", tool) for tool in cast("list[Any]", listed) if isinstance(tool, dict)]
                found += [tool for tool in tools if tool.get("name")]
            cursor = page.get("nextCursor")
            if not cursor or len(found) >= _MOST_TOOLS:
                break
        return found[:_MOST_TOOLS]

    async def call(self, name: str, arguments: Mapping[str, Any], *, key: str) -> tuple[str, bool]:
        """Call a tool; return what it gave as text, and whether that is an error. Raises :class:`McpError`."""
        parameters = {"name": name, "arguments": dict(arguments), "_meta": {"idempotencyKey": key}}
        answer = await self._asked("tools/call", parameters, key)
        return masked(_text_of(answer), self._secrets), answer.get("isError") is True

    async def aclose(self) -> None:
        """End the session, and close the client."""
        if self._session is not None:
            try:
                await self._client.delete(self._url, headers=self._own_headers())
            except (httpx.HTTPError, UrlRefusedError):
                pass  # the server forgets it some time
        await self._client.aclose()

    # ---- the wire -----------------------------------------------------------------------------------------------

    async def _asked(self, method: str, parameters: Mapping[str, Any], key: str | None = None) -> dict[str, Any]:
        """Ask within the session; where the server has forgotten it, within a new one."""
        session = self._session
        try:
            return await self._request(method, parameters, key)
        except _SessionLostError:
            async with self._beginning:
                if self._session == session:
                    await self.begin()
        return await self._request(method, parameters, key)

    async def _request(self, method: str, parameters: Mapping[str, Any], key: str | None = None) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
        try:
            async with aclosing(self._messages(message, key)) as messages:
                async for answer in messages:
                    if answer.get("id") == number and ("result" in answer or "error" in answer):
                        return self._result(answer)
                    if "method" in answer and "id" in answer:
                        await self._answer(answer)
        except (httpx.HTTPError, SseError, UnicodeDecodeError) as error:
            raise McpError(f"The tool server cannot be reached ({type(error).__name__}).") from None
        except (UrlRefusedError, httpx.InvalidURL) as error:
            raise McpError(f"The tool server may not be asked: {error}.") from None
        raise McpError("The tool server ended its answer too early.")

    def _result(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        error, result = answer.get("error"), answer.get("result")
        if isinstance(error, dict):
            said = str(cast("dict[str, Any]", error).get("message") or "no reason given")
            raise McpError(f"The tool server refuses: {masked(said, self._secrets)[:500]}")
        return cast("dict[str, Any]", result) if isinstance(result, dict) else {}

    async def _messages(self, message: Mapping[str, Any], key: str | None) -> AsyncGenerator[dict[str, Any]]:
        """POST a message, and yield those that come back."""
        session = self._session
        headers = {**self._own_headers(), "Accept": "application/json, text/event-stream"}
        if key is not None:
            headers[IDEMPOTENCY_KEY] = key
        async with self._client.stream("POST", self._url, json=message, headers=headers) as response:
            if response.status_code == 404 and session is not None:
                raise _SessionLostError
            if not response.is_success:
                raise McpError(f"The tool server answers HTTP {response.status_code}.")
            self._session = response.headers.get(_SESSION) or self._session
            streamed = response.headers.get("content-type", "").startswith("text/event-stream")
            async with aclosing(_texts(response, streamed=streamed)) as texts:
                async for text in texts:
                    for one in _read(text):
                        yield one

    async def _notify(self, method: str) -> None:
        message = {"jsonrpc": "2.0", "method": method}
        try:
            await self._post(message)
        except (httpx.HTTPError, UrlRefusedError) as error:
            raise McpError(f"The tool server cannot be reached ({type(error).__name__}).") from None

    async def _answer(self, request: Mapping[str, Any]) -> None:
        """Answer what the server asks of us: a ping; nothing else is offered."""
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        if request["method"] == "ping":
            answer["result"] = {}
        else:
            answer["error"] = {"code": _METHOD_NOT_FOUND, "message": "not offered by this client"}
        await self._post(answer)

    async def _post(self, message: Mapping[str, Any]) -> None:
        headers = {**self._own_headers(), "Accept": "application/json, text/event-stream"}
        await self._client.post(self._url, json=message, headers=headers)

    def _own_headers(self) -> dict[str, str]:
        headers = dict(self._headers)
        if self._session is not None:
            headers[_SESSION] = self._session
        if self._version is not None:
            headers["MCP-Protocol-Version"] = self._version
        return headers


async def _texts(response: httpx.Response, *, streamed: bool) -> AsyncGenerator[str]:
    """Yield the JSON texts of an answer: all of it, or the data of each event."""
    parser, body, size = SseParser(), bytearray(), 0
    async for piece in response.aiter_bytes():
        size += len(piece)
        if size > MAX_ANSWER_BYTES:
            raise McpError("The tool server's answer is far too long.")
        if streamed:
            for event in parser.push(piece):
                yield event
        else:
            body += piece
    if streamed:
        for event in parser.finish():
            yield event
    elif body:
        yield body.decode()


def _read(text: str) -> list[dict[str, Any]]:
    if not text.strip():
        return []  # an event that only carries an id
    try:
        found: Any = json.loads(text)
    except ValueError:
        raise McpError("The tool server's answer is not JSON.") from None
    many: list[Any] = cast("list[Any]", found) if isinstance(found, list) else [found]
    return [cast("dict[str, Any]", one) for one in many if isinstance(one, dict)]


def _text_of(answer: Mapping[str, Any]) -> str:
    content = answer.get("content")
    items = [cast("dict[str, Any]", one) for one in cast("list[Any]", content or []) if isinstance(one, dict)]
    texts = [_item_text(item) for item in items]
    if not texts and answer.get("structuredContent") is not None:
        return json.dumps(answer["structuredContent"], ensure_ascii=False)
    return "\n".join(filter(None, texts)) or "Done (no content)."


def _item_text(item: Mapping[str, Any]) -> str:
    match item.get("type"):
        case "text":
            return str(item.get("text") or "")
        case "resource":
            resource = cast("dict[str, Any]", item.get("resource") or {})
            return str(resource.get("text") or f"[{resource.get('uri', 'a resource')}]")
        case "resource_link":
            return f"[{item.get('uri', 'a link')}]"
        case kind:
            return f"[{kind}, not shown]"
