"""The demo's ears: a few recognisers shared by all calls of a worker, and the stream that one call hears through.

A recogniser is lent for one utterance, fed in a thread while the caller speaks, and given back. So four of them serve
many calls; only when more callers than that speak at once must one wait, and whoever has waited too long is told so.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from oneinbox.core.errors import ProviderError, ProviderErrorKind, Stage
from oneinbox.core.tasks import TaskScope
from oneinbox.live.engine.ports import FRAME_MS, SttFinal, SttPartial, SttResult
from oneinbox.live.providers.demo.agent import Whereabouts
from oneinbox.live.providers.demo.flow import BUSY
from oneinbox.live.providers.demo.recogniser import Recogniser

PRE_ROLL_MS = 400
MAX_LISTENERS = 4
_THREADS = 2
_FEED_FRAMES = 5  # 100 ms: fewer hand-overs between threads, and still nothing left to do when the speech ends
_MAX_UTTERANCE_FRAMES = 60 * 1000 // FRAME_MS  # no phrase is longer; what is cannot be one
_WAIT_AFTER_SPEECH_S = 0.8
_STABLE_TIMES = 2

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")


class ListenerPool:
    """The recognisers of a worker, made when they are first needed."""

    def __init__(self, size: int = MAX_LISTENERS) -> None:
        self._size = size
        self._made = 0
        self._free: asyncio.Queue[Recogniser | ProviderError] = asyncio.Queue()
        self._threads: ThreadPoolExecutor | None = None

    async def warm(self) -> None:
        """Make the first recogniser, so that the first caller need not wait for it; raises ``ProviderError``."""
        self.give_back(await self.lend())

    async def lend(self) -> Recogniser:
        """Return a recogniser that is free, waiting for one if need be; raises ``ProviderError``."""
        if self._free.empty() and self._made < self._size:
            self._made += 1
            asyncio.wrap_future(self.submit(Recogniser)).add_done_callback(self._arrived)
        lent = await self._free.get()
        if isinstance(lent, ProviderError):
            raise lent
        return lent

    def give_back(self, recogniser: Recogniser) -> None:
        """Take a recogniser back that nothing runs on."""
        self._free.put_nowait(recogniser)

    def submit(
        self, work: Callable[Arguments, Returned], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Returned]:
        """Run ``work`` in one of the pool's threads."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="demo-ear")
        return self._threads.submit(work, *args, **kwargs)

    async def aclose(self) -> None:
        """Stop the threads, once what runs in them is done."""
        if self._threads is not None:
            await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)

    def _arrived(self, made: "asyncio.Future[Recogniser]") -> None:
        if made.cancelled():
            self._made -= 1
            return
        error = made.exception()
        if error is None:
            self._free.put_nowait(made.result())
            return
        self._made -= 1
        detail = f"pocketsphinx cannot be loaded ({type(error).__name__})"
        self._free.put_nowait(ProviderError("demo", Stage.STT, ProviderErrorKind.REJECTED, detail, retryable=False))


class DemoEar:
    """The demo's recogniser for one call."""

    def __init__(self, pool: ListenerPool, whereabouts: Whereabouts) -> None:
        self._pool = pool
        self._whereabouts = whereabouts

    async def prepare(self) -> None:
        """Have a recogniser made."""
        try:
            await self._pool.warm()
        except ProviderError:
            pass  # reported by the first utterance

    def open(self) -> "DemoEarStream":
        """Start listening."""
        return DemoEarStream(self._pool, self._whereabouts)


