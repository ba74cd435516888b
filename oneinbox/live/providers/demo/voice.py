"""The demo's voice: espeak-ng behind the ``Tts`` port. It can speak any text, so it also serves agents with a model."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from oneinbox.core.errors import ProviderError, ProviderErrorKind, Stage
from oneinbox.core.spec import TtsSpec
from oneinbox.live.audio.resample import Resampler
from oneinbox.live.engine.ports import SPOKEN_RATE_HZ
from oneinbox.live.providers.demo.espeak import EspeakError, EspeakProcess, speak_twice
from oneinbox.live.providers.demo.espeak_process import DEFAULT_VOICE

WORDS_PER_MINUTE = 165
_SLOWEST, _FASTEST = 80, 450


class DemoVoice:
    """The voice of one call."""

    def __init__(self, spec: TtsSpec, process: EspeakProcess) -> None:
        self._process = process
        self._voice = spec.voice or DEFAULT_VOICE
        self._words_per_minute = round(min(max(WORDS_PER_MINUTE * spec.speed, _SLOWEST), _FASTEST))

    async def prepare(self) -> None:
        """Start the helper process."""
        try:
            await self._process.start()
        except EspeakError:
            pass  # reported by the first sentence

    async def speak(self, text: str) -> AsyncGenerator[bytes]:
        """Stream ``text`` as 24 kHz PCM; text without a word in it gives none. Raises ``ProviderError``."""
        try:
            resampler = Resampler(await self._process.start(), SPOKEN_RATE_HZ)
            async with aclosing(speak_twice(self._process, text, self._voice, self._words_per_minute)) as pieces:
                async for piece in pieces:
                    if made := resampler.push(piece):
                        yield made
            if made := resampler.flush():
                yield made
        except EspeakError as error:
            kind = ProviderErrorKind.CONNECTION if error.lost else ProviderErrorKind.SERVER
            raise ProviderError("demo", Stage.TTS, kind, str(error), retryable=error.lost) from error
