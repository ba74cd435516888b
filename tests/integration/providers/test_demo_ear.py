"""The demo's ear on a call: frames in, partials and one final out, recognisers lent and given back."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest

from oneinbox.core.errors import ProviderError, ProviderErrorKind
from oneinbox.live.engine.ports import SttFinal, SttPartial
from oneinbox.live.providers.demo import ear as ear_module
from oneinbox.live.providers.demo.agent import Whereabouts
from oneinbox.live.providers.demo.ear import DemoEar, DemoEarStream, ListenerPool
from oneinbox.live.providers.demo.flow import BUSY, UNCLEAR
from oneinbox.live.providers.demo.recogniser import Recogniser
from tests.support import speech


class Hearing:
    """A stream, and what came out of it."""

    def __init__(self, stream: DemoEarStream) -> None:
        self.stream = stream
        self.heard: list[SttPartial | SttFinal] = []
        self._news = asyncio.Event()

    async def read(self) -> None:
        async for result in self.stream.results():
            self.heard.append(result)
            self._news.set()

    @property
    def finals(self) -> list[SttFinal]:
        return [result for result in self.heard if isinstance(result, SttFinal)]

    async def final(self, number: int = 1) -> SttFinal:
        async with asyncio.timeout(30):
            while len(self.finals) < number:
                self._news.clear()
                await self._news.wait()
        return self.finals[number - 1]

    async def say(self, pcm: bytes, *, late_frames: int = 15) -> None:
        """Speak, the engine noticing the start a little late; give way to the listener now and then."""
        for at, frame in enumerate(speech.frames(pcm)):
            if at == late_frames:
                self.stream.speech_started()
            self.stream.push(frame)
            if at % 25 == 0:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def hearing(pool: ListenerPool, whereabouts: Whereabouts | None = None) -> AsyncIterator[Hearing]:
    stream = DemoEar(pool, whereabouts or Whereabouts()).open()
    one = Hearing(stream)
    reading = asyncio.get_running_loop().create_task(one.read())
    try:
        yield one
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await stream.aclose()


@asynccontextmanager
async def a_pool(size: int = 4) -> AsyncIterator[ListenerPool]:
    pool = ListenerPool(size)
    try:
        yield pool
    finally:
        await pool.aclose()


def phrase(text: str, voice: str = "rms") -> bytes:
    speech.need_flite()
    return speech.silence(0.1) + speech.flite(text, voice) + speech.silence(0.2)


async def test_a_call_is_heard_state_by_state() -> None:
    whereabouts = Whereabouts()
    async with a_pool() as pool, hearing(pool, whereabouts) as one:
        for number, (state, text) in enumerate(
            [("greeting", "book a table"), ("booking_day", "tomorrow"), ("booking_meal", "dinner please")], start=1
        ):
            whereabouts.state = state
            await one.say(phrase(text))
            one.stream.speech_ended()
            final = await one.final(number)
            assert final.text == text
            assert final.confidence is not None
            assert final.confidence >= 0.5
    assert len(one.finals) == 3
    partials = [result.text for result in one.heard if isinstance(result, SttPartial)]
    assert all(text for text in partials)


async def test_the_first_word_is_heard_although_the_engine_notices_it_late() -> None:
    async with a_pool() as pool, hearing(pool) as one:
        await one.say(speech.flite("when do you open", "slt") + speech.silence(0.2), late_frames=18)
        one.stream.speech_ended()
        assert (await one.final()).text == "when do you open"


async def test_speech_that_is_no_phrase_is_unclear_and_a_click_is_nothing() -> None:
    async with a_pool() as pool, hearing(pool) as one:
        await one.say(phrase("the painting was stolen from the museum"))
        one.stream.speech_ended()
        final = await one.final()
        assert final.text == UNCLEAR
        assert final.confidence is not None
        assert final.confidence < 0.5
        await one.say(speech.silence(0.4) + b"\xff\x4f" * 160 + speech.silence(0.3))
        one.stream.speech_ended()
        assert (await one.final(2)).text == ""


async def test_speech_that_goes_on_before_the_answer_is_heard_as_one() -> None:
    async with a_pool() as pool, hearing(pool) as one:
        await pool.warm()
        spoken = phrase("i would like to book a table", "slt")
        half = len(spoken) // 1280 * 640
        await one.say(spoken[:half])
        one.stream.speech_ended()
        one.stream.speech_started()
        for frame in speech.frames(spoken[half:]):
            one.stream.push(frame)
        one.stream.speech_ended()
        assert (await one.final()).text == "i would like to book a table"
        await asyncio.sleep(0.1)
        assert len(one.finals) == 1


async def test_speech_that_goes_on_while_the_recogniser_finishes_is_heard_as_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The end was decided, its answer computed, and then the caller went on: the answer must not come."""
    finishes: list[Hearing] = []
    finish = Recogniser.finish
    loop = asyncio.get_running_loop()
    rest: Iterable[bytes] = ()

    def go_on(one: Hearing, gone_on: asyncio.Event) -> None:
        one.stream.speech_started()
        for frame in rest:
            one.stream.push(frame)
        one.stream.speech_ended()
        gone_on.set()

    async with a_pool() as pool, hearing(pool) as one:

        def interrupted(recogniser: Recogniser) -> object:
            if not finishes:
                finishes.append(one)
                gone_on = asyncio.Event()
                loop.call_soon_threadsafe(go_on, one, gone_on)
                asyncio.run_coroutine_threadsafe(gone_on.wait(), loop).result(10)
            return finish(recogniser)

        monkeypatch.setattr(Recogniser, "finish", interrupted)
        spoken = phrase("i would like to book a table", "slt")
        half = len(spoken) // 1280 * 640
        rest = speech.frames(spoken[half:])
        await one.say(spoken[:half])
        one.stream.speech_ended()
        assert (await one.final()).text == "i would like to book a table"
        await asyncio.sleep(0.1)
        assert len(one.finals) == 1


