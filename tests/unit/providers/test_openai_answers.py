"""What the OpenAI-compatible adapter makes of answers, given as bytes: no socket, no clock."""

import json
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneinbox.core.errors import ProviderError, ProviderErrorKind, Stage
from oneinbox.core.spec import LlmSpec, TtsSpec
from oneinbox.core.tasks import TaskScope
from oneinbox.live.audio.resample import Resampler
from oneinbox.live.engine.ports import ChatMessage, ReplyPart, TextDelta, ToolCall
from oneinbox.live.providers.openai_compatible.http import Endpoint, open_client
from oneinbox.live.providers.openai_compatible.llm import ChatCompletions
from oneinbox.live.providers.openai_compatible.settings import Options, Patience, read_options
from oneinbox.live.providers.openai_compatible.tts import AudioSpeech
from tests.support.conversation import run_virtually
from tests.support.openai_sound import tones, wav_header

SSE = "text/event-stream"
KEY = "sk-test-0123456789abcdef"


class _Body(httpx.AsyncByteStream):
    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


def answering(stage: Stage, pieces: Sequence[bytes], content_type: str | None, status: int = 200) -> Endpoint:
    headers = {"Content-Type": content_type} if content_type else {}
    transport = httpx.MockTransport(lambda _: httpx.Response(status, headers=headers, stream=_Body(pieces)))
    client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1/v1/")
    return Endpoint(client, TaskScope("test"), stage, KEY, Patience())


def reply(pieces: Sequence[bytes], content_type: str | None = SSE) -> list[ReplyPart]:
    async def ask() -> list[ReplyPart]:
        llm = ChatCompletions(LlmSpec(provider="x"), tuple, answering(Stage.LLM, pieces, content_type), Options())
        return [part async for part in llm.reply([ChatMessage(role="user", content="hi")])]

    return run_virtually(ask)


def speech(pieces: Sequence[bytes], content_type: str | None = "audio/pcm", rate_hz: int = 24_000) -> bytes:
    async def ask() -> bytes:
        options = Options(sample_rate_hz=rate_hz)
        tts = AudioSpeech(TtsSpec(provider="x"), answering(Stage.TTS, pieces, content_type), options)
        return b"".join([pcm async for pcm in tts.speak("hi")])

    return run_virtually(ask)


def protocol_error(ask: Callable[[], Any]) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        ask()
    assert caught.value.kind is ProviderErrorKind.PROTOCOL
    assert caught.value.retryable
    return caught.value


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def called(*deltas: dict[str, Any]) -> list[ReplyPart]:
    pieces = [chunk({"tool_calls": [delta]}) for delta in deltas]
    return reply([*pieces, chunk({}, "tool_calls"), DONE])


# ---- replies ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pieces",
    [
        [chunk({"role": "assistant", "content": ""}), chunk({"content": "Hi."}), chunk({}, "stop"), DONE],
        [chunk({"content": "Hi."}, "stop")],  # no [DONE]
        [chunk({"content": "Hi."}, "stop"), b"data: [DONE]"],
        [b": waiting\n\n", chunk({"content": "Hi."}), b"data: [DONE]\r\n\r\n"],
        [chunk({"content": None, "reasoning_content": "Hm."}), chunk({"content": "Hi."}, "stop"), DONE],
        [chunk({"content": "Hi."}, "stop"), b'data: {"choices": [], "usage": {"total_tokens": 3}}\n\n', DONE],
        [chunk({"content": "Hi."}), DONE, chunk({"content": " Never said."})],
        [b'data: {"choices": [{"delta": {"content": "Hi."}, "index": 0}], "model": "m", "x": [1]}\n\n', DONE],
    ],
)
def test_a_reply(pieces: list[bytes]):
    assert "".join(part.text for part in reply(pieces) if isinstance(part, TextDelta)) == "Hi."
    stream = b"".join(pieces)
    assert reply([stream[at : at + 1] for at in range(len(stream))]) == reply(pieces)


def test_a_reply_of_a_server_that_tells_no_type():
    assert reply([chunk({"content": "Hi."}, "stop"), DONE], None) == [TextDelta("Hi.")]
    assert reply([chunk({"content": "Hi."}, "stop"), DONE], "Text/Event-Stream; charset=utf-8") == [TextDelta("Hi.")]


@pytest.mark.parametrize(
    ("pieces", "content_type"),
    [
        ([b'{"choices": [{"message": {"content": "Hi."}}]}'], "application/json"),
        ([b"<html>"], "text/html"),
        ([b"<html>"], None),
        ([], SSE),
        ([b": nothing\n\n"], SSE),
        ([b"data: {broken\n\n"], SSE),
        ([b"data: 7\n\n"], SSE),
        ([b'data: {"choices": "none"}\n\n'], SSE),
        ([b'data: {"choices": [{"delta": {"content": 7}}]}\n\n'], SSE),
        ([b"data: \xff\n\n"], SSE),
        ([chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"arguments": "{}"}}]}, "stop")], SSE),
        ([chunk({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": '{"a"'}}]}, "stop")], SSE),
    ],
)
def test_what_is_no_reply(pieces: list[bytes], content_type: str | None):
    protocol_error(lambda: reply(pieces, content_type))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "slow down", "code": 429}, ProviderErrorKind.RATE_LIMITED),
        ({"message": "slow down", "code": "rate_limit_exceeded"}, ProviderErrorKind.RATE_LIMITED),
        ({"message": "who are you", "code": 401}, ProviderErrorKind.AUTH),
        ({"message": "oh no", "code": None}, ProviderErrorKind.SERVER),
        ("oh no", ProviderErrorKind.SERVER),
    ],
)
def test_an_error_in_mid_stream(error: Any, kind: ProviderErrorKind):
    with pytest.raises(ProviderError) as caught:
        reply([chunk({"content": "Hi"}), b"data: " + json.dumps({"error": error}).encode() + b"\n\n"])
    assert caught.value.kind is kind


