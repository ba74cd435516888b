"""The helper process that speaks: first sound, stopping, sharing, dying."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from oneinbox.core.errors import ProviderError, ProviderErrorKind, Stage
from oneinbox.core.spec import TtsSpec
from oneinbox.live.engine.ports import SPOKEN_RATE_HZ
from oneinbox.live.providers.demo import espeak as espeak_module
from oneinbox.live.providers.demo.espeak import EspeakError, EspeakProcess, speak_twice
from oneinbox.live.providers.demo.espeak_process import split
from oneinbox.live.providers.demo.voice import DemoVoice

SENTENCE = "Would you like to book a table, hear our opening hours, or talk to a person?"
TALE = " ".join([SENTENCE] * 4)
LONG = " ".join([SENTENCE] * 40)


@asynccontextmanager
async def a_process() -> AsyncIterator[EspeakProcess]:
    process = EspeakProcess()
    try:
        yield process
    finally:
        await process.aclose()


def voice(process: EspeakProcess, **spec: object) -> DemoVoice:
    return DemoVoice(TtsSpec(provider="demo", **spec), process)  # type: ignore[arg-type] - a test's shorthand


async def speech_of(tts: DemoVoice, text: str) -> bytes:
    return b"".join([piece async for piece in tts.speak(text)])


def alike(one: bytes, other: bytes) -> bool:
    """Whether two takes are the same speech: espeak-ng mixes a little chance into length and sound."""
    if abs(len(one) - len(other)) > 0.02 * len(other):
        return False
    window = 2400  # 0.1 s
    whole = min(len(one), len(other)) // 2 // window * window
    loudness = [
        np.sqrt(np.mean(np.frombuffer(pcm, np.int16)[:whole].astype(float).reshape(-1, window) ** 2, axis=1))
        for pcm in (one, other)
    ]
    return float(np.corrcoef(*loudness)[0, 1]) > 0.7


def seconds(pcm: bytes) -> float:
    return len(pcm) / 2 / SPOKEN_RATE_HZ


async def test_a_sentence_is_spoken_in_pieces_that_are_real_sound() -> None:
    async with a_process() as process:
        pieces = [piece async for piece in voice(process).speak(SENTENCE)]
        pcm = np.frombuffer(b"".join(pieces), np.int16)
        assert len(pieces) > 5
        assert all(len(piece) % 2 == 0 for piece in pieces)
        assert 2 < len(pcm) / SPOKEN_RATE_HZ < 8
        assert np.sqrt(np.mean(pcm.astype(float) ** 2)) > 500
        assert len(pieces[0]) / 2 / SPOKEN_RATE_HZ < 0.1  # the first piece is not held back for the rest


async def test_speed_and_voice_are_heard_and_an_unknown_voice_is_the_default() -> None:
    async with a_process() as process:
        usual = await speech_of(voice(process), SENTENCE)
        fast = await speech_of(voice(process, speed=2.0), SENTENCE)
        slow = await speech_of(voice(process, speed=0.5), SENTENCE)
        assert seconds(fast) < 0.75 * seconds(usual) < 0.75 * seconds(slow)
        assert not alike(await speech_of(voice(process, voice="de"), SENTENCE), usual)
        assert alike(await speech_of(voice(process, voice="../../etc/passwd"), SENTENCE), usual)
        assert alike(await speech_of(voice(process), SENTENCE), usual)


@pytest.mark.parametrize("text", ["", "   ", "...", "\0"])
async def test_nothing_to_say_ends_well(text: str) -> None:
    async with a_process() as process:
        assert seconds(await speech_of(voice(process), text)) < 0.5


async def test_closing_the_iterator_stops_the_synthesis() -> None:
    async with a_process() as process:
        tts = voice(process)
        stream = tts.speak(LONG)
        assert await anext(stream)
        await stream.aclose()
        assert await speech_of(tts, SENTENCE)
        life = process._life
        assert life is not None
        assert life.answers == {}


async def test_two_calls_share_the_process_and_a_long_text_does_not_delay_a_short_one() -> None:
    async with a_process() as process:
        finished: list[str] = []

        async def speak(name: str, text: str) -> bytes:
            pcm = await speech_of(voice(process), text)
            finished.append(name)
            return pcm

        alone = await speech_of(voice(process), SENTENCE)
        long, short = await asyncio.gather(speak("long", LONG), speak("short", SENTENCE))
        assert finished == ["short", "long"]
        assert alike(short, alone)
        assert seconds(long) > 30 * seconds(short)
        assert process.pid is not None


async def test_a_process_that_dies_in_mid_sentence_is_replaced_and_nothing_is_heard_twice() -> None:
    async with a_process() as process:
        tts = voice(process)
        whole = await speech_of(tts, TALE)
        first = process.pid
        assert first is not None
        stream = tts.speak(TALE)
        heard = await anext(stream)
        os.kill(first, signal.SIGKILL)
        async for piece in stream:
            heard += piece
        assert process.pid != first
        assert alike(heard, whole)


async def test_a_process_that_dies_between_sentences_is_replaced() -> None:
    async with a_process() as process:
        before = await speech_of(voice(process), SENTENCE)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        assert alike(await speech_of(voice(process), SENTENCE), before)


async def test_dying_twice_is_a_provider_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_process() as process:
        await process.start()
        started = EspeakProcess._begin

        async def dying(self: EspeakProcess) -> object:
            life = await started(self)
            life.process.kill()
            return life

        monkeypatch.setattr(EspeakProcess, "_begin", dying)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        await asyncio.sleep(0.2)
        with pytest.raises(ProviderError) as caught:
            await speech_of(voice(process), LONG)
        assert (caught.value.stage, caught.value.kind) == (Stage.TTS, ProviderErrorKind.CONNECTION)
        assert caught.value.retryable


async def test_a_process_that_cannot_start_is_a_provider_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(espeak_module, "_MODULE", "oneinbox.no_such_module")
    async with a_process() as process:
        await voice(process).prepare()
        with pytest.raises(ProviderError):
            await speech_of(voice(process), SENTENCE)


async def test_a_process_that_hangs_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(espeak_module, "_ANSWER_S", 0.5)
    async with a_process() as process:
        before = await speech_of(voice(process), SENTENCE)
        hanging = process.pid
        assert hanging is not None
        os.kill(hanging, signal.SIGSTOP)
        assert alike(await speech_of(voice(process), SENTENCE), before)
        assert process.pid != hanging


async def test_a_failure_that_is_not_a_death_is_not_tried_again() -> None:
    class Failing(EspeakProcess):
        asked = 0

        async def speak(self, text: str, voice: str, words_per_minute: int):
            self.asked += 1
            raise EspeakError("espeak-ng could not speak (-1)", lost=False)
            yield b""

    process = Failing()
    with pytest.raises(EspeakError):
        await anext(speak_twice(process, "text", "en-us", 165))
    assert process.asked == 1


async def test_the_process_ends_with_its_owner() -> None:
    process = EspeakProcess()
    await process.start()
    helper = psutil.Process(process.pid)
    await process.aclose()
    assert not helper.is_running() or helper.status() == psutil.STATUS_ZOMBIE


def test_the_process_ends_when_its_parent_is_killed() -> None:
    parent_code = textwrap.dedent("""
        import asyncio
        from oneinbox.live.providers.demo.espeak import EspeakProcess
        async def main():
            process = EspeakProcess()
            await process.start()
            print(process.pid, flush=True)
            await asyncio.sleep(60)
        asyncio.run(main())
    """)
    root = Path(espeak_module.__file__).parents[4]
    with subprocess.Popen([sys.executable, "-c", parent_code], cwd=root, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        helper = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        parent.wait()
    psutil.wait_procs([helper], timeout=10)
    assert not helper.is_running() or helper.status() == psutil.STATUS_ZOMBIE


async def test_the_library_stays_out_of_this_process() -> None:
    async with a_process() as process:
        await speech_of(voice(process), SENTENCE)
    loaded = {Path(mapping.path).name for mapping in psutil.Process().memory_maps()}
    assert not any("espeak" in name for name in loaded)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("", []),
        ("no end", ["no end"]),
    ],
)
def test_texts_are_cut_at_sentences(text: str, pieces: list[str]) -> None:
    assert split(text) == pieces


def test_no_piece_is_long_and_no_word_is_lost() -> None:
    text = " ".join(f"word{number}" for number in range(500)) + " " + "x" * 1000
    pieces = split(text)
    assert all(len(piece) <= 240 for piece in pieces)
    assert "".join(pieces).replace(" ", "") == text.replace(" ", "")
