"""One call's conversation: drives the turn machine with what happens, and carries out what it answers.

Nothing here decides anything about turns. Callbacks (audio, voice activity, played frames, one timer) and tasks (the
recogniser's results, replies) become events; commands become calls of the ports.

Latency parts (``LatencyMeasured``) are what really passed, whenever it passed. ``eou_delay``, ``stt`` and ``perceived``
count from the last window in which the VAD heard speech (typed text: from its arrival, ``perceived`` alone). ``llm_ttft``
counts from the request that gave the spoken reply, ``tts_ttfb`` from handing over its first sentence; both may lie
before the decision that the turn ended, so the parts of a prepared reply add up to more than ``perceived``. A reply that was
dropped unheard is not measured.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from oneinbox.core.errors import ProviderError, Stage
from oneinbox.core.events import AnyCallEvent, EndReason, LatencyMeasured, ProviderFailed
from oneinbox.core.spec import CallSpec
from oneinbox.core.tasks import TaskScope
from oneinbox.live.engine import turn_events as ev
from oneinbox.live.engine.ear import Ear
from oneinbox.live.engine.faults import Patience, warmed
from oneinbox.live.engine.history import History
from oneinbox.live.engine.keypad import Keypad
from oneinbox.live.engine.own_voice import OwnVoice
from oneinbox.live.engine.phrasebook import phrasebook
from oneinbox.live.engine.ports import (
    Echo,
    EndOfTurn,
    EndOfTurnStream,
    Llm,
    Page,
    Playout,
    Stt,
    Suggestions,
    Tools,
    Tts,
    Vad,
    VadStream,
)
from oneinbox.live.engine.speaker import Speaker, show_suggestions
from oneinbox.live.engine.turn_log import SUFFIX, TurnLog
from oneinbox.live.engine.turn_settings import TurnSettings
from oneinbox.live.engine.turns import TurnMachine
from oneinbox.live.engine.user_record import UserRecord

_log = logging.getLogger(__name__)

_SHORTEST_TIMER_S = 0.001
_BEFORE_SPEECH_S = 0.2
"""What the end-of-turn model hears before the turn: the VAD is a little late."""


class Conversation:
    """The conversation of one call. ``prepare`` before the participant is there, then ``run``, each at most once.

    Make it on the running event loop. ``emit`` is called on that loop, in order, and must not block; so is ``on_over``,
    once, at the moment at which the call is over: what ``run`` still waits for then are tools at work.
    """

    def __init__(
        self,
        spec: CallSpec,
        *,
        stt: Stt,
        llm: Llm,
        tts: Tts,
        vad: Vad,
        playout: Playout,
        page: Page,
        emit: Callable[[AnyCallEvent], None],
        tools: Tools | None = None,
        patience: Patience | None = None,
        end_of_turn: EndOfTurn | None = None,
        echo: Echo | None = None,
        turn_logs: Path | None = None,
        on_over: Callable[[EndReason], None] | None = None,
    ) -> None:
        self._spec = spec
        self._stt = stt
        self._llm = llm
        self._tts = tts
        self._tools = tools
        self._vad = vad
        self._page = page
        self._emit = emit
        self._patience = patience or Patience()
        self._loop = asyncio.get_running_loop()
        self._now_s = self._loop.time
        self._end_of_turn = end_of_turn if spec.turns.end_of_turn_model else None
        self._settings = TurnSettings.of_call(spec, end_of_turn_model=self._end_of_turn is not None)
        self._machine = TurnMachine(self._settings)
        self._turn_log = None if turn_logs is None else TurnLog(turn_logs / f"{spec.call_id}{SUFFIX}", self._settings)
        self._history = History(spec.llm.system_prompt)
        self._own_voice = OwnVoice(echo)
        self._ear = Ear(stt, spec.stt.provider, spawn=self._spawn, tell=self._tell_words, fault=self._fault)
        self._speaker = Speaker(
            spec,
            self._history,
            llm=llm,
            tts=tts,
            tools=tools,
            playout=playout,
            page=page,
            patience=self._patience,
            spawn=self._spawn,
            tell=self._tell,
            emit=emit,
            fault=self._fault,
            echo=echo,
        )
        self._user_record = UserRecord(spec.call_id, self._history, page=page, emit=emit)
        self._keypad = Keypad(lambda keys: self.push_text(f"[keys] {keys}"))
        self._scope = TaskScope(f"conversation:{spec.call_id}")
        self._running = False
        self._on_over = on_over
        self._over: asyncio.Future[EndReason] = self._loop.create_future()
        self._vad_stream: VadStream | None = None
        self._turn_stream: EndOfTurnStream | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._inbox: deque[ev.AnyEvent] = deque()
        self._busy = False
        self._orders = self._list_orders()

    # ---- from outside -------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Warm the providers up and voice the first message, so that it plays at once.

        Never raises for a provider. ``run`` may be called before this has returned; it then takes over what is there.
        """
        self._page.set_attributes({"lk.agent.state": ev.AgentState.INITIALIZING.value})
        tasks = [
            self._spawn(warmed(self._stt.prepare, Stage.STT), "prepare-stt"),
            self._spawn(warmed(self._llm.prepare, Stage.LLM), "prepare-llm"),
            self._spawn(warmed(self._prepare_voice, Stage.TTS), "prepare-tts"),
        ]
        if self._tools is not None:
            tasks.append(self._spawn(self._tools.prepare(), "prepare-tools"))
        try:
            _, late = await asyncio.wait(tasks, timeout=self._patience.prepare_s)
            if late:
                _log.warning("call %s: %d providers take long to prepare", self._spec.call_id, len(late))
        finally:
            if not self._running:
                self._speaker.keep_greeting()
                await self._scope.aclose()

    async def run(self, *, away: bool = False) -> EndReason:
        """Talk until the call's end is decided and what has to be heard first has been heard; return the reason.

        Tools that run then are given a moment to finish, in which nothing is heard and nobody is listened to.
        The call's clock (``start_s`` of messages) starts here. ``away``: as after :meth:`set_away`.
        """
        if self._over.done():
            return self._over.result()
        try:
            self._start()
            if away:
                self.set_away(away=True)
            return await asyncio.shield(self._over)
        finally:
            self._stop()
            await self._speaker.runs.finish()
            await self._scope.aclose()

    def push_audio(self, pcm: bytes) -> None:
        """Take one 20 ms frame of the caller's audio; dropped while the call does not run."""
        if self._vad_stream is not None:
            self._ear.push(pcm)
            self._own_voice.heard(pcm)
            if self._turn_stream is not None:
                self._turn_stream.push(pcm)
            self._vad_stream.push(pcm)

    def push_text(self, text: str) -> None:
        """Take text that the caller typed: a turn of its own, which takes the floor from the agent."""
        if self._vad_stream is not None:
            self._tell(ev.Typed(self._now_s(), text))

    def push_key(self, key: str) -> None:
        """Take a key of the telephone's keypad: it stops the agent, and the entry becomes a turn of the caller."""
        if self._vad_stream is not None:
            self._tell(ev.Dialled(self._now_s()))
            self._keypad.press(key)

    def say(self, text: str, *, interruptible: bool = True, interrupt: bool = False) -> None:
        """Have the agent say ``text`` as soon as nobody speaks; with ``interrupt`` it breaks off its own reply for it."""
        if self._vad_stream is not None:
            self._tell(ev.SayAsked(self._now_s(), text, interruptible, interrupt))

    def add_context(self, text: str) -> None:
        """Let the agent know ``text`` from now on; the account vouches for it. Nothing is said to it now."""
        self._history.add_context(text)

    def add_page_context(self, text: str) -> None:
        """The same from the participant's page, for which nobody vouches: it stands among the caller's words."""
        self._history.add_page_context(text)

    def set_away(self, *, away: bool) -> None:
        """The caller can neither hear nor be heard for a while, or is back: meanwhile silence is nobody's."""
        if self._vad_stream is not None:
            self._tell(ev.Away(self._now_s()) if away else ev.Back(self._now_s()))

    def end(self, reason: EndReason) -> None:
        """End the call at once (hang-up, stop by API, shutdown). A call that has not begun ends when it is run."""
        if self._vad_stream is not None:
            self._tell(ev.Ended(self._now_s(), reason))
        else:
            self._end_call(reason)

    # ---- running ------------------------------------------------------------------------------------------------

    async def _prepare_voice(self) -> None:
        await self._tts.prepare()
        if not self._running:
            await self._speaker.prepare_greeting()

    def _start(self) -> None:
        self._running = True
        self._speaker.start()
        self._user_record.started_s = self._speaker.started_s
        self._vad_stream = self._vad.open(self._tell_voice)
        if self._end_of_turn is not None:
            self._turn_stream = self._end_of_turn.open(
                lambda pause, probability: self._tell(ev.Completeness(self._now_s(), pause, probability))
            )
        self._ear.open()
        for part in self._llm.opening():
            if isinstance(part, Suggestions):
                show_suggestions(self._page, part.phrases)
        self._tell(ev.Started(self._speaker.started_s, greeting=bool(self._spec.first_message)))

    def _stop(self) -> None:
        """Stop everything that could still call back; the tasks end by themselves."""
        if self._vad_stream is not None:
            self._vad_stream.close()
            self._vad_stream = None
        if self._turn_stream is not None:
            self._turn_stream.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._keypad.close()
        self._ear.close()
        if self._turn_log is not None:
            self._turn_log.close()
        self._speaker.close_all()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        task = self._scope.spawn(work, name)
        task.add_done_callback(self._task_done)
        return task

    def _task_done(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and task.exception() is not None:
            self._end_call(EndReason.INTERNAL_ERROR)  # the scope has logged it

    def _tell_voice(self, probability: float) -> None:
        now_s = self._now_s()
        own = self._own_voice.is_voice(probability, now_s, self._speaker.last_heard_s)
        self._tell(ev.Voice(now_s, 0.0 if own else probability))

    def _tell_words(self, event: ev.AnyEvent) -> None:
        """Tell what the recogniser heard, but for the agent's own words."""
        if isinstance(event, ev.Partial | ev.Final) and self._own_voice.are_words(
            event.text, event.at_s, self._speaker.speech
        ):
            if isinstance(event, ev.Partial):
                return
            event = ev.Final(event.at_s, "")
        self._tell(event)

    def _tell(self, event: ev.AnyEvent) -> None:
        """Give the machine an event and carry out what follows; events that arise meanwhile wait their turn."""
        self._inbox.append(event)
        if self._busy:
            return
        self._busy = True
        try:
            while self._inbox:
                for command in self._receive(self._inbox.popleft()):
                    self._orders[type(command)](command)
        except Exception:  # noqa: BLE001 - called from callbacks, where an error would vanish and the call hang
            _log.exception("call %s: the conversation broke", self._spec.call_id)
            self._end_call(EndReason.INTERNAL_ERROR)
        finally:
            self._busy = False
        self._set_timer()

    def _receive(self, event: ev.AnyEvent) -> list[ev.AnyCommand]:
        commands = self._machine.receive(event)
        if self._turn_log is not None:
            self._turn_log.add(event, commands)
        return commands

    def _set_timer(self) -> None:
        """See that the timer fires no later than the machine's deadline; one that fires early is set again then."""
        deadline_s = self._machine.deadline_s
        if self._timer is not None:
            if self._timer.when() <= deadline_s:
                return
            self._timer.cancel()
            self._timer = None
        if deadline_s != float("inf") and not self._over.done():
            self._timer = self._loop.call_at(max(deadline_s, self._now_s() + _SHORTEST_TIMER_S), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now_s = self._now_s()
        if now_s + _SHORTEST_TIMER_S >= self._machine.deadline_s:
            self._tell(ev.Tick(max(now_s, self._machine.deadline_s)))
        else:
            self._set_timer()

    def _fault(self, error: ProviderError) -> None:
        _log.warning("call %s: %s", self._spec.call_id, error)
        self._emit(
            ProviderFailed(
                call_id=self._spec.call_id,
                provider=error.provider,
                stage=error.stage,
                kind=error.kind,
                detail=error.detail,
            )
        )

    # ---- the machine's orders -----------------------------------------------------------------------------------

    def _list_orders(self) -> dict[type[ev.Command], Callable[[Any], None]]:
        speaker = self._speaker
        return {
            ev.TellStt: self._hear_speech,
            ev.AskEndOfTurn: self._ask_end_of_turn,
            ev.RestartStt: lambda _: self._ear.restart(),
            ev.Prepare: speaker.prepare,
            ev.Say: speaker.say,
            ev.Release: speaker.release,
            ev.Fill: speaker.fill,
            ev.Unstick: speaker.unstick,
            ev.Commit: speaker.commit,
            ev.Drop: speaker.drop,
            ev.Cut: speaker.cut,
            ev.Close: speaker.close,
            ev.SetLevel: lambda order: speaker.set_level(order, self._settings.barge_in.duck_gain),
            ev.ShowState: lambda order: self._page.set_attributes({"lk.agent.state": order.state.value}),
            ev.ShowUser: self._user_record.show,
            ev.RecordUser: self._user_record.record,
            ev.AmendUser: self._user_record.amend,
            ev.Measure: self._measure,
            ev.EndCall: lambda order: self._end_call(order.reason),
        }

    def _hear_speech(self, order: ev.TellStt) -> None:
        self._ear.hear_speech(speech=order.speech)
        if self._turn_stream is not None:
            self._turn_stream.hear_speech(speech=order.speech)

    def _ask_end_of_turn(self, order: ev.AskEndOfTurn) -> None:
        if self._turn_stream is not None:
            turn_s, ago_s = order.end_s - order.start_s + _BEFORE_SPEECH_S, self._now_s() - order.end_s
            self._turn_stream.judge(order.pause, turn_s, max(0.0, ago_s))

    def _measure(self, order: ev.Measure) -> None:
        self._emit(LatencyMeasured(call_id=self._spec.call_id, part=order.part, turn=order.turn, ms=order.ms))

    def _end_call(self, reason: EndReason) -> None:
        if self._over.done():
            return
        if reason is EndReason.TTS_FAILED:
            self._speaker.show_line(phrasebook(self._spec.stt.language).farewell)
        self._over.set_result(reason)
        if self._on_over is not None:
            self._on_over(reason)