async def test_more_callers_than_recognisers_wait_their_turn() -> None:
    async with a_pool(1) as pool, hearing(pool) as first, hearing(pool) as second:
        await first.say(phrase("book a table"))
        await second.say(phrase("opening hours"))
        first.stream.speech_ended()
        assert (await first.final()).text == "book a table"
        second.stream.speech_ended()
        assert (await second.final()).text == "opening hours"


async def test_a_caller_who_waited_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ear_module, "_WAIT_AFTER_SPEECH_S", 0.05)
    async with a_pool(1) as pool, hearing(pool) as first, hearing(pool) as second:
        await first.say(phrase("book a table"))
        await second.say(phrase("opening hours"))
        second.stream.speech_ended()
        final = await second.final()
        assert (final.text, final.confidence) == (BUSY, 0.0)
        first.stream.speech_ended()
        assert (await first.final()).text == "book a table"
        await second.say(phrase("opening hours"))
        second.stream.speech_ended()
        assert (await second.final(2)).text == "opening hours"


async def test_a_call_that_ends_in_mid_word_gives_its_recogniser_back() -> None:
    async with a_pool(1) as pool:
        async with hearing(pool) as leaving:
            await leaving.say(phrase("book a table"))
        async with hearing(pool) as staying:
            await staying.say(phrase("opening hours"))
            staying.stream.speech_ended()
            assert (await staying.final()).text == "opening hours"


async def test_a_recogniser_that_cannot_be_loaded_is_a_failed_stage_and_can_be_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken() -> Recogniser:
        raise RuntimeError("no model")

    async with a_pool(1) as pool:
        monkeypatch.setattr(ear_module, "Recogniser", broken)
        ear = DemoEar(pool, Whereabouts())
        await ear.prepare()
        stream = ear.open()
        stream.speech_started()
        with pytest.raises(ProviderError) as caught:
            await anext(aiter(stream.results()))
        assert caught.value.kind is ProviderErrorKind.REJECTED
        await stream.aclose()
        monkeypatch.undo()
        await pool.warm()
