"""One reply on its way from the language model to the mouth: text, sentences, audio, in order and ahead of time.

The model's text is cut into sentences; each sentence is voiced by a task of its own, two at a time at most and not more than a few
seconds ahead of what is being heard (what is made and never heard costs money). Audio is handed on in order, once
the reply is released. Before that only the first sentence is voiced, because the reply may be dropped.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import aclosing
from typing import Any, Protocol

from oneinbox.core.errors import ProviderError, ProviderErrorKind, Stage
from oneinbox.core.spec import CallSpec
from oneinbox.live.engine.faults import Patience, watched
from oneinbox.live.engine.history import Exchange
from oneinbox.live.engine.mind import Mind
from oneinbox.live.engine.ports import SPOKEN_RATE_HZ, HangUp, Suggestions, TextDelta, ToolCall, Tts, WordSpoken
from oneinbox.live.engine.sentences import SentenceSplitter, speakable
from oneinbox.live.engine.transcript import Spoken

_AT_ONCE = 2
_AHEAD_S = 6.0


class Owner(Protocol):
    """What a reply needs of the call it belongs to."""

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a task that lives no longer than the call."""
        ...

    def fault(self, error: ProviderError) -> None:
        """Report a provider's failure."""
        ...

    def write(self, reply: "Reply", pcm: bytes) -> None:
        """Hand on audio of a released reply."""
        ...

    def queued_samples(self, reply: "Reply") -> int:
        """Return how much of the reply was handed on and not heard yet."""
        ...

    def wants_to_act(self, reply: "Reply") -> None:
        """A reply asks for tools: ``commit`` it as soon as its turn is certain."""
        ...

    def changed(self, reply: "Reply") -> None:
        """A reply has made progress, or failed: look whether it is ``complete``."""
        ...


class _Sentence(Spoken):
    """A sentence and its audio that has not been handed on."""

    __slots__ = ("chunks", "done", "filler", "round", "task")

    def __init__(self, text: str, round_: int, *, filler: bool = False) -> None:
        super().__init__(text)
        self.round = round_
        self.chunks: list[bytes] = []
        self.done = False  # no more audio will come
        self.filler = filler
        self.task: asyncio.Task[None] | None = None


