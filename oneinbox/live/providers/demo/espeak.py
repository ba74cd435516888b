"""The parent's side of the helper process that speaks: starts it, talks with it, starts it again when it dies."""

import asyncio
import itertools
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import oneinbox
from oneinbox.core.tasks import TaskScope
from oneinbox.live.providers.demo.espeak_process import AUDIO, DONE, FAILED, HEADER, READY, SPEAK, STOP

_MODULE = "oneinbox.live.providers.demo.espeak_process"
_ROOT = Path(oneinbox.__file__).parent.parent
_START_S = 5.0
_ANSWER_S = 4.0
_END_S = 1.0


class EspeakError(Exception):
    """Nothing (more) will be spoken of this text. ``lost``: the process died, and a new one may do better."""

    def __init__(self, message: str, *, lost: bool) -> None:
        super().__init__(message)
        self.lost = lost


class _Life:
    """One life of the helper process: from its start until its output ends."""

    def __init__(self, process: asyncio.subprocess.Process, rate_hz: int) -> None:
        self.process = process
        self.rate_hz = rate_hz
        self.answers: dict[int, asyncio.Queue[bytes | EspeakError | None]] = {}
        self.over = False

    def send(self, kind: int, request: int, body: bytes = b"") -> None:
        if not self.over and self.process.stdin is not None:
            self.process.stdin.write(HEADER.pack(kind, request, len(body)) + body)

    async def read(self) -> None:
        """Hand out what the process says until it says no more."""
        try:
            while True:
                kind, request, body = await _read_frame(self.process)
                answer = self.answers.get(request)
                if answer is None:
                    continue  # stopped meanwhile
                if kind == AUDIO:
                    answer.put_nowait(body)
                elif kind == DONE:
                    answer.put_nowait(None)
                elif kind == FAILED:
                    answer.put_nowait(EspeakError(body.decode(), lost=False))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # it died; whoever waits is told below
        finally:
            self.over = True
            for answer in self.answers.values():
                answer.put_nowait(EspeakError("the helper process died", lost=True))

    def kill(self) -> None:
        """End the process at once."""
        self.over = True
        if self.process.returncode is None:
            try:
                self.process.kill()
            except ProcessLookupError:
                pass  # it was quicker


class EspeakProcess:
    """espeak-ng for all calls of a worker: one helper process, started when it is first needed."""

    def __init__(self) -> None:
        self._life: _Life | None = None
        self._starting = asyncio.Lock()
        self._numbers = itertools.count(1)
        self._scope = TaskScope("espeak")

    @property
    def pid(self) -> int | None:
        """The helper process, where one runs."""
        return None if self._life is None or self._life.over else self._life.process.pid

    async def start(self) -> int:
        """Start the process unless it runs; return the sample rate of its audio. Raises :class:`EspeakError`."""
        return (await self._living()).rate_hz

    async def speak(self, text: str, voice: str, words_per_minute: int) -> AsyncGenerator[bytes]:
        """Stream ``text`` as mono s16le audio of the rate that ``start`` gives; raises :class:`EspeakError`.

        Closing the iterator stops the synthesis.
        """
        life = await self._living()
        number = next(self._numbers)
        answer = life.answers[number] = asyncio.Queue()
        done = False
        wish = {"text": text, "voice": voice, "words_per_minute": words_per_minute}
        try:
            life.send(SPEAK, number, json.dumps(wish).encode())
            while True:
                async with asyncio.timeout(_ANSWER_S):
                    piece = await answer.get()
                if piece is None:
                    done = True
                    return
                if isinstance(piece, EspeakError):
                    raise piece
                yield piece
        except TimeoutError:
            life.kill()
            raise EspeakError("the helper process hangs", lost=True) from None
        finally:
            del life.answers[number]
            if not done:
                life.send(STOP, number)

    async def aclose(self) -> None:
        """End the process."""
        life, self._life = self._life, None
        if life is not None:
            if life.process.stdin is not None:
                life.process.stdin.close()
            try:
                async with asyncio.timeout(_END_S):
                    await life.process.wait()
            except TimeoutError:
                life.kill()
                await life.process.wait()
        await self._scope.aclose()

    async def _living(self) -> _Life:
        async with self._starting:
            if self._life is None or self._life.over:
                self._life = await self._begin()
            return self._life

    async def _begin(self) -> _Life:
        process: asyncio.subprocess.Process | None = None
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                _MODULE,
                cwd=_ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            async with asyncio.timeout(_START_S):
                kind, _, body = await _read_frame(process)
            if kind != READY:
                raise EspeakError("the helper process spoke before it was ready", lost=True)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            if process is not None and process.returncode is None:
                process.kill()
                await process.wait()
            raise EspeakError(f"the helper process does not start ({type(error).__name__})", lost=True) from error
        life = _Life(process, int(body))
        self._scope.spawn(life.read(), "read")
        return life


async def _read_frame(process: asyncio.subprocess.Process) -> tuple[int, int, bytes]:
    """Return kind, request and body; raises ``IncompleteReadError`` at the end of the process's output."""
    stream = process.stdout
    if stream is None:
        raise RuntimeError("the process was started without a pipe")
    kind, request, length = HEADER.unpack(await stream.readexactly(HEADER.size))
    return kind, request, await stream.readexactly(length)


async def speak_twice(process: EspeakProcess, text: str, voice: str, words_per_minute: int) -> AsyncGenerator[bytes]:
    """Like ``EspeakProcess.speak``, but a text whose process died is spoken once again.

    espeak-ng takes equally long over the same text each time (to about a hundredth of a second a sentence), so the
    second try goes on where the first broke off.
    """
    given = 0
    try:
        async with aclosing(process.speak(text, voice, words_per_minute)) as pieces:
            async for piece in pieces:
                given += len(piece)
                yield piece
            return
    except EspeakError as error:
        if not error.lost:
            raise
    async with aclosing(process.speak(text, voice, words_per_minute)) as pieces:
        async for piece in pieces:
            skipped = min(given, len(piece))
            given -= skipped
            if skipped < len(piece):
                yield piece[skipped:]