def test_nothing_the_server_quotes_is_told_at_length_or_with_the_key():
    error = protocol_error(lambda: reply([b"data: {" + f"you sent Bearer {KEY} ".encode() * 40 + b"\n\n"]))
    assert KEY not in error.detail
    assert len(error.detail) < 300


def test_tool_calls_in_pieces():
    assert called(
        {"index": 0, "id": "a", "function": {"name": "book", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"wh'}},
        {"index": 1, "id": "b", "function": {"name": "end", "arguments": None}},
        {"index": 0, "function": {"arguments": 'en": 1}'}},
    ) == [
        ToolCall(call_id="a", name="book", arguments='{"when": 1}'),
        ToolCall(call_id="b", name="end", arguments="{}"),
    ]


def test_whole_tool_calls_without_an_index():
    assert called(
        {"id": "a", "function": {"name": "book", "arguments": "{}"}},
        {"id": "b", "function": {"name": "book", "arguments": '{"x": 2}'}},
    ) == [
        ToolCall(call_id="a", name="book", arguments="{}"),
        ToolCall(call_id="b", name="book", arguments='{"x": 2}'),
    ]


def test_tool_calls_that_are_all_the_first():
    found = called(
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}},
        {"index": 0, "id": "b", "function": {"name": "g", "arguments": "{}"}},
    )
    assert [(part.call_id, part.name) for part in found if isinstance(part, ToolCall)] == [("a", "f"), ("b", "g")]


# ---- speech -----------------------------------------------------------------------------------------------------

PCM = tones(0.2, 24_000)
TWO_CHANNELS = wav_header(24_000).replace(b"\x01\x00\x01\x00", b"\x01\x00\x02\x00", 1)


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, len(PCM)), max_size=10), wav=st.booleans())
def test_speech_cut_anywhere(cuts: list[int], wav: bool):
    stream = wav_header(24_000) + PCM if wav else PCM
    places = sorted([*(min(cut, len(stream)) for cut in cuts), *range(0, 60, 7)])  # inside the header, too
    pieces = [stream[low:high] for low, high in zip([0, *places], [*places, len(stream)], strict=True)]
    assert speech(pieces, "audio/wav" if wav else "audio/pcm") == PCM


@pytest.mark.parametrize("content_type", ["audio/pcm", "audio/L16; rate=24000", "application/octet-stream", None])
def test_speech_of_any_name(content_type: str | None):
    assert speech([PCM], content_type) == PCM


def test_speech_of_half_a_sample_more():
    assert speech([PCM, b"\x01"]) == PCM


def test_speech_at_another_rate():
    resampler = Resampler(16_000, 24_000)
    wanted = resampler.push(PCM) + resampler.flush()
    assert speech([PCM[:333], PCM[333:]], rate_hz=16_000) == wanted
    assert speech([wav_header(16_000) + PCM], "audio/wav") == wanted


@pytest.mark.parametrize(
    ("pieces", "content_type"),
    [
        ([], "audio/pcm"),
        ([b""], "audio/pcm"),
        ([b"\x01"], "audio/pcm"),
        ([b'{"error": "no such voice"}'], "application/json"),
        ([b"<html>"], "text/html"),
        ([b"ID3\x04" + bytes(100)], "audio/pcm"),
        ([b"OggS" + bytes(100)], "application/octet-stream"),
        ([b"\xff\xf3" + bytes(100)], "audio/mpeg"),
        ([wav_header(24_000)], "audio/wav"),
        ([wav_header(24_000)[:20]], "audio/wav"),
        ([TWO_CHANNELS + PCM], "audio/wav"),
        ([b"RIFF" + bytes(9000)], "audio/wav"),
    ],
)
def test_what_is_no_speech(pieces: list[bytes], content_type: str):
    protocol_error(lambda: speech(pieces, content_type))


# ---- keys and options -------------------------------------------------------------------------------------------


def test_a_refusal_quotes_200_characters_without_the_key():
    body = f"<p>your key {KEY} is not known here</p> ".encode() * 30

    async def ask() -> None:
        endpoint = answering(Stage.LLM, [body[:77], body[77:]], "text/html", status=401)
        llm = ChatCompletions(LlmSpec(provider="x"), tuple, endpoint, Options())
        [part async for part in llm.reply([ChatMessage(role="user", content="hi")])]

    with pytest.raises(ProviderError) as caught:
        run_virtually(ask)
    assert "your key *** is not known here" in caught.value.detail
    assert KEY[:10] not in caught.value.detail
    assert len(caught.value.detail) <= 220


def test_a_client_is_shown_without_its_key():
    async def show() -> str:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        async with open_client("http://127.0.0.1/v1", KEY, Patience(), httpx.Limits(), context) as client:
            assert client.headers["authorization"] == f"Bearer {KEY}"
            return repr(client) + repr(client.headers) + repr(client.build_request("GET", "models").headers)

    assert KEY not in run_virtually(show)


def test_options_are_checked():
    assert read_options(LlmSpec(provider="x", options={"something_else": 1})) == Options()
    with pytest.raises(ValueError, match="sample_rate_hz"):
        read_options(TtsSpec(provider="x", options={"sample_rate_hz": "fast"}))
