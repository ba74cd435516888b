"""Whole conversations of the real engine in virtual time: a scripted caller, scripted providers, a clock that jumps.

``converse(scene)`` runs one call and returns what everyone saw of it. The caller is a coroutine that speaks, pauses,
coughs, types and hangs up.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from oneinbox.core.events import (
    AnyCallEvent,
    EndReason,
    LatencyMeasured,
    MessageAdded,
    MessageAmended,
    ProviderFailed,
    Role,
    ToolCalled,
)
from oneinbox.core.spec import CallSpec, LlmSpec, SttSpec, TtsSpec, TurnSpec
from oneinbox.live.engine.faults import Patience
from oneinbox.live.engine.loop import Conversation
from oneinbox.live.engine.phrasebook import ENGLISH
from oneinbox.live.engine.ports import HEARD_FRAME_BYTES, ChatMessage
from oneinbox.live.engine.turn_events import Line
from tests.support.scripted import FRAME_S, FakeLlm, FakePage, FakePlayout, FakeStt, FakeTts, FakeVad
from tests.support.scripted_tools import FakeTools
from tests.support.virtual_time import now_s, run_virtually

LOUD = b"\x01" * HEARD_FRAME_BYTES
SILENT = b"\x00" * HEARD_FRAME_BYTES

# ---- the caller -------------------------------------------------------------------------------------------------


class Caller:
    """Someone who calls. ``WORD_S`` a word; every 20 ms a frame goes to the engine."""

    WORD_S = 0.3

    def __init__(self, conversation: Conversation, playout: FakePlayout, volunteer: Callable[[], None]) -> None:
        self.conversation = conversation
        self.playout = playout
        self._volunteer = volunteer
        self._voice_until_s = 0.0
        self.words: list[tuple[float, str]] = []
        """When each word has been said."""
        self._recognised = 0
        self.voiced: list[tuple[float, float]] = []
        """Stretches of sound."""
        self.spoken: list[tuple[float, float, str]] = []
        """Utterances: start, end, text."""
        self.typed: list[tuple[float, str]] = []
        self.ended_as: EndReason | None = None
        """How the caller, or whoever is over the call, ended it."""
        self._loop = asyncio.get_running_loop()
        self._next_frame: asyncio.TimerHandle | None = None

    async def say(self, text: str) -> None:
        """Speak a sentence."""
        start_s = now_s()
        words = text.split()
        self.words += [(start_s + (at + 1) * self.WORD_S, word) for at, word in enumerate(words)]
        await self.make_sound(len(words) * self.WORD_S)
        self.spoken.append((start_s, now_s(), text))

    async def whisper(self, text: str) -> None:
        """Say words that only the recogniser hears, and that it tells of a moment later."""
        words = text.split()
        self.words += [(now_s() + (at + 1) * self.WORD_S, word) for at, word in enumerate(words)]
        await asyncio.sleep(len(words) * self.WORD_S + 0.1)
        self._volunteer()

    async def make_sound(self, seconds: float) -> None:
        """Cough, or let something fall: sound without words."""
        start_s = now_s()
        self._voice_until_s = start_s + seconds
        self.voiced.append((start_s, start_s + seconds))
        await asyncio.sleep(seconds)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def hear_out(self, quiet_s: float = 0.6, limit_s: float = 60.0) -> None:
        """Wait until the agent has spoken and then been quiet for a while."""
        await self.hear_begin(limit_s=limit_s)
        end_s = now_s() + limit_s
        while self.playout.frames and now_s() < end_s and now_s() - self.playout.frames[-1][0] < quiet_s:
            await asyncio.sleep(0.05)

    async def hear_begin(self, after_s: float = 0.0, limit_s: float = 60.0) -> None:
        """Wait until the agent begins to speak, and ``after_s`` longer."""
        heard, end_s = len(self.playout.frames), now_s() + limit_s
        while now_s() < end_s and len(self.playout.frames) == heard:
            await asyncio.sleep(0.02)
        await asyncio.sleep(after_s)

    def type(self, text: str) -> None:
        self.typed.append((now_s(), text))
        self.conversation.push_text(text)

    def hang_up(self) -> None:
        self.end(EndReason.USER_HANGUP)

    def end(self, reason: EndReason) -> None:
        self.ended_as = self.ended_as or reason
        self.conversation.end(reason)

    def words_to_recognise(self) -> str:
        return " ".join(word for _, word in self.words[self._recognised : self.words_said()])

    def words_said(self) -> int:
        at_s = now_s() + 1e-6
        said = len(self.words)
        while said and self.words[said - 1][0] > at_s:
            said -= 1
        return said

    def recognised(self) -> None:
        self._recognised = self.words_said()

    def open_microphone(self) -> None:
        """Send a frame every 20 ms from now on, until the microphone is closed."""
        self._loop = asyncio.get_running_loop()
        self._send_frame()

    def close_microphone(self) -> None:
        if self._next_frame is not None:
            self._next_frame.cancel()
            self._next_frame = None

    def _send_frame(self) -> None:
        at_s = self._loop.time()
        self.conversation.push_audio(LOUD if at_s < self._voice_until_s - 1e-6 else SILENT)
        self._next_frame = self._loop.call_at(at_s + FRAME_S, self._send_frame)


Script = Callable[[Caller], Awaitable[None]]

# ---- a call -----------------------------------------------------------------------------------------------------


def make_spec(*, first_message: str | None = None, turns: TurnSpec | None = None, language: str = "en") -> CallSpec:
    return CallSpec(
        call_id="call_test",
        org_id="org_test",
        agent_id="agt_test",
        agent_name="Test",
        room_name="web-test",
        identity="caller",
        first_message=first_message,
        llm=LlmSpec(provider="fake-llm", system_prompt="Be kind."),
        stt=SttSpec(provider="fake-stt", language=language),
        tts=TtsSpec(provider="fake-tts"),
        turns=turns or TurnSpec(),
    )


@dataclass
class Scene:
    """A call to be played: the caller's script, the providers, the settings."""

    script: Script
    first_message: str | None = None
    turns: TurnSpec = field(default_factory=lambda: TurnSpec(silence_timeout_s=20.0))
    llm: FakeLlm = field(default_factory=FakeLlm)
    stt: FakeStt = field(default_factory=FakeStt)
    tts: FakeTts = field(default_factory=FakeTts)
    tools: FakeTools | None = None
    patience: Patience = field(default_factory=Patience)
    page: FakePage = field(default_factory=FakePage)
    playout: FakePlayout = field(default_factory=FakePlayout)
    language: str = "en"
    turn_logs: Path | None = None
    prepared: bool = True
    preparing: bool = False  # the call begins while it is still being prepared
    microphone: bool = True


