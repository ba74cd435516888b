"""Speech, streamed, behind the ``Tts`` port.

Wire: ``POST {base_url}/audio/speech`` with ``response_format: pcm`` (24 kHz mono s16le unless options say otherwise);
source: OpenAI's API reference, "Create speech". Servers that answer with a WAV file all the same are understood.
"""

import struct
from collections.abc import AsyncIterator
from typing import Any

from oneinbox.core.errors import ProviderErrorKind, Stage
from oneinbox.core.spec import TtsSpec
from oneinbox.live.audio.resample import Resampler
from oneinbox.live.engine.ports import SPOKEN_RATE_HZ
from oneinbox.live.providers.openai_compatible.http import Endpoint
from oneinbox.live.providers.openai_compatible.settings import DEFAULT_MODELS, DEFAULT_VOICE, Options

_COMPRESSED_TYPES = ("audio/mpeg", "audio/mp3", "audio/ogg", "audio/opus", "audio/flac", "audio/aac", "audio/webm")
_COMPRESSED_MAGIC = (b"ID3", b"OggS", b"fLaC")
_MAX_WAV_HEADER_BYTES = 4096


class AudioSpeech:
    """The voice of one call."""

    def __init__(self, spec: TtsSpec, endpoint: Endpoint, options: Options) -> None:
        self._spec = spec
        self._endpoint = endpoint
        self._options = options

    async def prepare(self) -> None:
        """Open the connection."""
        await self._endpoint.warm()

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        """Stream ``text`` as 24 kHz PCM in whole samples; raises ``ProviderError``."""
        async with self._endpoint.stream("audio/speech", json=self._request(text)) as answer:
            kind = answer.content_type
            if kind.startswith("text/") or kind == "application/json" or kind in _COMPRESSED_TYPES:
                raise self._endpoint.nonsense(f"expected raw audio, got {kind}")
            opening = _Opening(self._options.sample_rate_hz)
            resampler: Resampler | None = None
            spoke = False
            async for piece in answer.pieces():
                try:
                    pcm = opening.push(piece)
                except ValueError as error:
                    raise self._endpoint.nonsense(str(error)) from None
                if pcm and resampler is None:
                    resampler = Resampler(opening.rate_hz, SPOKEN_RATE_HZ)
                made = resampler.push(pcm) if resampler is not None else b""
                if made:
                    spoke = True
                    yield made
            if resampler is None and (pcm := opening.finish()):
                resampler = Resampler(opening.rate_hz, SPOKEN_RATE_HZ)
                if made := resampler.push(pcm):
                    spoke = True
                    yield made
            if resampler is not None and (made := resampler.flush()):
                spoke = True
                yield made
            if not spoke:
                raise self._endpoint.error(ProviderErrorKind.PROTOCOL, "the answer holds no audio")

    def _request(self, text: str) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._spec.model or DEFAULT_MODELS[Stage.TTS],
            "voice": self._spec.voice or DEFAULT_VOICE,
            "input": text,
            "response_format": "pcm",
        }
        if self._spec.speed != 1.0:
            body["speed"] = self._spec.speed
        return {**body, **self._options.extra_body}


class _Opening:
    """The first bytes of an answer: finds out whether they are raw audio, a WAV file, or something else."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._held = b""
        self._settled = False

    def push(self, piece: bytes) -> bytes:
        """Return the audio that is certain by now; raises ``ValueError`` for a format that cannot be played."""
        if self._settled:
            return piece
        self._held += piece
        if len(self._held) < 4:
            return b""
        if self._held.startswith(_COMPRESSED_MAGIC):
            raise ValueError("the audio is compressed, although raw pcm was asked for")
        if not self._held.startswith(b"RIFF"):
            return self.finish()
        at = self._held.find(b"data")
        if at < 0 or len(self._held) < at + 8:
            if len(self._held) > _MAX_WAV_HEADER_BYTES:
                raise ValueError("a WAV file without audio")
            return b""
        self.rate_hz = _wav_rate_hz(self._held[:at])
        self._held = self._held[at + 8 :]
        return self.finish()

    def finish(self) -> bytes:
        """Return what is held as audio."""
        self._settled = True
        pcm, self._held = self._held, b""
        return b"" if pcm.startswith(b"RIFF") else pcm


def _wav_rate_hz(header: bytes) -> int:
    """Return a WAV file's sample rate; raises ``ValueError`` unless it is mono s16."""
    at = header.find(b"fmt ")
    if at < 0 or len(header) < at + 24:
        raise ValueError("a WAV file without a format")
    _, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", header, at + 8)
    if channels != 1 or bits != 16 or not 8_000 <= rate_hz <= 96_000:
        raise ValueError(f"a WAV file of {channels} channels, {bits} bits, {rate_hz} Hz cannot be played")
    return rate_hz