class DemoEarStream:
    """Hears one call: one task for each utterance, which borrows a recogniser for as long."""

    def __init__(self, pool: ListenerPool, whereabouts: Whereabouts) -> None:
        self._pool = pool
        self._whereabouts = whereabouts
        self._mean: str | None = None
        self._pre_roll: deque[bytes] = deque(maxlen=PRE_ROLL_MS // FRAME_MS)
        self._frames: list[bytes] = []
        self._ended_at: int | None = None
        """How many frames the utterance had when speech ended; ``None`` while it goes on."""
        self._news = asyncio.Event()
        self._wait: asyncio.Timeout | None = None
        self._utterance: asyncio.Task[None] | None = None
        self._results: asyncio.Queue[SttResult | ProviderError] = asyncio.Queue()
        self._scope = TaskScope("demo-ear")

    def push(self, pcm: bytes) -> None:
        """Take one frame."""
        if self._utterance is None:
            self._pre_roll.append(pcm)
        elif len(self._frames) < _MAX_UTTERANCE_FRAMES:
            self._frames.append(pcm)
            self._news.set()

    def speech_started(self) -> None:
        """Begin an utterance, or go on with the one that is being finished."""
        self._ended_at = None
        if self._wait is not None:
            self._wait.reschedule(None)
        if self._utterance is None:
            self._frames = list(self._pre_roll)
            self._pre_roll.clear()
            self._utterance = self._scope.spawn(self._hear(), "utterance")

    def speech_ended(self) -> None:
        """Finish the utterance."""
        if self._utterance is not None and self._ended_at is None:
            self._ended_at = len(self._frames)
            self._news.set()
            if self._wait is not None:
                self._wait.reschedule(asyncio.get_running_loop().time() + _WAIT_AFTER_SPEECH_S)

    async def results(self) -> AsyncIterator[SttResult]:
        """Yield what was heard; raises ``ProviderError`` where the recogniser cannot be had at all."""
        while True:
            result = await self._results.get()
            if isinstance(result, ProviderError):
                raise result
            yield result

    async def aclose(self) -> None:
        """Stop listening, and give back what is borrowed."""
        await self._scope.aclose()

    async def _hear(self) -> None:
        result: SttResult | ProviderError
        try:
            result = await self._listen()
        except ProviderError as error:
            result = error
        self._pre_roll.extend(self._frames[self._ended_at :] if self._ended_at is not None else ())
        self._frames = []
        self._utterance = None
        self._results.put_nowait(result)

    async def _listen(self) -> SttFinal:
        recogniser = await self._borrow()
        if recogniser is None:
            return SttFinal(text=BUSY, confidence=0.0)
        loan = _Loan(self._pool, recogniser)
        try:
            while True:
                await loan.do(recogniser.start, self._whereabouts.state, self._mean)
                fed = await self._feed(loan)
                heard, mean = await loan.do(recogniser.finish)
                if self._ended_at == fed:
                    break  # else speech began again meanwhile: the whole once more
        except RuntimeError as error:  # pocketsphinx's only way to complain
            detail = f"pocketsphinx failed ({type(error).__name__})"
            raise ProviderError("demo", Stage.STT, ProviderErrorKind.PROTOCOL, detail, retryable=True) from error
        finally:
            loan.end()
        if heard.confidence >= 0.5:
            self._mean = mean  # what was no phrase may have been no voice: nothing to learn the microphone from
        return SttFinal(text=heard.text, confidence=heard.confidence)

    async def _borrow(self) -> Recogniser | None:
        """Wait for a recogniser, but not for long once the caller has finished speaking."""
        try:
            async with asyncio.timeout(None) as self._wait:
                if self._ended_at is not None:
                    self._wait.reschedule(asyncio.get_running_loop().time() + _WAIT_AFTER_SPEECH_S)
                return await self._pool.lend()
        except TimeoutError:
            return None
        finally:
            self._wait = None

    async def _feed(self, loan: "_Loan") -> int:
        """Feed the utterance from its first frame until it has ended; return how many frames it had."""
        fed = seen = 0
        last = told = ""
        while True:
            ready = len(self._frames) if self._ended_at is None else self._ended_at
            if fed < ready and (self._ended_at is not None or ready - fed >= _FEED_FRAMES):
                text = await loan.do(loan.recogniser.feed, b"".join(self._frames[fed:ready]))
                fed = ready
                seen = seen + 1 if text == last else 1
                last = text
                if text and text != told and seen >= _STABLE_TIMES:
                    told = text
                    self._results.put_nowait(SttPartial(text=text))
            elif fed == self._ended_at:
                return fed
            else:
                self._news.clear()
                await self._news.wait()


class _Loan:
    """A borrowed recogniser. It goes back only when nothing runs on it any more, even if the borrower is cancelled."""

    def __init__(self, pool: ListenerPool, recogniser: Recogniser) -> None:
        self.recogniser = recogniser
        self._pool = pool
        self._job: Future[Any] | None = None

    async def do(
        self, work: Callable[Arguments, Returned], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Returned:
        """Run ``work`` in a thread and wait for it; a cancelled wait leaves it running."""
        job = self._pool.submit(work, *args, **kwargs)
        self._job = job
        return await asyncio.shield(asyncio.wrap_future(job))

    def end(self) -> None:
        """Give the recogniser back."""
        if self._job is None or self._job.done():
            self._pool.give_back(self.recogniser)
        else:
            loop = asyncio.get_running_loop()
            self._job.add_done_callback(lambda _: loop.call_soon_threadsafe(self._pool.give_back, self.recogniser))
