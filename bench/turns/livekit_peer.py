"""LiveKit Agents as a contender: an ``AgentSession`` without a room, its audio in memory.

stock: nothing but STT, LLM and TTS given, so that VAD, turn detector and every delay are its defaults (its bundled Silero and
its bundled end-of-turn model, as there are no cloud credentials). equal: the Silero plugin with 200 ms of silence, endpointing
by VAD after 200 ms, barge-in after 200 ms of speech, false interruptions forgiven after 500 ms instead of 2 s, and speech
prepared ahead as well as text. Both: no echo warm-up (it would ignore the callers for 3 s), transcripts in step with
the audio (its default), sentences by its own Blingfire tokenizer, which its Cartesia and ElevenLabs plugins use.
"""

import asyncio
import time
from typing import Any

from livekit import rtc
from livekit.agents import Agent, AgentSession, LanguageCode, llm, stt, tokenize, tts, utils
from livekit.agents.llm import ChatChunk, ChoiceDelta
from livekit.agents.voice.io import AudioInput, AudioOutput, AudioOutputCapabilities, TextOutput
from livekit.agents.voice.transcription.synchronizer import TranscriptSynchronizer
from livekit.plugins import silero

from bench.turns import script
from bench.turns.caller import Heard
from bench.turns.sink import PacedSink

EQUAL: dict[str, Any] = {
    "turn_detection": "vad",
    "endpointing": {"min_delay": 0.2},
    "interruption": {"mode": "vad", "min_duration": 0.2, "false_interruption_timeout": 0.5},
    "preemptive_generation": {"preemptive_tts": True},
}


class _Stt(stt.STT):
    def __init__(self) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=True))
        self.stream_now: _SttStream | None = None

    async def _recognize_impl(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def stream(self, *, language: Any = None, conn_options: Any = None, **kwargs: Any) -> "_SttStream":
        self.stream_now = _SttStream(stt=self, conn_options=conn_options)
        return self.stream_now


class _SttStream(stt.RecognizeStream):
    async def _run(self) -> None:
        async for _ in self._input_ch:
            pass

    def tell(self, kind: stt.SpeechEventType, text: str) -> None:
        data = stt.SpeechData(text=text, language=LanguageCode("en"))
        self._event_ch.send_nowait(stt.SpeechEvent(type=kind, alternatives=[data]))


class _Llm(llm.LLM):
    def chat(
        self, *, chat_ctx: llm.ChatContext, tools: Any = None, conn_options: Any = None, **kwargs: Any
    ) -> "_LlmStream":
        return _LlmStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _LlmStream(llm.LLMStream):
    async def _run(self) -> None:
        said = [item.text_content or "" for item in self._chat_ctx.items if getattr(item, "role", "") == "user"]
        await asyncio.sleep(script.LLM_FIRST_S)
        for token in script.tokens(script.answer(said[-1] if said else "")):
            self._event_ch.send_nowait(ChatChunk(id="x", delta=ChoiceDelta(role="assistant", content=token)))
            await asyncio.sleep(script.LLM_TOKEN_S)


class _Tts(tts.TTS):
    def __init__(self) -> None:
        super().__init__(capabilities=tts.TTSCapabilities(streaming=True), sample_rate=script.RATE_HZ, num_channels=1)

    def synthesize(self, text: str, **kwargs: Any) -> Any:
        raise NotImplementedError

    def stream(self, *, conn_options: Any = None, **kwargs: Any) -> "_TtsStream":
        return _TtsStream(tts=self, conn_options=conn_options)


class _TtsStream(tts.SynthesizeStream):
    async def _run(self, output_emitter: Any) -> None:
        output_emitter.initialize(
            request_id="r", sample_rate=script.RATE_HZ, num_channels=1, mime_type="audio/pcm", stream=True
        )
        output_emitter.start_segment(segment_id="s")
        sentences = tokenize.blingfire.SentenceTokenizer().stream()

        async def read() -> None:
            async for data in self._input_ch:
                if isinstance(data, str):
                    sentences.push_text(data)
                else:
                    sentences.flush()
            sentences.end_input()

        reading = asyncio.ensure_future(read())
        try:
            async for sentence in sentences:
                self._mark_started()
                await asyncio.sleep(script.TTS_FIRST_S)
                for piece in script.voice(sentence.token):
                    output_emitter.push(piece)
                    await asyncio.sleep(script.TTS_GAP_S)
            output_emitter.end_segment()
        finally:
            await utils.aio.gracefully_cancel(reading)


class _Input(AudioInput):
    def __init__(self) -> None:
        super().__init__(label="memory")
        self.channel: Any = utils.aio.Chan()

    async def __anext__(self) -> rtc.AudioFrame:
        return await self.channel.__anext__()


class _Output(AudioOutput):
    def __init__(self, heard: Heard) -> None:
        super().__init__(label="memory", capabilities=AudioOutputCapabilities(pause=True), sample_rate=script.RATE_HZ)
        self._sink = PacedSink(heard, self._drained)
        self._started = False

    def _drained(self, played_s: float) -> None:
        self._started = False
        self.on_playback_finished(playback_position=played_s, interrupted=False)

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if not self._started:
            self._started = True
            self.on_playback_started(created_at=time.time())
        self._sink.write(bytes(frame.data))

    def flush(self) -> None:
        super().flush()
        if self._started:
            self._sink.end()

    def clear_buffer(self) -> None:
        if self._started:
            self._started = False
            self.on_playback_finished(playback_position=self._sink.clear(), interrupted=True)

    def pause(self) -> None:
        super().pause()
        self._sink.pause()

    def resume(self) -> None:
        super().resume()
        self._sink.resume()


class _Text(TextOutput):
    def __init__(self) -> None:
        super().__init__(label="memory", next_in_chain=None)

    async def capture_text(self, text: str) -> None: ...

    def flush(self) -> None: ...


class LivekitCall:
    def __init__(self, input_: _Input, stt_: _Stt, session: AgentSession[Any], keep: object) -> None:
        self._input = input_
        self._stt = stt_
        self._session = session
        self._keep = keep

    def push(self, pcm: bytes) -> None:
        frame = rtc.AudioFrame(
            data=pcm, sample_rate=script.HEARD_RATE_HZ, num_channels=1, samples_per_channel=len(pcm) // 2
        )
        self._input.channel.send_nowait(frame)

    def interim(self, text: str) -> None:
        if self._stt.stream_now:
            self._stt.stream_now.tell(stt.SpeechEventType.INTERIM_TRANSCRIPT, text)

    def final(self, text: str) -> None:
        if self._stt.stream_now:
            self._stt.stream_now.tell(stt.SpeechEventType.FINAL_TRANSCRIPT, text)

    async def close(self) -> None:
        await self._session.aclose()


class LivekitEngine:
    def __init__(self, settings: str) -> None:
        self._more: dict[str, Any] = {}
        if settings == "equal":
            self._more = {"vad": silero.VAD.load(min_silence_duration=0.2), "turn_handling": EQUAL}

    async def call(self, heard: Heard) -> LivekitCall:
        recogniser, input_ = _Stt(), _Input()
        session: AgentSession[Any] = AgentSession(
            stt=recogniser, llm=_Llm(), tts=_Tts(), aec_warmup_duration=None, **self._more
        )
        sync = TranscriptSynchronizer(next_in_chain_audio=_Output(heard), next_in_chain_text=_Text())
        session.input.audio = input_
        session.output.audio = sync.audio_output
        session.output.transcription = sync.text_output
        await session.start(Agent(instructions="You are helpful."))
        await asyncio.sleep(0.05)
        return LivekitCall(input_, recogniser, session, sync)
