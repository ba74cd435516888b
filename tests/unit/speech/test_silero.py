"""The batched VAD: the same numbers as one by one, deaf to silence, awake to people."""

import asyncio
import functools
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, ParamSpec

import numpy as np
import pytest

from oneinbox.live.speech.silero import SileroStream, SileroVad
from tests.support.speech import need_prompts, prompt, prompt_texts, silence
from tests.support.tools import missing
from tests.support.virtual_time import run_virtually

MODEL = Path(sys.prefix) / "share" / "oneinbox" / "models" / "silero_vad.onnx"
WINDOW_BYTES = 1024


@pytest.fixture(scope="module")
def speech() -> list[bytes]:
    need_prompts()
    named = [name for name, text in sorted(prompt_texts().items()) if len(text.split()) >= 8]
    return [prompt(name) for name in named[:12]]


@pytest.fixture
def vad() -> SileroVad:
    if not MODEL.is_file():
        missing(f"the Silero model ({MODEL}); run scripts/fetch_models.py")
    return SileroVad(MODEL)


Args = ParamSpec("Args")


def virtually(test: Callable[Args, Coroutine[Any, Any, None]]) -> Callable[Args, None]:
    """Run an async test on a clock that jumps."""

    @functools.wraps(test)
    def run(*args: Args.args, **kwargs: Args.kwargs) -> None:
        run_virtually(lambda: test(*args, **kwargs))

    return run


async def settle() -> None:
    """Let every window that is due be judged."""
    for _ in range(4):
        await asyncio.sleep(0.011)


def noise(seconds: float, seed: int, level: float = 3000) -> bytes:
    samples = np.random.default_rng(seed).normal(0, level, int(16_000 * seconds))
    return np.clip(samples, -32768, 32767).astype("<i2").tobytes()


async def feed(vad: SileroVad, clips: list[bytes]) -> list[list[float]]:
    """Push all clips beside each other, frame by frame, out of step."""
    heard: list[list[float]] = [[] for _ in clips]
    streams = [vad.open(probabilities.append) for probabilities in heard]
    frames = [[clip[at : at + 640] for at in range(0, len(clip), 640)] for clip in clips]
    for step in range(max(len(clip) for clip in frames)):
        for stream, clip in zip(streams, frames, strict=True):
            if step < len(clip):
                stream.push(clip[step])
        if step % 3 == 0:
            await asyncio.sleep(0.011)
    while any(len(stream.pending) >= WINDOW_BYTES for stream in streams):
        await asyncio.sleep(0.011)
    for stream in streams:
        stream.close()
    return heard


@virtually
async def test_batched_is_exactly_one_by_one(vad: SileroVad, speech: list[bytes]) -> None:
    clips = [clip[:32_000] for clip in speech]
    batched = await feed(vad, clips)
    assert vad.windows / vad.batches > 3
    for clip, probabilities in zip(clips, batched, strict=True):
        (alone,) = await feed(vad, [clip])
        assert probabilities == alone
        assert len(alone) == len(clip) // WINDOW_BYTES


@virtually
async def test_people_are_heard_and_silence_is_not(vad: SileroVad, speech: list[bytes]) -> None:
    heard = await feed(vad, [silence(0.5) + clip + silence(1.0) for clip in speech])
    for probabilities in heard:
        assert max(probabilities[:10]) < 0.35, "silence before"
        assert np.mean(np.array(probabilities[16:-31]) > 0.5) > 0.6, "speech"
        assert max(probabilities[-10:]) < 0.35, "silence after"
    quiet = await feed(vad, [silence(2.0), noise(2.0, 1, level=20)])
    assert max(max(probabilities) for probabilities in quiet) < 0.35


@virtually
async def test_speech_is_noticed_quickly(vad: SileroVad, speech: list[bytes]) -> None:
    delays: list[int] = []
    for clip in speech:
        samples = np.frombuffer(clip, "<i2")
        onset = int(np.argmax(np.abs(samples.astype(np.int32)) > 1500))
        (probabilities,) = await feed(vad, [clip])
        first = next(at for at, probability in enumerate(probabilities) if probability >= 0.5)
        delays.append((first + 1) * 512 - onset)
    assert np.median(delays) < 16_000 * 0.1, delays


@virtually
async def test_it_grows_and_shrinks_without_touching_the_others(vad: SileroVad, speech: list[bytes]) -> None:
    clip = speech[0][:64_000]
    (alone,) = await feed(vad, [clip])
    heard: list[float] = []
    stream = vad.open(heard.append)
    others: list[SileroStream] = []
    for at in range(0, len(clip) - 639, 640):
        stream.push(clip[at : at + 640])
        step = at // 640
        if step < 40:
            others.append(vad.open(lambda _: None))
            others[-1].push(noise(0.05, step))
        elif others:
            others.pop(step % len(others)).close()
        if step == 40:
            assert vad.capacity >= 41
        await asyncio.sleep(0.011)
    while len(stream.pending) >= WINDOW_BYTES:
        await asyncio.sleep(0.011)
    assert vad.capacity == 8
    assert heard == alone[: len(heard)]
    assert len(heard) >= len(alone) - 1


