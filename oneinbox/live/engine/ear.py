"""Listening: keeps one recogniser stream open for the call, whatever happens to it."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Any

from oneinbox.core.errors import ProviderError, ProviderErrorKind, Stage
from oneinbox.live.engine import turn_events as ev
from oneinbox.live.engine.faults import is_fatal, watched
from oneinbox.live.engine.ports import Stt, SttEndOfTurn, SttPartial, SttStream

_SHORT_LIFE_S = 5.0
_REOPEN_DELAY_S = 0.5

Spawn = Callable[[Coroutine[Any, Any, None], str], "asyncio.Task[None]"]


class Ear:
    """Opens recogniser streams one after the other, and tells what they heard and how they failed."""

    def __init__(
        self,
        stt: Stt,
        provider: str,
        *,
        spawn: Spawn,
        tell: Callable[[ev.AnyEvent], None],
        fault: Callable[[ProviderError], None],
    ) -> None:
        self._stt = stt
        self._provider = provider
        self._spawn = spawn
        self._tell = tell
        self._fault = fault
        self._stream: SttStream | None = None
        self._listener: asyncio.Task[None] | None = None
        self._speech = False
        self._now_s = asyncio.get_running_loop().time

    def open(self) -> None:
        """Start listening."""
        self._listener = self._spawn(self._listen(delay_s=0.0), "listen")

    def close(self) -> None:
        """Stop listening; the task that listens frees the stream."""
        self._stream = None
        if self._listener is not None:
            self._listener.cancel()

    def restart(self) -> None:
        """Give the stream up, because it never answered, and listen afresh."""
        self._fault(self._error(ProviderErrorKind.TIMEOUT, "no transcript came for an utterance"))
        self.close()
        self.open()

    def push(self, pcm: bytes) -> None:
        """Take 20 ms of the caller's audio; lost where no stream is open."""
        if self._stream is not None:
            self._stream.push(pcm)

    def hear_speech(self, *, speech: bool) -> None:
        """Tell the recogniser that speech has started, or ended."""
        self._speech = speech
        if self._stream is None:
            return
        if speech:
            self._stream.speech_started()
        else:
            self._stream.speech_ended()

    def _error(self, kind: ProviderErrorKind, detail: str) -> ProviderError:
        return ProviderError(self._provider, Stage.STT, kind, detail, retryable=True)

    async def _listen(self, delay_s: float) -> None:
        while True:
            await asyncio.sleep(delay_s)
            opened_s = self._now_s()
            try:
                await self._read_results()
            except ProviderError as error:
                short_lived = self._now_s() - opened_s < _SHORT_LIFE_S
                delay_s = _REOPEN_DELAY_S if short_lived else 0.0
                self._fault(error)
                self._tell(ev.SttFailed(self._now_s(), fatal=is_fatal(error), short_lived=short_lived))

    async def _read_results(self) -> None:
        """Read one stream until it fails."""
        try:
            stream = self._stt.open()
        except ProviderError:
            raise
        except Exception as error:  # an adapter's bug is a failed recogniser, not a broken call
            raise self._error(ProviderErrorKind.PROTOCOL, f"adapter failed: {type(error).__name__}") from error
        self._stream = stream
        if self._speech:
            stream.speech_started()
        try:
            results = watched(stream.results(), provider=self._provider, stage=Stage.STT, first_s=None, stall_s=None)
            async with aclosing(results):
                async for result in results:
                    if isinstance(result, SttPartial):
                        self._tell(ev.Partial(self._now_s(), result.text))
                    elif isinstance(result, SttEndOfTurn):
                        self._tell(ev.EndOfTurn(self._now_s()))
                    else:
                        self._tell(ev.Final(self._now_s(), result.text, result.confidence))
            raise self._error(ProviderErrorKind.CONNECTION, "the stream ended")
        finally:
            if self._stream is stream:
                self._stream = None
            await stream.aclose()
