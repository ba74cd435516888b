"""Pipecat as a contender: one pipeline a call, all in one runner, its audio in memory.

stock: ``LLMContextAggregatorPair`` with the Silero analyzer at its defaults (0.2 s to start, 0.2 s to stop), which brings its
default strategies: turn start by VAD or transcript, turn end by smart-turn v3.2. equal: turn end after the same 200 ms of VAD
silence and the final transcript (``SpeechTimeoutUserTurnStopStrategy`` without a second wait). Both: finals are marked
final, as its adapters for the quicker vendors do (else it waits on); no metrics, no RTVI; 40 ms of audio a write (its default).
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    OutputAudioRawFrame,
    StartFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings, STTSettings, TTSSettings
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

from bench.turns import script
from bench.turns.caller import Heard

logger.remove()


class _Stt(STTService):
    def __init__(self) -> None:
        super().__init__(
            sample_rate=script.HEARD_RATE_HZ,
            ttfs_p99_latency=0.35,
            settings=STTSettings(model="scripted", language="en"),
        )

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame, None]:
        return
        yield  # a generator that gives nothing: the caller tells what is said


class _Llm(LLMService):
    def __init__(self) -> None:
        unset = dict.fromkeys(
            (
                "system_instruction",
                "temperature",
                "max_tokens",
                "top_p",
                "top_k",
                "frequency_penalty",
                "presence_penalty",
                "seed",
                "filter_incomplete_user_turns",
                "user_turn_completion_config",
            )
        )
        super().__init__(settings=LLMSettings(model="scripted", **unset))

    async def process_frame(self, frame: Frame, direction: Any) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        said = [message["content"] for message in frame.context.get_messages() if message["role"] == "user"]
        await self.push_frame(LLMFullResponseStartFrame())
        try:
            await asyncio.sleep(script.LLM_FIRST_S)
            for token in script.tokens(script.answer(str(said[-1]) if said else "")):
                await self.push_frame(LLMTextFrame(token))
                await asyncio.sleep(script.LLM_TOKEN_S)
        finally:
            await self.push_frame(LLMFullResponseEndFrame())


class _Tts(TTSService):
    def __init__(self) -> None:
        super().__init__(
            sample_rate=script.RATE_HZ,
            push_stop_frames=True,
            push_start_frame=True,
            settings=TTSSettings(model="scripted", voice="v", language="en"),
        )

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame, None]:
        await asyncio.sleep(script.TTS_FIRST_S)
        for piece in script.voice(text):
            yield TTSAudioRawFrame(piece, script.RATE_HZ, 1, context_id=context_id)
            await asyncio.sleep(script.TTS_GAP_S)


class _Input(BaseInputTransport):
    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)


class _Output(BaseOutputTransport):
    def __init__(self, params: TransportParams, heard: Heard) -> None:
        super().__init__(params)
        self._heard = heard
        self._next_s = 0.0

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        seconds = len(frame.audio) / 2 / script.RATE_HZ
        if any(frame.audio[:200]):  # it sends silence between replies
            self._heard.play(seconds, script.level(frame.audio))
        now_s = time.perf_counter()
        self._next_s = max(self._next_s, now_s) + seconds
        await asyncio.sleep(self._next_s - now_s)
        return True


class PipecatCall:
    def __init__(self, input_: _Input, stt_: _Stt, worker: PipelineWorker) -> None:
        self._input = input_
        self._stt = stt_
        self._worker = worker
        self._pushes: set[asyncio.Future[None]] = set()

    def _spawn(self, work: Any) -> None:
        push = asyncio.ensure_future(work)
        self._pushes.add(push)
        push.add_done_callback(self._pushes.discard)

    def push(self, pcm: bytes) -> None:
        frame = InputAudioRawFrame(audio=pcm, sample_rate=script.HEARD_RATE_HZ, num_channels=1)
        self._spawn(self._input.push_audio_frame(frame))

    def interim(self, text: str) -> None:
        self._spawn(self._stt.push_frame(InterimTranscriptionFrame(text, "u", "")))

    def final(self, text: str) -> None:
        frame = TranscriptionFrame(text, "u", "")
        frame.finalized = True
        self._spawn(self._stt.push_frame(frame))

    async def close(self) -> None:
        await self._worker.cancel()


class PipecatEngine:
    def __init__(self, settings: str) -> None:
        self._settings = settings
        self._runner: WorkerRunner | None = None
        self._running: asyncio.Future[None] | None = None

    async def call(self, heard: Heard) -> PipecatCall:
        if self._runner is None:
            self._runner = WorkerRunner(handle_sigint=False)
            self._running = asyncio.ensure_future(self._runner.run(auto_end=False))
            await asyncio.sleep(0.2)
        params = TransportParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_in_sample_rate=script.HEARD_RATE_HZ,
            audio_out_sample_rate=script.RATE_HZ,
        )
        input_, output, recogniser = _Input(params), _Output(params, heard), _Stt()
        context = LLMContext([{"role": "system", "content": "You are helpful."}])
        more: dict[str, Any] = {}
        if self._settings == "equal":
            stop = SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.0)
            more["user_turn_strategies"] = UserTurnStrategies(stop=[stop])
        pair = LLMContextAggregatorPair(
            context, user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer(params=VADParams()), **more)
        )
        pipeline = Pipeline([input_, recogniser, pair.user(), _Llm(), _Tts(), output, pair.assistant()])
        worker = PipelineWorker(
            pipeline,
            params=PipelineParams(audio_in_sample_rate=script.HEARD_RATE_HZ, audio_out_sample_rate=script.RATE_HZ),
            enable_rtvi=False,
            idle_timeout_secs=None,
            cancel_on_idle_timeout=False,
        )
        await self._runner.add_workers(worker)
        await asyncio.sleep(0.3)
        return PipecatCall(input_, recogniser, worker)
