"""One call: its leg, its conversation and its providers, from the moment it is prepared to its one end."""

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from oneinbox.core.events import (
    AnyCallEvent,
    CallActive,
    CallEnded,
    CallPrepared,
    EndReason,
    MicrophoneSilent,
    ParticipantJoined,
    QualityMeasured,
    RecordingFinished,
    RecordingStarted,
)
from oneinbox.core.instructions import AddContext, Instruction, Say, UserMessage
from oneinbox.core.spec import CallSpec
from oneinbox.core.tasks import TaskScope
from oneinbox.live.audio.echo import EchoGuard
from oneinbox.live.audio.tape import Tape, TapeDeck
from oneinbox.live.engine.loop import Conversation
from oneinbox.live.engine.ports import EndOfTurn, Vad
from oneinbox.live.media.leg import LegListener, MediaLeg, RpcError
from oneinbox.live.providers.registry import CallProviders
from oneinbox.live.tools.toolbox import CallTools

_log = logging.getLogger(__name__)

ACTIVE_TIMEOUT_S = 20.0
"""How long a joined participant may take to bring up its audio."""
TAPE_TIMEOUT_S = 5.0
"""How long the end of a call waits for the rest of its recording to be written."""

MOST_PAGE_CHARS = 4_000
"""Of one text that the participant's page sends."""
_BAD_TEXT = 400

QUALITY_EVERY_S = 30.0
"""So often a live call's record is told how good the connection is, beside once at its end."""


class Rooms(Protocol):
    """Where legs come from: the media endpoint of the worker."""

    def open_leg(self, *, room_name: str, identity: str, agent_name: str, listener: LegListener) -> MediaLeg:
        """Make the leg that ``identity`` will join."""
        ...


