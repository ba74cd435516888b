"""Transcription of whole utterances behind the ``Stt`` port.

Wire: ``POST {base_url}/audio/transcriptions``, multipart, a 16 kHz mono WAV file; source: OpenAI's API reference,
"Create transcription". The voice activity detection is the engine's: audio is kept from a little before the speech
until the engine says that it has ended, then sent. When speech begins again before the answer is there, the answer is
dropped, and the whole is sent again at the next end.
"""

import asyncio
import io
import re
import wave
from collections import deque
from collections.abc import AsyncIterator
from itertools import islice

import msgspec

from oneinbox.core.errors import ProviderError, ProviderErrorKind, Stage
from oneinbox.core.spec import SttSpec
from oneinbox.core.tasks import TaskScope
from oneinbox.live.engine.ports import FRAME_MS, HEARD_RATE_HZ, SttFinal, SttResult
from oneinbox.live.providers.openai_compatible.http import Endpoint
from oneinbox.live.providers.openai_compatible.settings import DEFAULT_MODELS, Options

PRE_ROLL_MS = 400
"""Speech begins up to this much before the engine can say so."""
MAX_UTTERANCE_S = 600
"""No call is longer by default; of an utterance that is, the end is kept (19 MB)."""
_AT_ONCE_AGAIN = (ProviderErrorKind.CONNECTION, ProviderErrorKind.SERVER)


class _Transcription(msgspec.Struct):
    text: str


class AudioTranscriptions:
    """The recogniser of one call."""

    def __init__(self, spec: SttSpec, endpoint: Endpoint, options: Options) -> None:
        self._spec = spec
        self._endpoint = endpoint
        self._options = options

    async def prepare(self) -> None:
        """Open the connection."""
        await self._endpoint.warm()

    def open(self) -> "UtteranceStream":
        """Start listening."""
        return UtteranceStream(self)

    async def transcribe(self, pcm: bytes) -> str:
        """Return the text of an utterance; raises ``ProviderError``.

        A broken connection (a kept one that the server has dropped meanwhile) and a 5xx are tried once again at once,
        because only this stream still has the audio.
        """
        try:
            return await self._ask(pcm)
        except ProviderError as error:
            if error.kind not in _AT_ONCE_AGAIN:
                raise
        return await self._ask(pcm)

    async def _ask(self, pcm: bytes) -> str:
        fields = {"model": self._spec.model or DEFAULT_MODELS[Stage.STT], "response_format": "json"}
        if self._spec.language:
            fields["language"] = re.split("[-_]", self._spec.language)[0].lower()  # ISO 639-1, without a region
        fields.update({name: str(value) for name, value in self._options.extra_body.items()})
        file = ("utterance.wav", wav_file(pcm), "audio/wav")
        async with self._endpoint.stream("audio/transcriptions", data=fields, files={"file": file}) as answer:
            body = await answer.read()
        try:
            return msgspec.json.decode(body, type=_Transcription).text.strip()
        except msgspec.DecodeError:
            raise self._endpoint.nonsense(f"not a transcription: {self._endpoint.quote(body)}") from None


class UtteranceStream:
    """The ear on one call: utterances out of frames, a request for each."""

    def __init__(self, stt: AudioTranscriptions) -> None:
        self._stt = stt
        self._pre_roll: deque[bytes] = deque(maxlen=PRE_ROLL_MS // FRAME_MS)
        self._utterance: deque[bytes] = deque(maxlen=MAX_UTTERANCE_S * 1000 // FRAME_MS)
        self._hearing = False
        self._results: asyncio.Queue[SttResult | ProviderError] = asyncio.Queue()
        self._scope = TaskScope("transcriptions")
        self._request: asyncio.Task[None] | None = None

    def push(self, pcm: bytes) -> None:
        """Take one frame. Between an end of speech and its answer they are kept, too: speech may go on."""
        if self._hearing or self._request is not None:
            self._utterance.append(pcm)
        else:
            self._pre_roll.append(pcm)

    def speech_started(self) -> None:
        """Begin an utterance, or go on with the one whose answer is still out."""
        if self._hearing:
            return
        self._hearing = True
        if self._request is not None:
            self._request.cancel()
            self._request = None
        else:
            self._utterance.extend(self._pre_roll)
            self._pre_roll.clear()

    def speech_ended(self) -> None:
        """Send what was heard."""
        if not self._hearing:
            return
        self._hearing = False
        self._request = self._scope.spawn(self._transcribe(list(self._utterance)), "utterance")

    async def _transcribe(self, frames: list[bytes]) -> None:
        this = asyncio.current_task()
        result: SttResult | ProviderError
        try:
            result = SttFinal(text=await self._stt.transcribe(b"".join(frames)))
        except ProviderError as error:
            result = error
        if self._request is this:  # else speech went on meanwhile
            self._request = None
            # What came since is the pre-roll of the next; what was sent is not heard twice.
            self._pre_roll.extend(islice(self._utterance, len(frames), None))
            self._utterance.clear()
            self._results.put_nowait(result)

    async def results(self) -> AsyncIterator[SttResult]:
        """Yield one ``SttFinal`` for each utterance; raises ``ProviderError`` for the first that cannot be had."""
        while True:
            result = await self._results.get()
            if isinstance(result, ProviderError):
                raise result
            yield result

    async def aclose(self) -> None:
        """Give up requests that are still out."""
        await self._scope.aclose()


def wav_file(pcm: bytes) -> bytes:
    """Return 16 kHz mono s16le audio as a WAV file."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(HEARD_RATE_HZ)
        file.writeframes(pcm)
    return out.getvalue()
