"""The OpenAI-compatible adapter against a server that speaks the same wire: what is asked, and what comes of it."""

import asyncio
import contextlib
import json
import random
import sys
from typing import Any, cast

import httpx
import numpy as np
import pytest
import uvloop

from oneinbox.core.errors import ProviderError
from oneinbox.core.spec import ToolSpec
from oneinbox.live.engine.endpointing import normalised
from oneinbox.live.engine.ports import ChatMessage, Llm, SttFinal, SttResult, TextDelta, ToolCall
from tests.support import speech
from tests.support.openai_calls import (
    KEY,
    SPEECH,
    first_parts,
    hear,
    hub,
    make_spec,
    push,
    reply_parts,
    reply_text,
    spoken,
    transcribed,
)
from tests.support.openai_sound import tones, voiced
from tests.support.openai_wire import OpenAiWire, Script

WEATHER = ToolSpec(
    name="weather",
    type="http",
    description="Tells the weather.",
    parameters={"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
)
END_CALL = ToolSpec(name="end_call", type="end_call", description="Ends the call.")

# ---- thinking ---------------------------------------------------------------------------------------------------


async def test_a_reply_is_asked_for_as_the_wire_wants_it():
    llm = {"model": "some-model", "temperature": 0.3, "max_tokens": 64}
    async with (
        OpenAiWire(Script(replies={"hello": "Grüß Gott 👋, how are you?"}), api_key=KEY) as wire,
        hub() as providers,
    ):
        call = providers.for_call(make_spec(wire, llm=llm), lambda: [WEATHER, END_CALL])
        assert await reply_text(call.llm, "one", "two", "Hello.") == "Grüß Gott 👋, how are you?"
        (asked,) = wire.asked("llm")
    functions = [tool["function"] for tool in asked.body.pop("tools")]
    assert [function["name"] for function in functions] == ["weather", "end_call"]
    assert functions[0]["parameters"] == WEATHER.parameters
    assert functions[1]["parameters"] == {"type": "object", "properties": {}}
    messages = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "Hello."},
    ]
    assert asked.body == {**llm, "messages": messages, "stream": True}


