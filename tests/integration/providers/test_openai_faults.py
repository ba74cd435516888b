"""Every fault at every stage of the OpenAI-compatible adapter: the right error, no key told, and the next turn works."""

import logging
import socket
import traceback
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from oneinbox.core.errors import ProviderError, ProviderErrorKind, Stage
from oneinbox.live.engine.ports import ChatMessage, SttFinal, TextDelta
from oneinbox.live.providers.registry import CallProviders
from tests.support.openai_calls import KEY, hub, make_spec, reply_text, spoken, transcribed
from tests.support.openai_wire import OpenAiWire, Script

K = ProviderErrorKind
ALL = {stage: stage for stage in (Stage.LLM, Stage.STT, Stage.TTS)}
STATUSES = {
    401: K.AUTH,
    403: K.AUTH,
    400: K.REJECTED,
    404: K.REJECTED,
    429: K.RATE_LIMITED,
    500: K.SERVER,
    503: K.SERVER,
}
BREAKS = {
    "drop": K.CONNECTION,
    "reset_mid": K.CONNECTION,
    "cut_mid": K.CONNECTION,
    "not_http": K.PROTOCOL,
    "wrong_type": K.PROTOCOL,
    "empty": K.PROTOCOL,
    "garbage": K.PROTOCOL,
    "garbage_utf8": K.PROTOCOL,
    "silent": K.PROTOCOL,
}
STALLS = ("stall", "stall_headers", "stall_mid")
SHORT_S = 0.4


async def ask(stage: Stage, providers: CallProviders) -> object:
    if stage is Stage.LLM:
        return await reply_text(providers.llm, "tell me something long enough to be cut in pieces")
    if stage is Stage.TTS:
        return await spoken(providers.tts, "Something long enough to be cut in pieces.")
    return await transcribed(providers.stt)


@asynccontextmanager
async def failing(stage: Stage, kind: str | int, patience_s: float) -> AsyncGenerator[tuple[OpenAiWire, CallProviders]]:
    async with OpenAiWire(Script(transcripts=["so long"]), api_key=KEY) as wire, hub(patience_s) as providers:
        wire.fail(stage, kind, times=-1)
        yield wire, providers.for_call(make_spec(wire))