class Reply:
    """A reply, in rounds: what the model says, then what it says to the results of the tools it asked for, and so on.

    A round is asked for again, once, where it fails before anything of it was handed on. Tools run only after ``commit``.
    """

    def __init__(
        self,
        reply_id: int,
        turn: int,
        mind: Mind,
        *,
        spec: CallSpec,
        tts: Tts,
        owner: Owner,
        patience: Patience,
        eager: bool = False,
        retries: int = 1,
    ) -> None:
        self.reply_id = reply_id
        self.turn = turn
        self.sentences: list[_Sentence] = []
        """What there is to say, in order (for ``transcript.heard_text``)."""
        self.error: ProviderError | None = None
        """Why there is no more of it."""
        self.hang_up = False
        self.suggestions: tuple[str, ...] | None = None
        self.measures: list[tuple[str, float]] = []
        """Latencies in seconds: ``llm_ttft``, asking the model to its first token, of each round; ``tts_ttfb``, handing
        the first sentence to the voice to its first audio."""
        self.exchanges: list[Exchange] = []
        """The tools of each round that had any, on the history."""
        self.marks: list[tuple[int, int]] = []
        """From which of its samples on a later round is heard: (round, samples handed on before)."""
        self.written_samples = 0
        self.filled = 0
        """How often it was asked to say that it is slow."""
        self._mind = mind
        self._spec = spec
        self._tts = tts
        self._owner = owner
        self._patience = patience
        self._eager = eager
        self._retries = retries
        self._released = False
        self._thought = False
        self._dropped = False
        self._thinker: asyncio.Task[None] | None = None
        self._flushed = 0  # sentences handed on wholly
        self._round = 0
        self._begun = False  # some of this round, not only a filler, was handed on
        self._voiced_one = False  # tts_ttfb is measured
        self._certain = asyncio.Event()
        self._all_there = asyncio.Event()
        self._now_s = asyncio.get_running_loop().time

    @property
    def rounds(self) -> int:
        """How many rounds it has so far."""
        return self._round + 1

    @property
    def complete(self) -> bool:
        """Whether all that there will be of it has been handed on."""
        return self._thought and self._flushed == len(self.sentences)

    @property
    def voiced(self) -> bool:
        """Whether all of it is there as audio."""
        return self._thought and self.error is None and all(sentence.whole for sentence in self.sentences)

    async def wait_voiced(self) -> None:
        """Wait until all of it is there as audio, or it has failed."""
        await self._all_there.wait()

    def start(self) -> None:
        """Ask for it."""
        self._thinker = self._owner.spawn(self._think(), f"reply-{self.reply_id}")

    def release(self) -> None:
        """Hand its audio on from now on."""
        self._released = True
        self.update()

    def commit(self) -> None:
        """Its turn is certain: it may act."""
        self._certain.set()

    def drop(self) -> None:
        """Stop all work on it; tools that run go on."""
        self._dropped = True
        for task in (self._thinker, *(sentence.task for sentence in self.sentences)):
            if task is not None:
                task.cancel()

    @property
    def begun(self) -> bool:
        """Whether some of it, not only a filler, was handed on."""
        return self._begun

    def fill(self, text: str) -> bool:
        """Say ``text`` before the next sentence that has no audio yet; return whether it will be said.

        The first time it is not where the reply's own sound is under way already.
        """
        if self._dropped or self.complete:
            return False
        self.filled += 1
        under_way = any(sentence.task is not None and not sentence.done for sentence in self.sentences)
        if self.filled == 1 and under_way:
            return False
        at = self._flushed
        while at < len(self.sentences) and self.sentences[at].samples:
            at += 1
        # What is left to say of an earlier round still comes: the filler belongs to what it stands before.
        round_ = self.sentences[at].round if at < len(self.sentences) else self._round
        sentence = _Sentence(text, round_, filler=True)
        self.sentences.insert(at, sentence)
        self._start_voice(sentence)
        return True

    def update(self) -> None:
        """Hand on what can be, and begin the next sentences where that is due."""
        if self._dropped:
            return
        if self._released:
            self._flush()
        waiting = [sentence for sentence in self.sentences if sentence.task is None]
        busy = sum(1 for sentence in self.sentences if sentence.task is not None and not sentence.done)
        ahead = (
            self._owner.queued_samples(self)
            + sum(len(chunk) for sentence in self.sentences for chunk in sentence.chunks) // 2
        )
        for sentence in waiting:
            first = sentence is self.sentences[0]
            if not first and (busy >= _AT_ONCE or not (self._released or self._eager)):
                break
            if ahead >= _AHEAD_S * SPOKEN_RATE_HZ and not self._eager:
                break
            busy += 1
            self._start_voice(sentence)
        if self.voiced or self.error is not None:
            self._all_there.set()
        self._owner.changed(self)

    # ---- text ---------------------------------------------------------------------------------------------------

    async def _think(self) -> None:
        try:
            while (calls := await self._ask()) and await self._act(calls):
                self._round += 1
                self._begun = False
        except ProviderError as error:
            self._owner.fault(error)
            self._fail(error, len(self.sentences))
            return
        self._thought = True
        self.update()

    async def _ask(self) -> list[ToolCall]:
        """Read a round, and return the tools that it asks for; raises the ``ProviderError`` that it cannot do without."""
        retries = self._retries
        while True:
            measured = len(self.measures)
            try:
                return await self._read_parts()
            except ProviderError as error:
                if not error.retryable or retries == 0 or self._begun:
                    raise
                self._owner.fault(error)
            retries -= 1
            del self.measures[measured:]
            self._start_over()

    async def _act(self, calls: list[ToolCall]) -> bool:
        """Run tools as soon as the turn is certain; return whether the model is to say something to their results."""
        said = " ".join(one.text for one in self.sentences if one.round == self._round and not one.filler)
        self._owner.wants_to_act(self)
        await self._certain.wait()
        acting = self._mind.act(said, calls)
        self.exchanges.append(acting.exchange)
        self.hang_up = self.hang_up or acting.hang_up
        return await acting.wait()

    async def _read_parts(self) -> list[ToolCall]:
        asked_s: float | None = self._now_s()
        calls: list[ToolCall] = []
        splitter = SentenceSplitter()
        stream = watched(
            self._mind.ask(),
            provider=self._spec.llm.provider,
            stage=Stage.LLM,
            first_s=self._patience.first_token_s,
            stall_s=self._patience.stall_s,
        )
        async with aclosing(stream):
            async for part in stream:
                if asked_s is not None:
                    self.measures.append(("llm_ttft", self._now_s() - asked_s))
                    asked_s = None
                match part:
                    case TextDelta(text):
                        self._add(splitter.push(text))
                    case ToolCall():
                        calls.append(part)
                    case HangUp():
                        self.hang_up = True
                    case Suggestions(phrases):
                        self.suggestions = phrases
                        self._owner.changed(self)
        self._add(splitter.finish())
        return calls

    def _add(self, texts: list[str]) -> None:
        self.sentences += [_Sentence(text, self._round) for text in texts if speakable(text)]
        if texts:
            self.update()

    def _start_over(self) -> None:
        """Take the present round back."""
        again = [one for one in self.sentences if one.round == self._round and not one.filler]
        for sentence in again:
            if sentence.task is not None:
                sentence.task.cancel()
        self.sentences = [one for one in self.sentences if one not in again]
        self._voiced_one = self._voiced_one and self._round > 0

    def _fail(self, error: ProviderError, keep: int) -> None:
        """Give up the rest; what has audio among the first ``keep`` sentences is still said."""
        self.error = self.error or error
        self._thought = True
        kept = [sentence for sentence in self.sentences[:keep] if sentence.samples]
        running = [sentence.task for sentence in self.sentences if sentence not in kept]
        for task in (self._thinker, *running):
            if task is not None and task is not asyncio.current_task():
                task.cancel()
        self.sentences = kept
        self.update()

    # ---- voice --------------------------------------------------------------------------------------------------

    def _start_voice(self, sentence: _Sentence) -> None:
        sentence.task = self._owner.spawn(self._voice(sentence), f"voice-{self.reply_id}")

    async def _voice(self, sentence: _Sentence) -> None:
        retries = 0 if sentence.filler else self._retries
        for attempt in range(retries + 1):
            try:
                await self._read_audio(sentence)
                sentence.whole = True
                break
            except ProviderError as error:
                self._owner.fault(error)
                if error.retryable and attempt < retries and not sentence.samples:
                    continue
                sentence.done = True
                if sentence.filler:
                    break
                self._fail(error, self.sentences.index(sentence) + 1)
                return
        sentence.done = True
        if sentence.filler and not sentence.samples and sentence in self.sentences:
            self.sentences.remove(sentence)
        self.update()

    async def _read_audio(self, sentence: _Sentence) -> None:
        asked_s = self._now_s()
        stream = watched(
            self._tts.speak(sentence.text),
            provider=self._spec.tts.provider,
            stage=Stage.TTS,
            first_s=self._patience.first_audio_s,
            stall_s=self._patience.stall_s,
        )
        async with aclosing(stream):
            async for pcm in stream:
                if isinstance(pcm, WordSpoken):
                    sentence.note_word(pcm.word, pcm.end_s)
                    continue
                if not self._voiced_one and not sentence.filler:
                    self._voiced_one = True
                    self.measures.append(("tts_ttfb", self._now_s() - asked_s))
                sentence.samples += len(pcm) // 2
                sentence.chunks.append(pcm)
                if self._released:
                    self._flush()
        if not sentence.samples:
            detail = "no audio came for a sentence"
            raise ProviderError(self._spec.tts.provider, Stage.TTS, ProviderErrorKind.PROTOCOL, detail, retryable=True)

    def _flush(self) -> None:
        """Hand on audio up to the first sentence that is not all there."""
        while self._flushed < len(self.sentences):
            sentence = self.sentences[self._flushed]
            chunks, sentence.chunks = sentence.chunks, []
            self._begun = self._begun or bool(chunks and not sentence.filler and sentence.round == self._round)
            if chunks and sentence.round > (self.marks[-1][0] if self.marks else 0):
                self.marks.append((sentence.round, self.written_samples))
            for pcm in chunks:
                self.written_samples += len(pcm) // 2
                self._owner.write(self, pcm)
            if not sentence.done:
                return
            self._flushed += 1
