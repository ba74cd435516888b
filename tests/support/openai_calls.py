"""Calls served by the OpenAI-compatible adapter, for its tests: specs, and one request of each stage."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast

from oneinbox.core.spec import CallSpec, LlmSpec, SttSpec, ToolSpec, TtsSpec, TurnSpec
from oneinbox.live.engine.ports import ChatMessage, Llm, ReplyPart, Stt, SttResult, SttStream, TextDelta, Tts
from oneinbox.live.providers.openai_compatible.settings import Patience
from oneinbox.live.providers.registry import ProviderHub
from tests.support import speech
from tests.support.openai_sound import tones
from tests.support.openai_wire import OpenAiWire

KEY = "sk-test-0123456789abcdefghijklmnop"
SPEECH = tones(0.8)


def make_spec(
    server: OpenAiWire | str,
    *,
    key: str | None = KEY,
    llm: dict[str, Any] | None = None,
    stt: dict[str, Any] | None = None,
    tts: dict[str, Any] | None = None,
    tools: Sequence[ToolSpec] = (),
) -> CallSpec:
    """Return a call of which all three stages are served by ``server``; the rest are fields of the stages."""
    url = server if isinstance(server, str) else server.base_url
    shared: dict[str, Any] = {"provider": "openai_compatible", "base_url": url, "api_key": key}
    return CallSpec(
        call_id="call_1",
        org_id="org_1",
        agent_id="agt_1",
        agent_name="Ann",
        room_name="room_1",
        identity="caller",
        first_message=None,
        llm=LlmSpec(**{**shared, **(llm or {})}),
        stt=SttSpec(**{**shared, **(stt or {})}),
        tts=TtsSpec(**{**shared, **(tts or {})}),
        turns=TurnSpec(),
        tools=tuple(tools),
    )


@asynccontextmanager
async def hub(patience_s: float = 5.0, **limits: Any) -> AsyncGenerator[ProviderHub]:
    """Yield what a worker has, with one time limit for everything."""
    patience = Patience(connect_s=patience_s, first_byte_s=patience_s, between_chunks_s=patience_s)
    providers = ProviderHub(patience=patience, **limits)
    await providers.start()
    try:
        yield providers
    finally:
        await providers.aclose()


async def reply_parts(llm: Llm, *said: str) -> list[ReplyPart]:
    """Return the reply to what the two sides said in turns, the user first."""
    roles = ("user", "assistant")
    history = [ChatMessage(role=roles[number % 2], content=text) for number, text in enumerate(said)]
    return [part async for part in llm.reply(history)]


async def reply_text(llm: Llm, *said: str) -> str:
    parts = await reply_parts(llm, *said)
    assert all(isinstance(part, TextDelta) for part in parts), parts
    return "".join(cast("TextDelta", part).text for part in parts).strip()


async def spoken(tts: Tts, text: str) -> bytes:
    """Return all the audio of ``text``."""
    return b"".join([pcm async for pcm in tts.speak(text)])


def hear(stream: SttStream, pcm: bytes, *, before_s: float = 0.6, start_s: float = 0.1, after_s: float = 0.2) -> None:
    """Let the stream hear an utterance as the engine would tell it: silence, speech, silence, and the end."""
    push(stream, speech.silence(before_s))
    push(stream, pcm[: int(start_s * 16_000) * 2])
    stream.speech_started()
    push(stream, pcm[int(start_s * 16_000) * 2 :] + speech.silence(after_s))
    stream.speech_ended()


def push(stream: SttStream, pcm: bytes) -> None:
    for frame in speech.frames(pcm):
        stream.push(frame)


async def transcribed(stt: Stt, pcm: bytes = SPEECH) -> SttResult:
    """Return the first result for an utterance."""
    stream = stt.open()
    try:
        results = stream.results()
        hear(stream, pcm)
        async with asyncio.timeout(20):
            return await anext(results)
    finally:
        await stream.aclose()


async def first_parts(llm: Llm, count: int) -> list[ReplyPart]:
    """Ask, take ``count`` parts, and abandon the rest."""
    parts: list[ReplyPart] = []
    async with aclosing(cast("Any", llm.reply([ChatMessage(role="user", content="a b c d e f g")]))) as stream:
        async for part in stream:
            parts.append(part)
            if len(parts) == count:
                break
    return parts
