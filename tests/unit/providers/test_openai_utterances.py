"""Which audio is sent for transcription, and which answers count, as speech comes and goes."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from oneinbox.core.errors import ProviderError, ProviderErrorKind, Stage
from oneinbox.live.engine.ports import FRAME_MS, HEARD_FRAME_BYTES, SttFinal
from oneinbox.live.providers.openai_compatible.stt import PRE_ROLL_MS, AudioTranscriptions, UtteranceStream
from tests.support.conversation import run_virtually

PRE_ROLL = PRE_ROLL_MS // FRAME_MS


class Transcriber:
    """Answers after ``delay_s`` with what it was sent: the numbers of the frames."""

    def __init__(self, delay_s: float = 0.3) -> None:
        self.delay_s = delay_s
        self.asked: list[list[int]] = []
        self.cancelled = 0
        self.error: ProviderError | None = None

    async def transcribe(self, pcm: bytes) -> str:
        frames = [pcm[at] + 256 * pcm[at + 1] for at in range(0, len(pcm), HEARD_FRAME_BYTES)]
        self.asked.append(frames)
        try:
            await asyncio.sleep(self.delay_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return f"{frames[0]}-{frames[-1]}"


class Bench:
    """A stream that hears numbered frames in virtual time."""

    def __init__(self) -> None:
        self.stt = Transcriber()
        self.stream = UtteranceStream(cast("AudioTranscriptions", self.stt))
        self.results: Any = self.stream.results()
        self.frame = 0

    async def hear(self, frames: int) -> None:
        for _ in range(frames):
            self.stream.push(self.frame.to_bytes(2, "little") + bytes(HEARD_FRAME_BYTES - 2))
            self.frame += 1
            await asyncio.sleep(FRAME_MS / 1000)

    async def next_text(self) -> str:
        async with asyncio.timeout(30):
            result = await anext(self.results)
        assert isinstance(result, SttFinal)
        return result.text

    async def nothing_more(self) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await anext(self.results)


def with_bench(test: Callable[[Bench], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        async def body() -> None:
            bench = Bench()
            await test(bench)
            await bench.stream.aclose()

        run_virtually(body)

    return run


@with_bench
async def test_the_pre_roll_is_400_ms(bench: Bench):
    await bench.hear(100)
    bench.stream.speech_started()
    await bench.hear(50)
    bench.stream.speech_ended()
    assert await bench.next_text() == f"{100 - PRE_ROLL}-149"
    assert bench.stt.asked == [list(range(100 - PRE_ROLL, 150))]
    await bench.nothing_more()


@with_bench
async def test_speech_at_the_very_beginning(bench: Bench):
    await bench.hear(3)
    bench.stream.speech_started()
    await bench.hear(10)
    bench.stream.speech_ended()
    assert await bench.next_text() == "0-12"


@with_bench
async def test_going_on_before_the_answer_drops_it_and_asks_for_the_whole(bench: Bench):
    bench.stream.speech_started()
    await bench.hear(20)
    bench.stream.speech_ended()
    await bench.hear(10)
    bench.stream.speech_started()
    await bench.hear(20)
    bench.stream.speech_ended()
    assert await bench.next_text() == "0-49"
    assert bench.stt.cancelled == 1
    await bench.nothing_more()


@with_bench
async def test_going_on_many_times(bench: Bench):
    for _ in range(5):
        bench.stream.speech_started()
        await bench.hear(20)
        bench.stream.speech_ended()
        await bench.hear(5)
    assert await bench.next_text() == "0-119"
    assert len(bench.stt.asked) == 5
    await bench.nothing_more()


@with_bench
async def test_nothing_is_sent_twice_and_nothing_is_lost_after_an_answer(bench: Bench):
    bench.stream.speech_started()
    await bench.hear(20)
    bench.stream.speech_ended()
    await bench.hear(17)  # the answer comes after 15 of these
    assert await bench.next_text() == "0-19"
    bench.stream.speech_started()
    await bench.hear(20)
    bench.stream.speech_ended()
    assert await bench.next_text() == "20-56"
    await bench.hear(60)
    bench.stream.speech_started()
    await bench.hear(5)
    bench.stream.speech_ended()
    last = bench.frame - 1
    assert await bench.next_text() == f"{last - 4 - PRE_ROLL}-{last}"


@with_bench
async def test_long_speech_is_kept_whole(bench: Bench):
    bench.stream.speech_started()
    await bench.hear(60 * 50)
    bench.stream.speech_ended()
    assert await bench.next_text() == "0-2999"


@with_bench
async def test_a_failure_ends_the_stream_with_its_error(bench: Bench):
    bench.stt.error = ProviderError("x", Stage.STT, ProviderErrorKind.AUTH, "no", retryable=False)
    bench.stream.speech_started()
    await bench.hear(5)
    bench.stream.speech_ended()
    with pytest.raises(ProviderError) as caught:
        await anext(bench.results)
    assert caught.value is bench.stt.error


@with_bench
async def test_the_failure_of_a_dropped_request_is_nobodys(bench: Bench):
    bench.stream.speech_started()
    await bench.hear(5)
    bench.stream.speech_ended()
    await bench.hear(5)
    bench.stt.error = ProviderError("x", Stage.STT, ProviderErrorKind.SERVER, "no", retryable=True)
    bench.stream.speech_started()
    await bench.hear(50)
    bench.stt.error = None
    bench.stream.speech_ended()
    assert await bench.next_text() == "0-59"


@with_bench
async def test_being_told_twice_changes_nothing(bench: Bench):
    bench.stream.speech_started()
    await bench.hear(5)
    bench.stream.speech_started()
    await bench.hear(5)
    bench.stream.speech_ended()
    bench.stream.speech_ended()
    assert await bench.next_text() == "0-9"
    assert len(bench.stt.asked) == 1
    await bench.nothing_more()


@with_bench
async def test_closing_gives_up_what_is_out(bench: Bench):
    bench.stream.speech_started()
    await bench.hear(5)
    bench.stream.speech_ended()
    await bench.hear(2)
    await bench.stream.aclose()
    assert bench.stt.cancelled == 1
