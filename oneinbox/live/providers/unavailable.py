"""What serves a stage that nobody can serve: it says why when it is first asked, so that the call ends with a reason."""

from collections.abc import AsyncIterator, Sequence

from oneinbox.core.errors import ProviderError, ProviderErrorKind, Stage
from oneinbox.live.engine.ports import ChatMessage, ReplyPart, SttResult


def _refusal(provider: str, stage: Stage, detail: str) -> ProviderError:
    return ProviderError(provider, stage, ProviderErrorKind.REJECTED, detail, retryable=False)


class UnavailableStt:
    """A recogniser that cannot be: both the ``Stt`` and its stream."""

    def __init__(self, provider: str, detail: str) -> None:
        self._error = _refusal(provider, Stage.STT, detail)

    async def prepare(self) -> None:
        """Reported by ``results``."""

    def open(self) -> "UnavailableStt":
        """Return the stream that fails."""
        return self

    def push(self, pcm: bytes) -> None:
        """Nobody listens."""

    def speech_started(self) -> None:
        """Nobody listens."""

    def speech_ended(self) -> None:
        """Nobody listens."""

    async def results(self) -> AsyncIterator[SttResult]:
        """Raise the reason."""
        raise self._error
        yield  # makes this a generator

    async def aclose(self) -> None:
        """Nothing is held."""


class UnavailableLlm:
    """A language model that cannot be."""

    def __init__(self, provider: str, detail: str) -> None:
        self._error = _refusal(provider, Stage.LLM, detail)

    async def prepare(self) -> None:
        """Reported by ``reply``."""

    def opening(self) -> Sequence[ReplyPart]:
        """Return nothing."""
        return ()

    async def reply(self, history: Sequence[ChatMessage]) -> AsyncIterator[ReplyPart]:  # noqa: ARG002 - the port's name
        """Raise the reason."""
        raise self._error
        yield  # makes this a generator

    def committed(self, history: Sequence[ChatMessage]) -> None:
        """Nothing follows."""


class UnavailableTts:
    """A voice that cannot be."""

    def __init__(self, provider: str, detail: str) -> None:
        self._error = _refusal(provider, Stage.TTS, detail)

    async def prepare(self) -> None:
        """Reported by ``speak``."""

    async def speak(self, text: str) -> AsyncIterator[bytes]:  # noqa: ARG002 - the port's name
        """Raise the reason."""
        raise self._error
        yield  # makes this a generator