async def fault_of(stage: Stage, providers: CallProviders) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await ask(stage, providers)
    error = caught.value
    assert (error.provider, error.stage) == ("openai_compatible", stage)
    assert len(error.detail) <= 300
    told = "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))
    assert KEY not in told
    assert KEY[:12] not in told
    return error


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("stage", ALL)
async def test_a_refusal(stage: Stage, status: int, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    async with failing(stage, status, 5.0) as (wire, providers):
        error = await fault_of(stage, providers)
        assert error.kind is STATUSES[status]
        assert error.retryable is (error.kind not in (K.AUTH, K.REJECTED))
        assert str(status) in error.detail
        assert "failing on demand" in error.detail
        wire.faults.clear()
        assert await ask(stage, providers)
    assert KEY not in caplog.text


@pytest.mark.parametrize("fault", BREAKS)
@pytest.mark.parametrize("stage", ALL)
async def test_a_broken_answer(stage: Stage, fault: str, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    async with failing(stage, fault, 5.0) as (wire, providers):
        error = await fault_of(stage, providers)
        assert (error.kind, error.retryable) == (BREAKS[fault], True)
        wire.faults.clear()
        assert await ask(stage, providers)
    assert KEY not in caplog.text


@pytest.mark.parametrize("fault", STALLS)
@pytest.mark.parametrize("stage", ALL)
async def test_a_stall(stage: Stage, fault: str):
    async with failing(stage, fault, SHORT_S) as (_, providers):
        error = await fault_of(stage, providers)
        assert (error.kind, error.retryable) == (K.TIMEOUT, True)


@pytest.mark.parametrize("stage", ALL)
async def test_an_error_told_inside_an_answer(stage: Stage):
    async with failing(stage, "told", 5.0) as (_, providers):
        error = await fault_of(stage, providers)
        assert error.kind is (K.SERVER if stage is Stage.LLM else K.PROTOCOL)
        assert error.retryable


@pytest.mark.parametrize("stage", ALL)
async def test_a_wrong_key_is_quoted_by_the_server_and_not_by_us(stage: Stage):
    async with OpenAiWire(api_key="another") as wire, hub() as providers:
        error = await fault_of(stage, providers.for_call(make_spec(wire)))
        assert error.kind is K.AUTH
        assert not error.retryable
        assert "Incorrect API key provided" in error.detail


@pytest.mark.parametrize("stage", ALL)
async def test_nobody_listens(stage: Stage):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else can take it
        url = f"http://127.0.0.1:{sock.getsockname()[1]}/v1"
        async with hub() as providers:
            error = await fault_of(stage, providers.for_call(make_spec(url)))
    assert (error.kind, error.retryable) == (K.CONNECTION, True)


@pytest.mark.parametrize("stage", ALL)
async def test_a_server_that_takes_no_connection(stage: Stage):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        address = sock.getsockname()
        waiting = [socket.socket() for _ in range(4)]  # fill the backlog: further SYNs are dropped
        try:
            for other in waiting:
                other.setblocking(False)
                other.connect_ex(address)
            async with hub(SHORT_S) as providers:
                error = await fault_of(stage, providers.for_call(make_spec(f"http://127.0.0.1:{address[1]}/v1")))
        finally:
            for other in waiting:
                other.close()
    assert (error.kind, error.retryable) == (K.TIMEOUT, True)


@pytest.mark.parametrize("url", ["localhost:8000/v1", "ftp://localhost/v1", "http://[::1", "/v1"])
@pytest.mark.parametrize("stage", ALL)
async def test_an_address_that_is_none(stage: Stage, url: str):
    async with hub() as providers:
        error = await fault_of(stage, providers.for_call(make_spec(url)))
    assert (error.kind, error.retryable) == (K.REJECTED, False)


@pytest.mark.parametrize("key", ["s\u00e9cret-key-with-an-accent", "sk-two\nlines-of-key"])
@pytest.mark.parametrize("stage", ALL)
async def test_a_key_that_cannot_be_sent(stage: Stage, key: str):
    async with OpenAiWire() as wire, hub() as providers:
        with pytest.raises(ProviderError) as caught:
            await ask(stage, providers.for_call(make_spec(wire, key=key)))
    assert not caught.value.retryable
    assert key not in "".join(traceback.format_exception(caught.value))
    assert wire.asked(stage) == []


@pytest.mark.parametrize("stage", ALL)
async def test_preparing_never_fails(stage: Stage):
    async with OpenAiWire(api_key="another") as wire, hub(SHORT_S) as providers:
        wire.fail("", "stall")
        for spec in (make_spec(wire), make_spec("http://127.0.0.1:9/v1"), make_spec("http://[::1")):
            await getattr(providers.for_call(spec), stage).prepare()


async def test_what_was_said_before_the_answer_broke_is_kept():
    async with failing(Stage.LLM, "reset_mid", 5.0) as (wire, providers):
        said: list[str] = []

        async def listen() -> None:
            async for part in providers.llm.reply([ChatMessage(role="user", content="say something")]):
                assert isinstance(part, TextDelta)
                said.append(part.text)

        with pytest.raises(ProviderError):
            await listen()
        assert "".join(said).strip() == "You said:"
        assert len(wire.asked("llm")) == 1  # asking again is the engine's business


async def test_an_utterance_is_sent_again_where_the_first_time_fails_by_chance():
    async with OpenAiWire(Script(transcripts=["still there"])) as wire, hub() as providers:
        wire.fail("stt", 503)
        assert await transcribed(providers.for_call(make_spec(wire)).stt) == SttFinal(text="still there")
        assert [request.fault for request in wire.asked("stt")] == ["503", None]


def test_a_spec_is_shown_without_its_key():
    assert KEY not in repr(make_spec("http://127.0.0.1:1/v1"))