async def test_what_is_not_set_is_not_sent_and_models_have_defaults():
    async with OpenAiWire() as wire, hub() as providers:
        call = providers.for_call(make_spec(wire, key=None))
        await reply_text(call.llm, "hi")
        await spoken(call.tts, "Hi.")
        await transcribed(call.stt)
        llm, tts, stt = (wire.asked(stage)[0] for stage in ("llm", "tts", "stt"))
    assert llm.body == {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    voice = {"model": "gpt-4o-mini-tts", "voice": "alloy", "input": "Hi.", "response_format": "pcm"}
    assert tts.body == voice
    assert stt.body == {"model": "gpt-4o-mini-transcribe", "language": "en", "response_format": "json"}
    assert {request.authorization for request in (llm, tts, stt)} == {None}


async def test_options_rename_and_add_fields():
    options = {"max_tokens_field": "max_completion_tokens", "extra_body": {"reasoning_effort": "none"}}
    async with OpenAiWire() as wire, hub() as providers:
        spec = make_spec(
            wire, llm={"max_tokens": 9, "options": options}, stt={"options": {"extra_body": {"prompt": "Ann"}}}
        )
        await reply_text(providers.for_call(spec).llm, "hi")
        await transcribed(providers.for_call(spec).stt)
        assert wire.asked("llm")[0].body["max_completion_tokens"] == 9
        assert wire.asked("llm")[0].body["reasoning_effort"] == "none"
        assert "max_tokens" not in wire.asked("llm")[0].body
        assert wire.asked("stt")[0].body["prompt"] == "Ann"


async def test_a_reply_arrives_while_it_is_made():
    async with OpenAiWire(Script(token_s=0.02)) as wire, hub() as providers:
        parts = providers.for_call(make_spec(wire)).llm.reply([ChatMessage(role="user", content="a b c d e f g h")])
        assert isinstance(await anext(parts), TextDelta)
        assert not wire.asked("llm")[0].answered
        assert len([part async for part in parts]) == 9
        assert wire.asked("llm")[0].answered


async def test_tool_calls_are_put_together():
    arguments = {"town": 'Saint "Étienne"', "days": [1, 2]}
    calls = [{"name": "weather", "arguments": arguments}, {"name": "end_call"}]
    script = Script(replies={"weather": {"text": "One moment.", "tool_calls": calls}})
    async with OpenAiWire(script) as wire, hub() as providers:
        parts = await reply_parts(providers.for_call(make_spec(wire)).llm, "weather")
    *text, weather, end = parts
    assert "".join(part.text for part in text if isinstance(part, TextDelta)).strip() == "One moment."
    assert isinstance(weather, ToolCall)
    assert (weather.call_id, weather.name, json.loads(weather.arguments)) == ("call_0", "weather", arguments)
    assert end == ToolCall(call_id="call_1", name="end_call", arguments="{}")


async def test_a_stream_without_its_last_line():
    async with OpenAiWire(Script(done_line=False)) as wire, hub() as providers:
        assert await reply_text(providers.for_call(make_spec(wire)).llm, "hi") == "You said: hi"


INTERRUPTED = (
    ChatMessage(role="user", content="where is my order"),
    ChatMessage(role="assistant", content="", tool_calls=(ToolCall(call_id="1", name="look_up", arguments="{}"),)),
    ChatMessage(role="tool", content="shipped", tool_call_id="1"),
    ChatMessage(role="user", content="hello?"),
)
"""The caller spoke before anything was heard of the reply."""


async def _roles_asked(llm: Llm, wire: OpenAiWire) -> list[str]:
    """Ask twice; return the order of roles of each request."""
    for _ in range(2):
        parts = [part async for part in llm.reply(INTERRUPTED)]
        assert "".join(part.text for part in parts if isinstance(part, TextDelta)).strip() == "You said: hello?"
    bodies = [asked.body for asked in wire.asked("llm")]
    return [" ".join(message["role"] for message in body["messages"]) for body in bodies]


async def test_a_server_that_takes_a_user_after_a_tool_gets_no_more():
    async with OpenAiWire() as wire, hub() as providers:
        roles = await _roles_asked(providers.for_call(make_spec(wire)).llm, wire)
    assert roles == ["user assistant tool user"] * 2


async def test_a_server_that_takes_no_user_after_a_tool_gets_a_reply_in_between():
    async with OpenAiWire(Script(strict_order=True)) as wire, hub() as providers:
        roles = await _roles_asked(providers.for_call(make_spec(wire)).llm, wire)
        between = wire.asked("llm")[-1].body["messages"][3]["content"]
    assert roles == ["user assistant tool user", *["user assistant tool assistant user"] * 2], "refused once a call"
    assert between
    assert not normalised(between), "nothing that a model could take up and a voice could say"


async def test_a_refusal_for_another_reason_stays_one():
    async with OpenAiWire() as wire, hub() as providers:
        llm = providers.for_call(make_spec(wire)).llm
        wire.fail("llm", 400, times=2)
        with pytest.raises(ProviderError, match="400"):
            _ = [part async for part in llm.reply(INTERRUPTED)]
        wire.fail("llm", 400)
        with pytest.raises(ProviderError, match="400"):
            await reply_text(llm, "hi")
        assert len(wire.asked("llm")) == 3
        assert (await _roles_asked(llm, wire))[-1] == "user assistant tool user"


# ---- speaking ---------------------------------------------------------------------------------------------------


async def test_speech_arrives_sample_by_sample():
    text = "Good morning, this is Ann."
    async with OpenAiWire() as wire, hub() as providers:
        call = providers.for_call(make_spec(wire, tts={"voice": "nova", "speed": 1.5, "model": "m"}))
        pieces = [pcm async for pcm in call.tts.speak(text)]
        body = wire.asked("tts")[0].body
    assert b"".join(pieces) == voiced(text, 24_000)
    assert len(pieces) > 3
    assert all(len(pcm) % 2 == 0 for pcm in pieces)  # although the wire cuts samples in two
    assert (body["voice"], body["speed"], body["model"], body["input"]) == ("nova", 1.5, "m", text)


@pytest.mark.parametrize("form", ["pcm", "wav"])
async def test_speech_at_another_rate(form: str):
    text = "Good morning, this is Ann."
    script = Script(audio_rate_hz=16_000, audio_format=form)
    options = {"sample_rate_hz": 16_000} if form == "pcm" else {}  # a WAV file tells its rate
    async with OpenAiWire(script) as wire, hub() as providers:
        pcm = await spoken(providers.for_call(make_spec(wire, tts={"options": options})).tts, text)
    wanted = np.frombuffer(speech.resample(voiced(text, 16_000), 16_000, 24_000), "<i2").astype(float)
    got = np.frombuffer(pcm, "<i2").astype(float)
    assert abs(len(got) - len(wanted)) <= 2
    length = min(len(got), len(wanted))
    assert np.corrcoef(got[:length], wanted[:length])[0, 1] > 0.99


async def test_speech_that_is_stopped():
    async with OpenAiWire() as wire, hub() as providers:
        wire.fail("tts", "stall_mid")  # so that there is something to stop
        call = providers.for_call(make_spec(wire))
        stream = cast("Any", call.tts.speak("A rather long sentence, most of which nobody will ever hear."))
        assert await anext(stream)
        await stream.aclose()
        await asyncio.sleep(0.05)
        assert await spoken(call.tts, "Next.") == voiced("Next.", 24_000)


# ---- hearing ----------------------------------------------------------------------------------------------------


async def test_an_utterance_is_sent_with_what_came_before_it():
    async with OpenAiWire(Script(transcripts=[" Good morning. "])) as wire, hub() as providers:
        call = providers.for_call(make_spec(wire, stt={"model": "m", "language": "de"}))
        assert await transcribed(call.stt) == SttFinal(text="Good morning.")
        (asked,) = wire.asked("stt")
    assert asked.body == {"model": "m", "language": "de", "response_format": "json"}
    # 400 ms of pre-roll, of which 100 ms are speech; then the rest of the speech, and 200 ms of silence.
    assert asked.audio == speech.silence(0.3) + SPEECH + speech.silence(0.2)


@pytest.mark.parametrize(("language", "sent"), [("en-US", "en"), ("pt-BR", "pt"), ("de", "de")])
async def test_the_language_is_sent_without_its_region(language: str, sent: str):
    """OpenAI takes ISO 639-1 and answers 400 to a region."""
    async with OpenAiWire() as wire, hub() as providers:
        await transcribed(providers.for_call(make_spec(wire, stt={"language": language})).stt)
        assert wire.asked("stt")[0].body["language"] == sent


async def test_a_noise_without_words_gives_an_empty_final():
    async with OpenAiWire(Script(transcripts=["not this"])) as wire, hub() as providers:
        quiet = (np.frombuffer(tones(0.3), "<i2") // 100).astype("<i2").tobytes()
        assert await transcribed(providers.for_call(make_spec(wire)).stt, quiet) == SttFinal(text="")


async def test_speech_that_goes_on_before_the_answer_is_sent_again_whole():
    async with OpenAiWire(Script(transcripts=["all of it", "the next"], transcript_s=0.3)) as wire, hub() as providers:
        stream = providers.for_call(make_spec(wire)).stt.open()
        results = cast("Any", stream.results())
        hear(stream, SPEECH)
        await asyncio.sleep(0.15)  # the request is out, the answer is not in
        hear(stream, SPEECH, before_s=0.1)
        assert await anext(results) == SttFinal(text="all of it")
        first, second = wire.asked("stt")
        assert not first.answered
        assert second.audio == first.audio + speech.silence(0.1) + SPEECH + speech.silence(0.2)

        hear(stream, SPEECH, before_s=0.1)  # a new utterance: nothing that was sent is sent again
        assert await anext(results) == SttFinal(text="the next")
        assert wire.asked("stt")[2].audio == speech.silence(0.1) + SPEECH + speech.silence(0.2)
        await stream.aclose()


async def test_a_long_utterance_is_sent_whole():
    async with OpenAiWire() as wire, hub() as providers:
        assert await transcribed(providers.for_call(make_spec(wire)).stt, tones(45.0)) == SttFinal(
            text=f"{wire.asked('stt')[0].speech_s:.1f} seconds of speech."
        )
        assert len(wire.asked("stt")[0].audio) == int(45.5 * 32_000)


async def test_a_stream_that_is_closed_gives_its_request_up():
    async with OpenAiWire(Script(transcript_s=5.0)) as wire, hub() as providers:
        stream = providers.for_call(make_spec(wire)).stt.open()

        async def listen() -> list[SttResult]:
            return [result async for result in stream.results()]

        listener = asyncio.get_running_loop().create_task(listen())
        hear(stream, SPEECH)
        await asyncio.sleep(0.1)
        listener.cancel()
        await stream.aclose()
        with contextlib.suppress(asyncio.CancelledError):
            await listener
        push(stream, SPEECH)
        assert [request.answered for request in wire.asked("stt")] == [False]


# ---- connections ------------------------------------------------------------------------------------------------


async def test_the_first_turn_finds_a_connection_open():
    async with OpenAiWire() as wire, hub() as providers:
        call = providers.for_call(make_spec(wire))
        await call.llm.prepare()
        await reply_text(call.llm, "hi")
        assert [request.path for request in wire.requests] == ["/v1/models", "/v1/chat/completions"]
        assert wire.connections == 1


async def test_a_connection_serves_turn_after_turn():
    async with OpenAiWire() as wire, hub() as providers:
        for _ in range(3):  # other calls of the same worker, too
            call = providers.for_call(make_spec(wire))
            await transcribed(call.stt)
            await reply_text(call.llm, "hi")
            await spoken(call.tts, "Hi.")
        assert len(wire.requests) == 9
        assert wire.connections == 1


async def test_each_stage_has_its_own_server_and_key():
    async with OpenAiWire(api_key="key-of-llm") as one, OpenAiWire(api_key="key-of-tts") as two, hub() as providers:
        tts = {"base_url": two.base_url + "/", "api_key": "key-of-tts"}
        call = providers.for_call(make_spec(one, key="key-of-llm", tts=tts))
        assert await reply_text(call.llm, "hi")
        assert await spoken(call.tts, "Hi.")
        assert [request.authorization for request in two.requests] == ["Bearer key-of-tts"]
        assert [request.authorization for request in one.requests] == ["Bearer key-of-llm"]


async def abandon_many() -> None:
    """Abandon replies at every point of their way, and then have one."""
    rng = random.Random(7)
    script = Script(first_token_s=0.01, token_s=0.005)
    async with OpenAiWire(script) as wire, hub(max_connections=4) as providers:
        call = providers.for_call(make_spec(wire))

        async def one() -> None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(rng.uniform(0.0, 0.04)):
                    await reply_text(call.llm, "a b c d e f g")

        for _ in range(20):
            await asyncio.gather(one(), one(), one())
            await first_parts(call.llm, 2)
        assert await reply_text(call.llm, "hi") == "You said: hi"
        await asyncio.gather(*(reply_text(call.llm, "hi") for _ in range(8)))
        assert sum(request.answered for request in wire.asked("llm")) >= 9


async def test_replies_abandoned_in_mid_stream_leave_nothing_behind():
    await abandon_many()


def test_replies_abandoned_in_mid_stream_leave_nothing_behind_on_uvloop():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(abandon_many())


# ---- the server itself ------------------------------------------------------------------------------------------


async def test_the_server_knows_recordings_by_their_sound():
    speech.need_flite()
    texts = ["what are your opening hours", "i would like to book a table please"]
    known = [{"text": text, "voice": "rms"} for text in texts]
    async with OpenAiWire(Script(known=known, transcripts=["something else"])) as wire, hub() as providers:
        stt = providers.for_call(make_spec(wire)).stt
        assert await transcribed(stt, speech.flite(texts[1], "rms")) == SttFinal(text=texts[1])
        both = speech.flite(texts[0], "rms") + speech.silence(0.3) + speech.flite(texts[1], "rms")
        assert await transcribed(stt, both) == SttFinal(text=" ".join(texts))
        assert await transcribed(stt, speech.flite("tell me a joke about cats")) == SttFinal(text="something else")


async def test_the_server_as_a_process(tmp_path: Any):
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"replies": {"hi": "Hello."}, "transcripts": ["hi"]}))
    command = ["-m", "tests.support.openai_wire", "--script", str(script)]
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        url = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()
        async with hub() as providers, httpx.AsyncClient(base_url=url.removesuffix("/v1"), trust_env=False) as admin:
            call = providers.for_call(make_spec(url))
            assert await transcribed(call.stt) == SttFinal(text="hi")
            assert await reply_text(call.llm, "hi") == "Hello."
            await admin.post("/admin/faults", json={"tts": {"kind": "stall"}})
            await admin.post("/admin/script", json={"replies": {"hi": "Goodbye."}})
            assert await reply_text(call.llm, "hi") == "Goodbye."
            rows = (await admin.get("/admin/requests")).json()
            assert [row["stage"] for row in rows] == ["stt", "llm", "llm"]
            assert KEY not in json.dumps(rows)
    finally:
        process.terminate()
        await process.wait()
