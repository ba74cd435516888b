"""Speaking: makes replies, plays them through the mouth, and records what was heard of them."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from oneinbox.core.errors import ProviderError, ProviderErrorKind, Stage
from oneinbox.core.events import AnyCallEvent, GreetingStarted, LatencyMeasured, MessageAdded, Role
from oneinbox.core.ids import new_id
from oneinbox.core.spec import CallSpec
from oneinbox.live.engine import turn_events as ev
from oneinbox.live.engine.ear import Spawn
from oneinbox.live.engine.faults import Patience
from oneinbox.live.engine.history import History
from oneinbox.live.engine.mind import KnownText, ModelMind
from oneinbox.live.engine.mouth import Mouth
from oneinbox.live.engine.phrasebook import phrasebook
from oneinbox.live.engine.ports import Caption, ChatMessage, Echo, Llm, Page, Playout, Tools, Tts
from oneinbox.live.engine.reply import Reply
from oneinbox.live.engine.tool_runs import ToolRuns


def show_suggestions(page: Page, phrases: Sequence[str]) -> None:
    """Show what the caller could say next."""
    page.set_attributes({"oi.suggestions": json.dumps(phrases, ensure_ascii=False)})


class Speaker:
    """The agent's half of the conversation, as ordered by the turn machine."""

    def __init__(
        self,
        spec: CallSpec,
        history: History,
        *,
        llm: Llm,
        tts: Tts,
        tools: Tools | None,
        playout: Playout,
        page: Page,
        patience: Patience,
        spawn: Spawn,
        tell: Callable[[ev.AnyEvent], None],
        emit: Callable[[AnyCallEvent], None],
        fault: Callable[[ProviderError], None],
        echo: Echo | None = None,
    ) -> None:
        self.started_s = 0.0
        """When the call's clock started."""
        self._spec = spec
        self._history = history
        self._llm = llm
        self._tts = tts
        self._playout = playout
        self._page = page
        self._patience = patience
        self._spawn = spawn
        self._tell = tell
        self._emit = emit
        self._fault = fault
        self._now_s = asyncio.get_running_loop().time
        self._mouth = Mouth(playout, now_s=self._now_s, tell=tell, started=self._started, show=self._show, echo=echo)
        self.runs = ToolRuns(
            spec, tools, history, spawn=spawn, emit=emit, clock_s=lambda: self._now_s() - self.started_s
        )
        """The tools at work."""
        self._replies: dict[int, Reply] = {}
        self._asked: dict[int, Sequence[ChatMessage]] = {}
        self._lines: dict[int, str] = {}
        self._segments: dict[int, str] = {}
        self._shown: dict[str, str] = {}  # what each segment that is not final shows
        self._phrases = phrasebook(spec.stt.language)
        self._greeting: Reply | None = None
        self._greeting_id: int | None = None
        self._fillers = 0
        self._committed: Reply | None = None

    # ---- what a reply needs of its owner ------------------------------------------------------------------------

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        """Start a task that lives no longer than the call."""
        return self._spawn(work, name)

    def fault(self, error: ProviderError) -> None:
        """Report a provider's failure."""
        self._fault(error)

    def write(self, reply: Reply, pcm: bytes) -> None:
        """Queue audio of the reply that is being heard."""
        if reply is self._mouth.reply:
            self._playout.write(pcm)
            self._mouth.note_written()

    def queued_samples(self, reply: Reply) -> int:
        """Return how much of the reply was handed on and not heard yet."""
        return self._playout.queued_samples if reply is self._mouth.reply else 0

    def wants_to_act(self, reply: Reply) -> None:
        """Ask the machine to make the reply's turn certain."""
        if reply is not self._committed:
            self._tell(ev.ToolsAsked(self._now_s(), reply.reply_id))

    def changed(self, reply: Reply) -> None:
        """Look whether a reply is over, or has failed."""
        if reply is self._committed:
            self._suggest(reply)  # they came after the first words
            self._measure(reply)
        if reply.reply_id in self._replies:
            self._mouth.look(reply)

    @property
    def speech(self) -> str:
        """The text of the reply that is being heard, or was heard last."""
        reply = self._mouth.reply or self._mouth.last_reply
        return " ".join(sentence.text for sentence in reply.sentences) if reply is not None else ""

    @property
    def last_heard_s(self) -> float:
        """When the agent was last heard."""
        return self._mouth.last_frame_s

    # ---- the machine's orders -----------------------------------------------------------------------------------

    async def prepare_greeting(self) -> None:
        """Voice the first message before it is due; what fails is tried again when it is."""
        if self._spec.first_message:
            self._greeting = self._fixed_reply(0, 0, self._spec.first_message)
            self._greeting.start()
            await self._greeting.wait_voiced()

    def keep_greeting(self) -> None:
        """The time to prepare is over: keep the first message only if all of it is there."""
        if self._greeting is not None and not self._greeting.voiced:
            self._greeting.drop()
            self._greeting = None

    def prepare(self, order: ev.Prepare) -> None:
        """Ask the language model for a reply and hold it."""
        history = self._asked[order.reply_id] = self._history.for_llm(order.text)
        mind = ModelMind(
            self._llm,
            self._spec.llm.provider,
            self._history,
            history,
            runs=self.runs,
            turn=order.turn,
            ask_patience=lambda: self.fill(ev.Fill(order.reply_id)),
        )
        reply = self._replies[order.reply_id] = Reply(
            order.reply_id,
            order.turn,
            mind,
            spec=self._spec,
            tts=self._tts,
            owner=self,
            patience=self._patience,
        )
        reply.start()

    def say(self, order: ev.Say) -> None:
        """Speak a line at once."""
        greeting, self._greeting = self._greeting, None
        text = self._text_of(order)
        if order.line is ev.Line.GREETING:
            self._greeting_id = order.reply_id
        if order.line is ev.Line.GREETING and greeting is not None and greeting.error is None:
            reply = greeting
            reply.reply_id = order.reply_id
        else:
            reply = self._fixed_reply(order.reply_id, order.turn, text)
            reply.start()
        self._replies[order.reply_id] = reply
        self._lines[order.reply_id] = text
        self.release(ev.Release(order.reply_id))

    def release(self, order: ev.Release) -> None:
        """Let a reply be heard."""
        reply = self._replies[order.reply_id]
        if self._mouth.reply is not reply:
            self._mouth.begin(reply)
        reply.release()

    def fill(self, order: ev.Fill) -> None:
        """Ask the caller for a moment."""
        reply = self._replies[order.reply_id]
        texts = self._phrases.patience if reply.filled or reply.begun else self._phrases.fillers
        if reply.fill(texts[self._fillers % len(texts)]):
            self._fillers += 1

    def unstick(self, order: ev.Unstick) -> None:
        """Open the mouth again, and report that nothing was played."""
        self._playout.set_gain(1.0)
        self._playout.resume()
        if (reply := self._replies.get(order.reply_id)) is not None:
            reply.update()
        detail = "nothing is being played although there is speech to play"
        self._fault(
            ProviderError(self._spec.tts.provider, Stage.TTS, ProviderErrorKind.TIMEOUT, detail, retryable=True)
        )

    def commit(self, order: ev.Commit) -> None:
        """The reply's turn is certain: tell the model, measure, show the suggestions."""
        reply = self._replies[order.reply_id]
        self._committed = reply
        self._llm.committed(self._asked[order.reply_id])
        self._measure(reply)
        self._suggest(reply)
        reply.commit()

    def drop(self, order: ev.Drop) -> None:
        """Abandon a reply unheard."""
        reply = self._forget(order.reply_id)
        if reply is self._mouth.reply:
            self._mouth.stop()

    def cut(self, order: ev.Cut) -> None:
        """Stop a reply at the present sample and record what was heard."""
        reply = self._forget(order.reply_id)
        if reply is self._mouth.reply:
            heard = self._mouth.heard_rounds()
            self._mouth.stop()
            self._record(reply, heard, interrupted=order.interrupted)

    def close(self, order: ev.Close) -> None:
        """Record a reply that was played to its end."""
        reply = self._forget(order.reply_id)
        if reply is not self._mouth.reply:
            return
        line = self._lines.get(order.reply_id)
        heard = self._mouth.heard_rounds()
        self._mouth.stop()
        if not any(heard) and reply.error is not None and line:
            self.show_line(line)  # it could not be said: the page at least explains the silence
        self._record(reply, heard, interrupted=False)

    def _text_of(self, order: ev.Say) -> str:
        if order.text:
            return order.text
        if order.line is ev.Line.GREETING:
            return self._spec.first_message or ""
        own = self._spec.turns.reminders
        if order.line is ev.Line.REMINDER and own:
            return own[order.time % len(own)]
        return self._phrases.line(order.line)

    def show_line(self, text: str) -> None:
        """Show a line that cannot be said; it is on no record."""
        self._page.show_caption(Caption(segment_id=new_id("msg"), from_agent=True, text=text, final=True))

    def set_level(self, order: ev.SetLevel, duck_gain: float) -> None:
        """Set how loud the mouth is."""
        if order.level is ev.Level.SILENT:
            self._playout.pause()
            return
        self._playout.set_gain(duck_gain if order.level is ev.Level.DUCKED else 1.0)
        self._playout.resume()

    def close_all(self) -> None:
        """Stop every reply; nothing calls back any more."""
        self._playout.on_frame(None)
        self._playout.clear()
        for reply in (*self._replies.values(), *filter(None, [self._greeting])):
            reply.drop()
        self._replies.clear()

    def start(self) -> None:
        """The call's clock starts."""
        self.started_s = self._now_s()
        self._playout.on_frame(self._mouth.on_frame)

    # ---- inside -------------------------------------------------------------------------------------------------

    def _fixed_reply(self, reply_id: int, turn: int, text: str) -> Reply:
        """A reply whose text is known; it is voiced as far ahead as it goes, and the language model is not asked."""
        return Reply(
            reply_id,
            turn,
            KnownText(text),
            spec=self._spec,
            tts=self._tts,
            owner=self,
            patience=self._patience,
            eager=True,
        )

    def _forget(self, reply_id: int) -> Reply:
        reply = self._replies.pop(reply_id)
        reply.drop()
        self._asked.pop(reply_id, None)
        return reply

    def _measure(self, reply: Reply) -> None:
        measures, reply.measures = reply.measures, []
        for part, seconds in measures:
            ms = round(seconds * 1000, 1)
            self._emit(LatencyMeasured(call_id=self._spec.call_id, part=part, turn=reply.turn, ms=ms))

    def _suggest(self, reply: Reply) -> None:
        if reply.suggestions is not None:
            show_suggestions(self._page, reply.suggestions)
            reply.suggestions = None

    def _started(self, reply: Reply, at_s: float) -> None:
        if reply.reply_id == self._greeting_id:
            delay_ms = round((at_s - self.started_s) * 1000, 1)
            self._emit(GreetingStarted(call_id=self._spec.call_id, delay_ms=delay_ms))

    def _show(self, reply: Reply, text: str, *, final: bool = False) -> None:
        if text:
            segment_id = self._segments.setdefault(reply.reply_id, new_id("msg"))
            if not final and self._shown.get(segment_id) == text:
                return
            self._shown[segment_id] = text
            if final:
                del self._shown[segment_id]
            self._page.show_caption(Caption(segment_id=segment_id, from_agent=True, text=text, final=final))

    def _record(self, reply: Reply, heard: Sequence[str], *, interrupted: bool) -> None:
        """Record what was ``heard`` of a reply, each round as a message of its own; nothing, where that is no word."""
        for exchange, text in zip(reply.exchanges, heard, strict=False):
            exchange.text = text
        if rest := " ".join(filter(None, heard[len(reply.exchanges) :])):
            self._history.add_agent(rest)
        first_s = self._mouth.first_frame_s
        if first_s is None or not any(heard):
            return
        self._show(reply, " ".join(filter(None, heard)), final=True)
        message_id = self._segments.pop(reply.reply_id)  # the caption's is the first message's
        starts = self._mouth.round_starts
        spoken = [number for number, text in enumerate(heard) if text]
        for number in spoken:
            is_last = number == spoken[-1]
            later = [starts[other][1] for other in starts if other > number]
            start_s = starts[number][0] if number in starts else first_s
            end_s = self._mouth.spoken_s if is_last else max(start_s, min(later, default=self._mouth.spoken_s))
            self._emit(
                MessageAdded(
                    call_id=self._spec.call_id,
                    message_id=message_id if number == spoken[0] else new_id("msg"),
                    role=Role.AGENT,
                    content=heard[number],
                    turn=reply.turn,
                    start_s=round(start_s - self.started_s, 3),
                    end_s=round(end_s - self.started_s, 3),
                    interrupted=interrupted and is_last,
                )
            )
