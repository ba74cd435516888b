"""Chat completions, streamed, behind the ``Llm`` port.

Wire: ``POST {base_url}/chat/completions`` with ``stream: true``; source: OpenAI's API reference, "Create chat
completion" and "Streaming". Reasoning text (``reasoning_content``) is not spoken and therefore skipped.
"""

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from typing import Any, Literal

import msgspec

from oneinbox.core.errors import ProviderError, ProviderErrorKind, Stage
from oneinbox.core.spec import LlmSpec, ToolSpec
from oneinbox.live.engine.ports import ChatMessage, ReplyPart, TextDelta, ToolCall
from oneinbox.live.providers.openai_compatible.http import Answer, Endpoint
from oneinbox.live.providers.openai_compatible.settings import DEFAULT_MODELS, Options
from oneinbox.net.sse import SseError, SseParser

_log = logging.getLogger(__name__)

_DONE = "[DONE]"
_UNHEARD = "\u2026"
"""What stands for the reply that was not heard, where a server wants one between a tool and the user. No voice says it."""


class _FunctionDelta(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolCallDelta(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _FunctionDelta | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    tool_calls: list[_ToolCallDelta] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _WireError(msgspec.Struct):
    message: str = ""
    code: int | str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    error: _WireError | str | None = None


_CHUNK = msgspec.json.Decoder(_Chunk)


class ChatCompletions:
    """The language model of one call."""

    def __init__(
        self, spec: LlmSpec, functions: Callable[[], Sequence[ToolSpec]], endpoint: Endpoint, options: Options
    ) -> None:
        self._spec = spec
        self._functions = functions
        """Tells what the model may call; that may grow while the call is prepared."""
        self._endpoint = endpoint
        self._options = options
        self._bridges = False

    async def prepare(self) -> None:
        """Open the connection."""
        await self._endpoint.warm()

    def opening(self) -> Sequence[ReplyPart]:
        """Return nothing: a model has no say before the first turn."""
        return ()

    def committed(self, history: Sequence[ChatMessage]) -> None:
        """Nothing is kept between replies."""

    async def reply(self, history: Sequence[ChatMessage]) -> AsyncIterator[ReplyPart]:
        """Stream the model's reply: text as it comes, then the tools it asks for; raises ``ProviderError``."""
        async with AsyncExitStack() as stack:
            answer = await self._open(stack, history)
            if answer.content_type not in ("text/event-stream", ""):
                raise self._endpoint.nonsense(f"expected text/event-stream, got {answer.content_type}")
            calls = _ToolCalls()
            spoke = False
            why = None
            async with aclosing(self._chunks(answer)) as chunks:
                async for chunk in chunks:
                    for choice in (chunk.choices or [])[:1]:
                        why = choice.finish_reason or why
                        delta = choice.delta or _Delta()
                        calls.add(delta.tool_calls or [])
                        if delta.content:
                            spoke = spoke or not delta.content.isspace()
                            yield TextDelta(delta.content)
            asked = self._whole(calls)
            for call in asked:
                yield call
            if not (spoke or asked):
                # To be asked again, or to hear an apology, is better for the caller than a silence nobody explains.
                raise self._endpoint.nonsense(f"the model answered nothing (finish_reason: {why})")

    async def _open(self, stack: AsyncExitStack, history: Sequence[ChatMessage]) -> Answer:
        """Ask, and return the answer, which ``stack`` closes.

        Some servers (Mistral's models) refuse a user who speaks right after a tool, as callers do. A refusal of such a
        history is answered by asking again with a reply in between; a server that takes that gets it for the whole call.
        """
        bridged = _bridged(history)
        if self._bridges:
            return await stack.enter_async_context(self._ask(bridged))
        try:
            return await stack.enter_async_context(self._ask(history))
        except ProviderError as error:
            if error.kind is not ProviderErrorKind.REJECTED or len(bridged) == len(history):
                raise
            refusal = error.detail
        answer = await stack.enter_async_context(self._ask(bridged))
        self._bridges = True
        _log.info("the server wants a reply between a tool and the user: %s", refusal)
        return answer

    def _ask(self, history: Sequence[ChatMessage]) -> AbstractAsyncContextManager[Answer]:
        return self._endpoint.stream("chat/completions", json=self._request(history))

    async def _chunks(self, answer: Answer) -> AsyncGenerator[_Chunk]:
        """Yield the chunks; after ``[DONE]`` nothing counts any more."""
        parser = SseParser()
        try:
            async with aclosing(answer.pieces()) as pieces:
                async for piece in pieces:
                    for data in parser.push(piece):
                        if data.strip() == _DONE:
                            await answer.drain()
                            return
                        yield self._chunk(data)
            for data in parser.finish():
                if data.strip() != _DONE:
                    yield self._chunk(data)
        except SseError as error:
            raise self._endpoint.nonsense(str(error)) from None

    def _chunk(self, data: str) -> _Chunk:
        try:
            chunk = _CHUNK.decode(data)
        except msgspec.DecodeError:
            raise self._endpoint.nonsense(f"not a chunk of a chat completion: {self._quote(data)}") from None
        if chunk.error is not None:
            raise self._told(chunk.error)
        return chunk

    def _quote(self, text: str) -> str:
        return self._endpoint.quote(text.encode())

    def _told(self, error: _WireError | str) -> ProviderError:
        """Return the failure that a server reports inside a stream it had begun well."""
        told = _WireError(message=error) if isinstance(error, str) else error
        code = str(told.code or "")
        kind = {
            "401": ProviderErrorKind.AUTH,
            "403": ProviderErrorKind.AUTH,
            "429": ProviderErrorKind.RATE_LIMITED,
            "rate_limit_exceeded": ProviderErrorKind.RATE_LIMITED,
            "invalid_api_key": ProviderErrorKind.AUTH,
        }.get(code, ProviderErrorKind.SERVER)
        detail = f"the stream reports an error: {self._quote(f'{code} {told.message}')}"
        return self._endpoint.error(kind, detail, retryable=kind is not ProviderErrorKind.AUTH)

    def _whole(self, calls: "_ToolCalls") -> list[ToolCall]:
        try:
            return calls.whole()
        except ValueError as error:
            raise self._endpoint.nonsense(str(error)) from None

    def _request(self, history: Sequence[ChatMessage]) -> dict[str, Any]:
        messages = [_wire_message(message) for message in history]
        if self._spec.system_prompt and not any(message.role == "system" for message in history):
            messages.insert(0, {"role": "system", "content": self._spec.system_prompt})
        body: dict[str, Any] = {
            "model": self._spec.model or DEFAULT_MODELS[Stage.LLM],
            "messages": messages,
            "stream": True,
        }
        if self._spec.temperature is not None:
            body["temperature"] = self._spec.temperature
        if self._spec.max_tokens is not None:
            body[self._options.max_tokens_field] = self._spec.max_tokens
        if functions := self._functions():
            body["tools"] = [_wire_tool(tool) for tool in functions]
        return {**body, **self._options.extra_body}


def _bridged(history: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Return the history with a reply wherever the user speaks right after a tool."""
    messages: list[ChatMessage] = []
    for message in history:
        if message.role == "user" and messages and messages[-1].role == "tool":
            messages.append(ChatMessage(role="assistant", content=_UNHEARD))
        messages.append(message)
    return messages


def _wire_message(message: ChatMessage) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        wire["content"] = message.content or None
        wire["tool_calls"] = [
            {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        wire["tool_call_id"] = message.tool_call_id
    return wire


def _wire_tool(tool: ToolSpec) -> dict[str, Any]:
    kind: Literal["function"] = "function"
    parameters = tool.parameters or {"type": "object", "properties": {}}
    return {
        "type": kind,
        "function": {"name": tool.name, "description": tool.description, "parameters": parameters},
    }


class _Asked:
    """A tool call while its pieces arrive."""

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments = ""


class _ToolCalls:
    """Puts the streamed pieces of tool calls together.

    Pieces belong together by ``index``; servers that leave it out, or give every call the same, are told apart by a
    new ``id``.
    """

    def __init__(self) -> None:
        self._asked: list[_Asked] = []
        self._by_index: dict[int, _Asked] = {}

    def add(self, deltas: Sequence[_ToolCallDelta]) -> None:
        """Take the pieces of one chunk."""
        for delta in deltas:
            asked = self._of(delta)
            asked.id = asked.id or delta.id or ""
            if delta.function is not None:
                asked.name += delta.function.name or ""
                asked.arguments += delta.function.arguments or ""

    def _of(self, delta: _ToolCallDelta) -> _Asked:
        index = delta.index if delta.index is not None else max(len(self._asked) - 1, 0)
        known = self._by_index.get(index)
        if known is None or (delta.id and known.id and delta.id != known.id):
            known = self._by_index[index] = _Asked()
            self._asked.append(known)
        return known

    def whole(self) -> list[ToolCall]:
        """Return the calls; raises ``ValueError`` where one has no name, or arguments that are not JSON."""
        calls: list[ToolCall] = []
        for number, asked in enumerate(self._asked):
            if not asked.name:
                raise ValueError("a tool call without a name")
            arguments = asked.arguments.strip() or "{}"
            try:
                json.loads(arguments)
            except ValueError:
                raise ValueError(f"the arguments for the tool {asked.name!r} are not JSON") from None
            calls.append(ToolCall(call_id=asked.id or f"call_{number}", name=asked.name, arguments=arguments))
        return calls