@dataclass
class Outcome:
    """What everyone saw of a call."""

    reason: EndReason
    started_s: float
    decided_s: float
    """When the end was decided; tools that run then may take a while to end."""
    ended_s: float
    events: list[AnyCallEvent]
    page: FakePage
    playout: FakePlayout
    caller: Caller
    scene: Scene
    tasks_left: int
    history: list[ChatMessage]
    """What the language model would be told next."""

    @property
    def messages(self) -> list[MessageAdded]:
        """As they stand on record: with what was amended."""
        messages = {event.message_id: event for event in self.events if isinstance(event, MessageAdded)}
        for event in self.events:
            if isinstance(event, MessageAmended):
                assert event.message.message_id in messages
                messages[event.message.message_id] = event.message
        return list(messages.values())

    @property
    def talk(self) -> list[tuple[str, str]]:
        """Who said what, as recorded."""
        return [(message.role.value, message.content) for message in self.messages]

    def said_by(self, role: Role) -> list[str]:
        return [message.content for message in self.messages if message.role is role]

    def latencies(self, part: str) -> dict[int, float]:
        return {e.turn: e.ms for e in self.events if isinstance(e, LatencyMeasured) and e.part == part}

    @property
    def tool_calls(self) -> list[ToolCalled]:
        """Each use of a tool as it was last told of."""
        last = {event.tool_call_id: event for event in self.events if isinstance(event, ToolCalled)}
        return list(last.values())

    @property
    def faults(self) -> list[tuple[str, str]]:
        return [(e.stage, e.kind) for e in self.events if isinstance(e, ProviderFailed)]

    def words_played(self) -> list[str]:
        """The words of which the last sample was played, straight from the playout, sentence by sentence."""
        words: list[str] = []
        for number in self.playout.heard:
            text = self.scene.tts.sentences[number - 1]
            share = (self.playout.heard[number] + 2) / self.scene.tts.lengths[number - 1]
            end = 0
            for word in text.split():
                end = text.index(word, end) + len(word)
                if end <= len(text) * min(1.0, share) + 1e-9:
                    words.append(word)
        return words

    def frames_between(self, start_s: float, end_s: float) -> list[tuple[float, int, float]]:
        return [frame for frame in self.playout.frames if start_s <= frame[0] < end_s]


def make_conversation(
    scene: Scene,
    *,
    emit: Callable[[AnyCallEvent], None],
    playout: FakePlayout,
    on_over: Callable[[EndReason], None] | None = None,
) -> Conversation:
    return Conversation(
        make_spec(first_message=scene.first_message, turns=scene.turns, language=scene.language),
        stt=scene.stt,
        llm=scene.llm,
        tts=scene.tts,
        vad=FakeVad(),
        playout=playout,
        page=scene.page,
        emit=emit,
        tools=scene.tools,
        patience=scene.patience,
        turn_logs=scene.turn_logs,
        on_over=on_over,
    )


def converse(scene: Scene) -> Outcome:
    """Play a whole call in virtual time; fails where it would hang."""
    return run_virtually(lambda: _converse(scene))


async def _converse(scene: Scene) -> Outcome:
    events: list[AnyCallEvent] = []
    playout = scene.playout
    decided_s: list[float] = []
    conversation = make_conversation(
        scene, emit=events.append, playout=playout, on_over=lambda _: decided_s.append(now_s())
    )
    caller = scene.stt.caller = Caller(conversation, playout, scene.stt.volunteer)
    if scene.prepared:
        await conversation.prepare()
    preparation = asyncio.get_running_loop().create_task(conversation.prepare()) if scene.preparing else None
    await asyncio.sleep(0.05 if scene.preparing else 0)
    started_s = now_s()
    async with asyncio.TaskGroup() as group:
        if scene.microphone:
            caller.open_microphone()
        script = group.create_task(_play(scene.script, caller))
        async with asyncio.timeout(scene.turns.max_duration_s + 30):
            reason = await conversation.run()
        caller.close_microphone()
        script.cancel()
    ended_s = now_s()
    if preparation is not None:
        await preparation
    heard = len(playout.frames)
    await asyncio.sleep(1)
    assert len(playout.frames) == heard or reason is EndReason.INTERNAL_ERROR, "something played after the end"
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    history = conversation._history.for_llm("")  # pyright: ignore[reportPrivateUsage] - nobody asks for it any more
    return Outcome(
        reason, started_s, decided_s[0], ended_s, events, scene.page, playout, caller, scene, len(left), list(history)
    )


async def _play(script: Script, caller: Caller) -> None:
    await script(caller)


LINES = {line: ENGLISH.line(line) for line in Line if line is not Line.GREETING}
FILLERS = (*ENGLISH.fillers, *ENGLISH.patience)
OWN_LINES = {*LINES.values(), *FILLERS}
