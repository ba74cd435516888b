"""The edge to the providers: watched streams and the recogniser that is kept open."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from oneinbox.core.errors import ProviderError, ProviderErrorKind, Stage
from oneinbox.live.engine import turn_events as ev
from oneinbox.live.engine.ear import Ear
from oneinbox.live.engine.faults import watched
from oneinbox.live.engine.ports import SttFinal, SttResult
from tests.support.virtual_time import now_s, run_virtually


async def _pieces(*delays_s: float, closed: list[str] | None = None) -> AsyncIterator[int]:
    try:
        for number, delay_s in enumerate(delays_s):
            await asyncio.sleep(delay_s)
            yield number
    finally:
        if closed is not None:
            closed.append("closed")


def _watch(stream: AsyncIterator[int]) -> AsyncIterator[int]:
    return watched(stream, provider="p", stage=Stage.LLM, first_s=8.0, stall_s=5.0)


@pytest.mark.parametrize(("delays_s", "got", "failed_at_s"), [((7, 4, 4), 3, None), ((9,), 0, 8), ((7, 6), 1, 12)])
def test_silence_of_a_stream_is_a_timeout(delays_s: tuple[float, ...], got: int, failed_at_s: float | None) -> None:
    async def work() -> None:
        began_s, seen, closed, failure = now_s(), 0, list[str](), None
        try:
            async for _ in _watch(_pieces(*delays_s, closed=closed)):
                seen += 1
        except ProviderError as error:
            failure = error
        assert (failure is None) == (failed_at_s is None)
        if failure is not None:
            assert (failure.kind, failure.retryable) == (ProviderErrorKind.TIMEOUT, True)
            assert now_s() - began_s == pytest.approx(failed_at_s)
        assert seen == got
        assert closed == ["closed"]

    run_virtually(work)


def test_a_bug_becomes_a_fault_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise ValueError("sk-secret")

    async def work() -> None:
        with pytest.raises(ProviderError) as caught:
            async for _ in _watch(broken()):
                pass
        assert caught.value.kind is ProviderErrorKind.PROTOCOL
        assert "secret" not in caught.value.detail

    run_virtually(work)
    assert "adapter p failed" in caplog.text


def test_an_iterator_without_aclose_will_do() -> None:
    class Plain:
        def __init__(self) -> None:
            self.left = 2

        def __aiter__(self) -> "Plain":
            return self

        async def __anext__(self) -> int:
            if not self.left:
                raise StopAsyncIteration
            self.left -= 1
            return self.left

    async def work() -> None:
        assert [item async for item in _watch(Plain())] == [1, 0]

    run_virtually(work)


class _Stream:
    def __init__(self, log: list[str], lives_s: float) -> None:
        self._log = log
        self._lives_s = lives_s

    def push(self, pcm: bytes) -> None:
        self._log.append("push")

    def speech_started(self) -> None:
        self._log.append("started")

    def speech_ended(self) -> None:
        self._log.append("ended")

    async def results(self) -> AsyncIterator[SttResult]:
        await asyncio.sleep(self._lives_s)
        yield SttFinal(text="hello")
        # and then it ends, which a recogniser must not do

    async def aclose(self) -> None:
        self._log.append("closed")


class _Stt:
    def __init__(self, *lives_s: float) -> None:
        self._lives_s = list(lives_s)
        self.log: list[str] = []

    async def prepare(self) -> None: ...

    def open(self) -> _Stream:
        if not self._lives_s:
            raise KeyError("a bug")
        self.log.append("opened")
        return _Stream(self.log, self._lives_s.pop(0))


class _World:
    def __init__(self, *lives_s: float) -> None:
        self.stt = _Stt(*lives_s)
        self.told: list[ev.AnyEvent] = []
        self.faults: list[ProviderError] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.ear = Ear(self.stt, "p", spawn=self._spawn, tell=self.told.append, fault=self.faults.append)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        self.tasks.append(asyncio.get_running_loop().create_task(work, name=name))
        return self.tasks[-1]

    async def end(self) -> None:
        self.ear.close()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def test_a_stream_that_fails_in_speech_is_opened_again_and_told_of_the_speech() -> None:
    async def work() -> None:
        world = _World(1.0, 60.0)
        world.ear.open()
        await asyncio.sleep(0.1)
        world.ear.hear_speech(speech=True)
        await asyncio.sleep(1.2)  # it ended after 1 s; after so short a life the next is opened 0.5 s later
        world.ear.push(b"lost")
        await asyncio.sleep(0.5)
        world.ear.push(b"heard")
        world.ear.hear_speech(speech=False)
        await world.end()
        assert world.stt.log == ["opened", "started", "closed", "opened", "started", "push", "ended", "closed"]
        assert [type(event) for event in world.told] == [ev.Final, ev.SttFailed]
        assert world.told[1] == ev.SttFailed(world.told[1].at_s, fatal=False, short_lived=True)
        assert [fault.kind for fault in world.faults] == [ProviderErrorKind.CONNECTION]

    run_virtually(work)


def test_a_stream_that_lived_long_is_opened_again_at_once() -> None:
    async def work() -> None:
        world = _World(100.0, 100.0)
        world.ear.open()
        await asyncio.sleep(100.1)
        world.ear.push(b"heard")
        await world.end()
        assert world.stt.log == ["opened", "closed", "opened", "push", "closed"]
        assert isinstance(world.told[-1], ev.SttFailed)
        assert not world.told[-1].short_lived

    run_virtually(work)


def test_a_recogniser_that_cannot_even_be_opened() -> None:
    async def work() -> None:
        world = _World()
        world.ear.open()
        await asyncio.sleep(1.2)
        await world.end()
        assert {fault.kind for fault in world.faults} == {ProviderErrorKind.PROTOCOL}
        assert len(world.faults) == 3

    run_virtually(work)


def test_restarting_closes_the_silent_stream() -> None:
    async def work() -> None:
        world = _World(900.0, 900.0)
        world.ear.open()
        await asyncio.sleep(0.1)
        world.ear.restart()
        await asyncio.sleep(0.1)
        world.ear.push(b"heard")
        await world.end()
        assert sorted(world.stt.log) == ["closed", "closed", "opened", "opened", "push"]
        assert [fault.kind for fault in world.faults] == [ProviderErrorKind.TIMEOUT]

    run_virtually(work)
