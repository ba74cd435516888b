"""The hub: the right adapter for each stage, nothing loaded that no call uses, and a reason where none can serve."""

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

import oneinbox
from oneinbox.core.errors import ProviderError, ProviderErrorKind, Stage
from oneinbox.core.spec import CallSpec, LlmSpec, SttSpec, TtsSpec, TurnSpec
from oneinbox.live.engine.ports import ChatMessage
from oneinbox.live.providers.demo.agent import DemoAgent
from oneinbox.live.providers.demo.ear import DemoEar
from oneinbox.live.providers.demo.espeak import EspeakError, EspeakProcess
from oneinbox.live.providers.demo.voice import DemoVoice
from oneinbox.live.providers.kept_voice import KeptVoice
from oneinbox.live.providers.openai_compatible.llm import ChatCompletions
from oneinbox.live.providers.openai_compatible.stt import AudioTranscriptions
from oneinbox.live.providers.openai_compatible.tts import AudioSpeech
from oneinbox.live.providers.registry import CallProviders, ProviderHub

KEY = "sk-secret-of-the-tests"
OPENAI = "openai_compatible"
HELLO = [ChatMessage(role="user", content="hello")]


def spec(stt: str = OPENAI, llm: str = OPENAI, tts: str = OPENAI, **every: Any) -> CallSpec:
    return CallSpec(
        call_id="call_1",
        org_id="org_1",
        agent_id="agt_1",
        agent_name="Test",
        room_name="web-1",
        identity="user",
        first_message=None,
        stt=SttSpec(provider=stt, **every),
        llm=LlmSpec(provider=llm, **every),
        tts=TtsSpec(provider=tts, **every),
        turns=TurnSpec(),
    )


async def failures(call: CallProviders) -> dict[Stage, ProviderError]:
    """Ask every stage once; return how each failed."""
    failed: dict[Stage, ProviderError] = {}
    stream = call.stt.open()
    stream.speech_started()
    stream.push(bytes(640))
    stream.speech_ended()
    for answers in (stream.results(), call.llm.reply(HELLO), call.tts.speak("hello")):
        try:
            await anext(aiter(answers))
        except ProviderError as error:
            failed[error.stage] = error
    await stream.aclose()
    return failed


async def test_each_stage_gets_the_adapter_it_names() -> None:
    hub = ProviderHub()
    one = hub.for_call(spec(base_url="http://127.0.0.1:9/v1", api_key=KEY))
    assert isinstance(one.stt, AudioTranscriptions)
    assert isinstance(one.llm, ChatCompletions)
    assert isinstance(one.tts, KeptVoice)
    assert isinstance(one.tts.voice, AudioSpeech)
    other = hub.for_call(spec(stt="demo", llm="demo", tts="demo"))
    assert isinstance(other.stt, DemoEar)
    assert isinstance(other.llm, DemoAgent)
    for voice in (other.tts, hub.for_call(spec(tts="demo")).tts):
        assert isinstance(voice, KeptVoice)
        assert isinstance(voice.voice, DemoVoice)
    await hub.aclose()


async def test_calls_share_the_connections_of_a_server_and_key_and_no_others() -> None:
    hub = ProviderHub()
    for place in ("http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1/", "http://127.0.0.1:10/v1"):
        hub.for_call(spec(base_url=place, api_key=KEY))
    hub.for_call(spec(base_url="http://127.0.0.1:9/v1", api_key="sk-other"))
    assert len(hub._clients) == 3
    await hub.aclose()


async def test_two_demo_calls_do_not_share_where_they_stand() -> None:
    hub = ProviderHub()
    first, second = (hub.for_call(spec(stt="demo", llm="demo", tts="demo")) for _ in range(2))
    first.llm.committed([ChatMessage(role="user", content="book a table")])
    assert isinstance(first.stt, DemoEar)
    assert isinstance(second.stt, DemoEar)
    assert first.stt._whereabouts.state == "booking_day"
    assert second.stt._whereabouts.state == "greeting"
    await hub.aclose()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (spec("nobody", "nobody", "nobody"), "there is no provider 'nobody'"),
        (spec(base_url="http://[::1/v1"), "not an address"),
        (spec(api_key="sk-\u00e4\u00f6"), "cannot be sent"),
        (spec(api_key="sk-1\r\nX-Evil: 1"), "cannot be sent"),
        (spec(options={"sample_rate_hz": "fast"}), "options are wrong"),
        (spec(base_url="ftp://127.0.0.1/v1"), "cannot be sent"),
    ],
)
async def test_what_cannot_be_served_says_why_when_it_is_asked(call: CallSpec, words: str) -> None:
    hub = ProviderHub()
    providers = hub.for_call(call)
    for stage in (providers.stt, providers.llm, providers.tts):
        await stage.prepare()
    assert tuple(providers.llm.opening()) == ()
    providers.llm.committed(HELLO)
    failed = await failures(providers)
    assert set(failed) == set(Stage)
    for error in failed.values():
        assert error.kind is ProviderErrorKind.REJECTED
        assert not error.retryable
        assert words in str(error)
    await hub.aclose()


async def test_the_demo_ear_without_the_demo_script_is_refused() -> None:
    hub = ProviderHub()
    stream = hub.for_call(spec(stt="demo")).stt.open()
    with pytest.raises(ProviderError, match="nothing but the demo agent's phrases"):
        await anext(aiter(stream.results()))
    await hub.aclose()


async def test_a_demo_that_cannot_be_warmed_is_logged_and_no_more(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(_: EspeakProcess) -> int:
        raise EspeakError("the helper process does not start", lost=True)

    monkeypatch.setattr(EspeakProcess, "start", fails)
    hub = ProviderHub()
    with caplog.at_level(logging.WARNING):
        await hub.warm(["demo"])
    assert "cannot be warmed" in caplog.text
    await hub.aclose()


def test_nothing_of_the_demo_is_loaded_for_calls_that_do_not_use_it() -> None:
    call = msgspec.json.encode(spec())
    code = f"""
import sys
import msgspec
from oneinbox.core.spec import CallSpec
from oneinbox.live.providers.registry import ProviderHub
ProviderHub().for_call(msgspec.json.decode({call!r}, type=CallSpec))
demo = ("pocketsphinx", "espeakng", "oneinbox.live.providers.demo")
assert not [name for name in sys.modules if name.startswith(demo)]
"""
    root = Path(oneinbox.__file__).parent.parent
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, timeout=60)