@virtually
async def test_closing_in_the_middle_of_a_batch(vad: SileroVad) -> None:
    calls: list[str] = []
    streams = {name: vad.open(lambda _, name=name: on(name)) for name in "abcdef"}

    def on(name: str) -> None:
        calls.append(name)
        for other in "abcdef":
            if other != name:
                streams[other].close()
        streams["new"] = vad.open(lambda _: calls.append("new"))

    for stream in list(streams.values()):
        stream.push(noise(0.032, 3))
    await settle()
    assert calls == ["a"]
    streams["new"].push(noise(0.032, 4))
    streams["b"].push(noise(0.032, 4))
    await settle()
    assert calls == ["a", "new"]


@virtually
async def test_a_failing_callback_costs_only_its_own_call(vad: SileroVad, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: float) -> None:
        raise ZeroDivisionError

    heard: list[float] = []
    streams = [vad.open(fail), vad.open(heard.append)]
    for stream in streams:
        stream.push(noise(0.064, 5))
    await settle()
    assert len(heard) == 2
    assert "voice activity callback failed" in caplog.text


@virtually
async def test_audio_of_any_length(vad: SileroVad) -> None:
    clip = noise(1.0, 6)
    (whole,) = await feed(vad, [clip])
    heard: list[float] = []
    stream = vad.open(heard.append)
    for at in range(0, len(clip), 1234):
        stream.push(clip[at : at + 1234])
    while len(heard) < len(whole):
        await asyncio.sleep(0.011)
    assert heard == whole


@virtually
async def test_nothing_runs_while_there_is_nothing_to_do(vad: SileroVad) -> None:
    stream = vad.open(lambda _: None)
    stream.push(noise(0.02, 7))
    await settle()
    assert vad.batches == 0
    stream.close()
    stream.close()
    stream.push(noise(0.1, 7))
    await settle()
    assert vad.batches == 0


async def feed_in_real_time(vad: SileroVad, clips: list[bytes]) -> list[list[float]]:
    """Push all clips beside each other, a frame of each at a time, and wait until all of it has been judged."""
    heard: list[list[float]] = [[] for _ in clips]
    streams = [vad.open(probabilities.append) for probabilities in heard]
    for at in range(0, max(map(len, clips)), 640):
        for stream, clip in zip(streams, clips, strict=True):
            stream.push(clip[at : at + 640])
        await asyncio.sleep(0)
    while any(len(found) < len(clip) // WINDOW_BYTES for found, clip in zip(heard, clips, strict=True)):
        await asyncio.sleep(0.005)
    for stream in streams:
        stream.close()
    return heard


async def test_in_the_thread_it_is_exactly_the_same(vad: SileroVad, speech: list[bytes]) -> None:
    clips = [clip[: 32_000 + 640 * number] for number, clip in enumerate(speech)]
    threaded = SileroVad(MODEL, most_inline=0)
    assert await feed_in_real_time(threaded, clips) == await feed_in_real_time(vad, clips)
    assert threaded.threaded_batches == threaded.batches > 0
    assert vad.threaded_batches == 0
    threaded.close()


async def test_streams_that_come_and_go_while_the_thread_works(vad: SileroVad, speech: list[bytes]) -> None:
    clip = speech[0][:32_000]
    (alone,) = await feed_in_real_time(vad, [clip])
    threaded = SileroVad(MODEL, most_inline=0)
    heard: list[float] = []
    passing: list[float] = []
    first = threaded.open(passing.append)  # makes the kept stream move when the slots are numbered anew
    stream = threaded.open(heard.append)
    others: list[SileroStream] = []
    for number, at in enumerate(range(0, len(clip), WINDOW_BYTES)):
        stream.push(clip[at : at + WINDOW_BYTES])
        others.append(threaded.open(passing.append))
        others[-1].push(noise(0.032, number))
        while not threaded.judging:
            await asyncio.sleep(0)
        if number == 10:
            first.close()
        others.pop(0).close() if number % 2 else None
        if number == 20:
            while others:  # a batch of them is being judged: their slots are given to nobody before it is back
                others.pop().close()
        while len(heard) <= number and len(heard) < len(alone):
            await asyncio.sleep(0.002)
    assert heard == alone
    count = len(passing)
    for other in others:
        other.close()
    stream.close()
    await asyncio.sleep(0.03)
    assert len(passing) == count
    threaded.close()


def test_a_missing_model_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"fetch_models\.py"):
        SileroVad(tmp_path / "none.onnx")
