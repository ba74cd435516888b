"""Our engine as a contender: its conversation loop, its batched Silero and its playout queue, as a worker runs them.

stock: an agent's defaults, with its end-of-turn model (smart-turn v3.2, one for the process). equal: ``responsiveness`` 1, the
silence of 200 ms that the others get, and no model; ``interruption_sensitivity`` stays 0.5, which is 200 ms of sound.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from bench.turns import script
from bench.turns.caller import Heard
from oneinbox.core.events import AnyCallEvent, EndReason
from oneinbox.core.spec import CallSpec, LlmSpec, SttSpec, TtsSpec, TurnSpec
from oneinbox.live.audio.playout import PlayoutQueue
from oneinbox.live.engine.loop import Conversation
from oneinbox.live.engine.ports import (
    Caption,
    ChatMessage,
    ReplyPart,
    SttFinal,
    SttPartial,
    SttResult,
    TextDelta,
)
from oneinbox.live.speech.silero import SileroVad
from oneinbox.live.speech.smart_turn import SmartTurn
from oneinbox.server.settings import default_models_dir

_TURNS = {
    "stock": TurnSpec(silence_timeout_s=0.0, max_duration_s=3600.0),
    "equal": TurnSpec(silence_timeout_s=0.0, max_duration_s=3600.0, responsiveness=1.0, end_of_turn_model=False),
}


class _Stt:
    """A recogniser that streams: a final for each stretch of speech, by itself, when the other engines get theirs.

    As the port wants it, one more follows each end of speech that the engine reports: with the words that are still to
    come, or empty, as soon as it is known that there are none.
    """

    def __init__(self) -> None:
        self._results: asyncio.Queue[SttResult] = asyncio.Queue()
        self._unconfirmed = False
        self._timer: asyncio.TimerHandle | None = None

    async def prepare(self) -> None: ...

    def open(self) -> "_Stt":
        return self

    def push(self, pcm: bytes) -> None: ...

    def speech_started(self) -> None:
        self._cancel()

    def speech_ended(self) -> None:
        if not self._unconfirmed:
            delay_s = script.STT_FINAL_S if self._timer is None else 0.0
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._give, "")

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give(self, text: str) -> None:
        self._unconfirmed = False
        self._results.put_nowait(SttFinal(text=text, confidence=0.9 if text else None))

    def interim(self, text: str) -> None:
        self._unconfirmed = True
        self._results.put_nowait(SttPartial(text=text))

    def final(self, text: str) -> None:
        self._cancel()
        self._give(text)

    async def results(self) -> AsyncIterator[SttResult]:
        while True:
            yield await self._results.get()

    async def aclose(self) -> None: ...


class _Llm:
    async def prepare(self) -> None: ...

    def opening(self) -> Sequence[ReplyPart]:
        return ()

    def committed(self, history: Sequence[ChatMessage]) -> None: ...

    async def reply(self, history: Sequence[ChatMessage]) -> AsyncIterator[ReplyPart]:
        await asyncio.sleep(script.LLM_FIRST_S)
        for token in script.tokens(script.answer(history[-1].content)):
            yield TextDelta(token)
            await asyncio.sleep(script.LLM_TOKEN_S)


class _Tts:
    async def prepare(self) -> None: ...

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        await asyncio.sleep(script.TTS_FIRST_S)
        for piece in script.voice(text):
            yield piece
            await asyncio.sleep(script.TTS_GAP_S)


class _Page:
    def show_caption(self, caption: Caption) -> None: ...
    def set_attributes(self, attributes: Mapping[str, str]) -> None: ...
    def send_event(self, kind: str, data: Mapping[str, Any]) -> None: ...


class _Playout(PlayoutQueue):
    """The queue of a real leg, pulled from the moment that it holds audio, every 20 ms."""

    def __init__(self, heard: Heard) -> None:
        super().__init__()
        self._heard = heard
        self._timer: asyncio.TimerHandle | None = None
        self._next_s = 0.0
        self._loop = asyncio.get_running_loop()

    def write(self, pcm: bytes) -> None:
        super().write(pcm)
        self._wake()

    def resume(self) -> None:
        super().resume()
        self._wake()

    def _wake(self) -> None:
        if self._timer is None and self.queued_samples and not self._paused:
            self._next_s = max(self._next_s, self._loop.time())
            self._timer = self._loop.call_at(self._next_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        frame = self.pull()
        if frame is not None:
            if self._sounding:  # not the fade of 5 ms after a cut
                self._heard.play(script.FRAME_S, script.level(frame))
            self.frame_sent()
        self._next_s = max(self._next_s + script.FRAME_S, self._loop.time())
        self._wake()


class OurCall:
    def __init__(self, conversation: Conversation, recogniser: _Stt) -> None:
        self._conversation = conversation
        self._running = asyncio.ensure_future(conversation.run())
        self.push = conversation.push_audio
        self.interim = recogniser.interim
        self.final = recogniser.final

    async def close(self) -> None:
        self._conversation.end(EndReason.API_STOP)
        await self._running


class OurEngine:
    def __init__(self, settings: str) -> None:
        self._turns = _TURNS[settings]
        self._vad: SileroVad | None = None
        self._end_of_turn: SmartTurn | None = None
        self._calls = 0

    async def call(self, heard: Heard) -> OurCall:
        if self._vad is None:
            self._vad = SileroVad(default_models_dir() / "silero_vad.onnx")
            if self._turns.end_of_turn_model:
                self._end_of_turn = SmartTurn(default_models_dir() / "smart_turn.onnx")
        self._calls += 1
        recogniser = _Stt()

        def emit(event: AnyCallEvent) -> None: ...

        spec = CallSpec(
            call_id=f"call_{self._calls}",
            org_id="org_bench",
            agent_id="agt_bench",
            agent_name="Bench",
            room_name="web-bench",
            identity="caller",
            first_message=None,
            llm=LlmSpec(provider="scripted", system_prompt="You are helpful."),
            stt=SttSpec(provider="scripted"),
            tts=TtsSpec(provider="scripted"),
            turns=self._turns,
        )
        conversation = Conversation(
            spec,
            stt=recogniser,
            llm=_Llm(),
            tts=_Tts(),
            vad=self._vad,
            end_of_turn=self._end_of_turn,
            playout=_Playout(heard),
            page=_Page(),
            emit=emit,
        )
        await conversation.prepare()
        return OurCall(conversation, recogniser)