class LiveCall:
    """Runs one call. Every path through :meth:`run` emits exactly one ``CallEnded``, as the last event.

    It is the leg's listener (:class:`LegListener`) and passes on to the conversation what the leg hears.
    ``tapes`` makes the recording of a call that is to be recorded.
    """

    def __init__(
        self,
        spec: CallSpec,
        *,
        rooms: Rooms,
        providers: CallProviders,
        tools: CallTools,
        vad: Vad,
        worker_id: str,
        end_of_turn: EndOfTurn | None = None,
        turn_logs: Path | None = None,
        emit: Callable[[AnyCallEvent], None],
        tapes: TapeDeck,
    ) -> None:
        self.spec = spec
        self._tapes = tapes
        self._tape: Tape | None = None
        self._worker_id = worker_id
        self._tools = tools
        self._emit = emit
        self._loop = asyncio.get_running_loop()
        self._made_at = self._loop.time()
        self._prepared_at: float | None = None
        self._joined_at: float | None = None
        self._connected_at: float | None = None
        """When the call's clock started: the participant can hear, and publishes its microphone."""
        self._away = False
        self._joined = asyncio.Event()
        self._connected = asyncio.Event()
        self._active = asyncio.Event()
        self._early: list[AnyCallEvent] = []
        """What the conversation told before two-way audio was proved."""
        self._over_at: float | None = None
        self._ended: asyncio.Future[EndReason] = self._loop.create_future()
        self._leg = rooms.open_leg(
            room_name=spec.room_name, identity=spec.identity, agent_name=spec.agent_name, listener=self
        )
        self._conversation = Conversation(
            spec,
            stt=providers.stt,
            llm=providers.llm,
            tts=providers.tts,
            vad=vad,
            playout=self._leg.playout,
            page=self._leg,
            emit=self._pass_on,
            end_of_turn=end_of_turn,
            tools=tools,
            echo=EchoGuard(),
            turn_logs=turn_logs,
            on_over=self._on_over,
        )

    async def run(self) -> None:
        """Prepare, wait for the participant, converse, end. Raises only when cancelled."""
        scope = TaskScope(f"call:{self.spec.call_id}")
        reason = EndReason.INTERNAL_ERROR
        try:
            scope.spawn(self._prepare(), "prepare")
            scope.spawn(self._expect_sound(), "expect sound")
            scope.spawn(self._tell_quality(), "quality")
            reason = await self._live()
        except Exception:  # noqa: BLE001 - the boundary of a call: whatever broke, the call ends with a reason
            _log.exception("call %s broke", self.spec.call_id)
        finally:
            await scope.aclose()
            self._on_over(reason)
            active_s = self._clock_s() if self.active else 0.0
            if self._tape is not None:
                await self._finish_recording(self._tape, active_s)
            self._announce_quality()
            self._tell_early()
            self._announce_end(reason, active_s)
            await self._leg.aclose()
            await self._tools.aclose()

    def end(self, reason: EndReason) -> None:
        """End the call now; a second reason changes nothing."""
        if not self._ended.done():
            self._ended.set_result(reason)
        self._conversation.end(reason)

    def tell(self, instruction: Instruction) -> None:
        """Carry out what the account tells the call; before two-way audio stands only context can be added."""
        match instruction:
            case AddContext(text=text):
                self._conversation.add_context(text)
            case Say(text=text, interruptible=interruptible, interrupt=interrupt):
                self._conversation.say(text, interruptible=interruptible, interrupt=interrupt)
            case UserMessage(text=text):
                self._conversation.push_text(text)

    async def _prepare(self) -> None:
        await self._conversation.prepare()
        self._announce_prepared()

    async def _live(self) -> EndReason:
        if (
            reason := await self._wait(self._joined, self.spec.join_timeout_s, EndReason.USER_NEVER_JOINED)
        ) is not None:
            return reason
        if (reason := await self._wait(self._connected, ACTIVE_TIMEOUT_S, EndReason.MEDIA_FAILED)) is not None:
            return reason
        return await self._conversation.run(away=self._away or not self.active)

    async def _expect_sound(self) -> None:
        """End the call where nothing comes of the participant's microphone, though it may hear the agent."""
        await self._joined.wait()
        await asyncio.sleep(ACTIVE_TIMEOUT_S)
        if not self.active:
            self.end(EndReason.MEDIA_FAILED)

    async def _wait(self, event: asyncio.Event, timeout_s: float, late: EndReason) -> EndReason | None:
        """Wait for ``event``; return why the call ends instead, if it does."""
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(event.wait())
            await asyncio.wait({waiting, self._ended}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
        if self._ended.done():
            return self._ended.result()
        return None if event.is_set() else late

    def _announce_prepared(self) -> None:
        if self._prepared_at is None:
            self._prepared_at = self._loop.time()
            setup_ms = _ms(self._made_at, self._prepared_at)
            self._emit(CallPrepared(call_id=self.spec.call_id, worker_id=self._worker_id, setup_ms=setup_ms))

    @property
    def active(self) -> bool:
        """Whether two-way audio stands, or has stood."""
        return self._active.is_set()

    def _clock_s(self) -> float:
        """Return how long the call has lasted; it stands still once the call is over."""
        if self._connected_at is None:
            return 0.0
        now_s = self._loop.time() if self._over_at is None else self._over_at
        return max(0.0, now_s - self._connected_at)

    def _pass_on(self, event: AnyCallEvent) -> None:
        """Tell what happens in the conversation, but nothing of what it says before the call is told to have begun."""
        if self._connected_at is None or self.active:
            self._emit(event)
        else:
            self._early.append(event)

    def _tell_early(self) -> None:
        early, self._early = self._early, []
        for event in early:
            self._emit(event)

    async def _tell_quality(self) -> None:
        while True:
            await asyncio.sleep(QUALITY_EVERY_S)
            self._announce_quality()

    def _announce_quality(self) -> None:
        if (quality := self._leg.quality()) is not None:
            self._emit(QualityMeasured(call_id=self.spec.call_id, quality=quality))

    def _start_recording(self, started_s: float) -> None:
        name = self.spec.recording_name
        self._tape = self._tapes.open(name, started_s)
        self._leg.record(self._tape)
        self._emit(RecordingStarted(call_id=self.spec.call_id, name=name))

    async def _finish_recording(self, tape: Tape, active_s: float) -> None:
        duration_s, size_bytes, error = 0.0, 0, "the disk does not answer"
        try:
            duration_s, size_bytes, error = await asyncio.wait_for(tape.finish(active_s), TAPE_TIMEOUT_S)
        except TimeoutError:
            _log.error("call %s: the end of its recording could not be written", self.spec.call_id)
        self._emit(
            RecordingFinished(
                call_id=self.spec.call_id,
                name=self.spec.recording_name,
                duration_s=duration_s,
                size_bytes=size_bytes,
                error=error,
            )
        )

    def _announce_end(self, reason: EndReason, active_s: float) -> None:
        self._emit(
            CallEnded(
                call_id=self.spec.call_id,
                reason=reason,
                duration_s=round(active_s, 3),
                worker_load1=os.getloadavg()[0],
                worker_mem_pct=_memory_percent(),
            )
        )

    def _on_over(self, reason: EndReason) -> None:
        """The call is over now, however long its tools take to finish: its time is up, and the page may leave."""
        if self._over_at is None:
            self._over_at = self._loop.time()
            self._leg.send_event("call_ended", {"reason": reason.value})

    # ---- what the leg tells ------------------------------------------------------------------------------------

    def on_joined(self) -> None:
        """The participant's token was used."""
        self._announce_prepared()
        self._joined_at = self._loop.time()
        wait_ms = _ms(self._prepared_at or self._made_at, self._joined_at)
        self._emit(ParticipantJoined(call_id=self.spec.call_id, wait_ms=wait_ms))
        self._joined.set()

    def on_connected(self) -> None:
        """The participant can hear the agent, which need not wait for the first sound of its microphone."""
        self._connected_at = self._loop.time()
        self._connected.set()

    def on_active(self) -> None:
        """Two-way audio stands."""
        now_s = self._loop.time()
        if self._connected_at is None:
            self._connected_at = now_s
        answer_ms = _ms(self._joined_at or self._connected_at, self._connected_at)
        since_ms = _ms(self._connected_at, now_s)
        self._active.set()
        self._emit(CallActive(call_id=self.spec.call_id, answer_ms=answer_ms, since_ms=since_ms))
        if self.spec.enable_recording:
            self._start_recording(self._connected_at)
        self._tell_early()
        self._conversation.set_away(away=self._away)
        self._connected.set()

    def on_audio(self, pcm: bytes) -> None:
        """A frame of the participant's audio."""
        if self.active:
            self._conversation.push_audio(pcm)

    def on_text(self, text: str) -> None:
        """The participant typed something."""
        if self.active:
            self._conversation.push_text(text)

    def on_digit(self, digit: str) -> None:
        """The participant pressed a key of the keypad."""
        if self.active:
            self._conversation.push_key(digit)

    async def on_rpc(self, method: str, payload: str) -> str:
        """Take what the page tells. Nobody vouches for a page: whatever it says stands on the caller's side.

        ``oi.context``: something that the agent should know; ``oi.say``: something that it is asked to say, which the
        language model decides about.
        """
        text = payload.strip()
        if method not in ("oi.context", "oi.say"):
            raise RpcError.unsupported()
        if not text or len(text) > MOST_PAGE_CHARS:
            raise RpcError(_BAD_TEXT, f"send a text of 1 to {MOST_PAGE_CHARS} characters")
        if method == "oi.context":
            self._conversation.add_page_context(text)
        elif self.active:
            self._conversation.push_text(f"[The caller's page asks you to say: {text}]")
        return ""

    def on_microphone(self, *, silent: bool) -> None:
        """The participant's microphone seems dead, or to live after all."""
        at_s = round(self._clock_s(), 3)
        self._leg.send_event("microphone", {"silent": silent})
        self._emit(MicrophoneSilent(call_id=self.spec.call_id, silent=silent, at_s=at_s))

    def on_away(self) -> None:
        """The participant is away for a while: reloading its page, or without a network."""
        self._away = True
        self._conversation.set_away(away=True)

    def on_back(self) -> None:
        """The participant is there again."""
        self._away = False
        if self.active:
            self._conversation.set_away(away=False)

    def on_left(self, *, said_goodbye: bool) -> None:
        """The participant is gone for good."""
        self.end(EndReason.USER_HANGUP if said_goodbye else EndReason.USER_DISCONNECTED)


def _ms(from_s: float, to_s: float) -> float:
    return round((to_s - from_s) * 1000, 1)


def _memory_percent() -> float | None:
    """Share of the machine's memory in use, or None where the system does not tell."""
    try:
        pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        free = os.sysconf("SC_AVPHYS_PAGES")
    except (ValueError, OSError):
        return None
    return round(100 * (1 - free / pages), 1) if pages > 0 and page_bytes > 0 else None
