"""A voice that keeps its greetings: what is kept, for whom, and what is never kept."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from oneinbox.core.errors import ProviderError, ProviderErrorKind, Stage
from oneinbox.core.spec import CallSpec, LlmSpec, SttSpec, TtsSpec, TurnSpec
from oneinbox.core.tasks import TaskScope
from oneinbox.live.audio.clips import Clip, ClipShelf
from oneinbox.live.providers.kept_voice import KeptVoice
from tests.support.media_signal import babble

HELLO = "Hello, this is the desk."
SOUND = babble(1, 24_000)


class Voice:
    def __init__(self, fails_after: int | None = None) -> None:
        self.asked: list[str] = []
        self.fails_after = fails_after

    async def prepare(self) -> None: ...

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        self.asked.append(text)
        for count, at in enumerate(range(0, len(SOUND), 4800)):
            if count == self.fails_after:
                raise ProviderError("x", Stage.TTS, ProviderErrorKind.PROTOCOL, "gone", retryable=True)
            yield SOUND[at : at + 4800]
            await asyncio.sleep(0)


def spec(org_id: str = "org_1", **tts: Any) -> CallSpec:
    return CallSpec(
        call_id="call_1",
        org_id=org_id,
        agent_id="agt_1",
        agent_name="Test",
        room_name="web-1",
        identity="user",
        first_message=HELLO,
        stt=SttSpec(provider="x"),
        llm=LlmSpec(provider="x"),
        tts=TtsSpec(provider="x", **tts),
        turns=TurnSpec(),
    )


class Worker:
    def __init__(self) -> None:
        self.shelf, self.scope, self.inner = ClipShelf(), TaskScope("test"), Voice()

    def voice(self, of: CallSpec) -> KeptVoice:
        return KeptVoice(self.inner, of, self.shelf, self.scope, lambda text: text in (of.first_message or ""))

    async def say(self, text: str = HELLO, of: CallSpec | None = None) -> list[bytes]:
        said = [pcm async for pcm in self.voice(of or spec()).speak(text)]
        for task in list(self.scope._tasks):
            await task
        return said


async def test_a_greeting_is_asked_for_once():
    worker = Worker()
    first = await worker.say()
    assert len(first) == 10
    (again,) = await worker.say(of=msgspec.structs.replace(spec(), call_id="call_2"))
    assert isinstance(again, Clip)
    assert again == b"".join(first)
    assert worker.inner.asked == [HELLO]


@pytest.mark.parametrize(
    "other",
    [
        spec("org_2"),
        spec(voice="other"),
        spec(speed=1.1),
        spec(stability=0.1),
        spec(model="m"),
        spec(base_url="http://a"),
        spec(api_key="k"),
        spec(options={"format": "pcm"}),
    ],
)
async def test_what_would_sound_otherwise_or_is_another_organisation_s_is_asked_for(other: CallSpec):
    worker = Worker()
    await worker.say()
    assert len(await worker.say(of=other)) == 10
    assert len(worker.inner.asked) == 2


async def test_replies_are_not_kept():
    worker = Worker()
    await worker.say("It is four o'clock.")
    await worker.say("It is four o'clock.")
    assert worker.shelf.size_bytes == 0
    assert len(worker.inner.asked) == 2


async def test_what_broke_off_or_was_given_up_is_not_kept():
    worker = Worker()
    worker.inner.fails_after = 5
    with pytest.raises(ProviderError):
        await worker.say()
    worker.inner.fails_after = None
    stream = worker.voice(spec()).speak(HELLO)
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]  # it is a generator
    assert worker.shelf.size_bytes == 0
    assert len(await worker.say()) == 10


def test_keys_do_not_stay_in_memory_by_the_shelf():
    worker = Worker()
    asyncio.run(worker.say(of=spec(api_key="sk-secret")))
    assert all(b"sk-secret" not in key for key in worker.shelf._clips)
