"""The errors that cross a module boundary.

::

    OneInboxError
    +-- AppError            a request that cannot be carried out: code, message, kind, the field at fault
    +-- ProviderError       a vendor's failure: provider, stage, kind, whether trying again may help
    +-- LinkClosedError     the other end of a link has gone

How a call ended is data (:class:`oneinbox.core.events.EndReason`), not an exception. No HTTP numbers stand here:
``oneinbox.api.http`` alone maps kinds to status codes.
"""

from enum import StrEnum


class OneInboxError(Exception):
    """Any error of ours."""


class ErrorKind(StrEnum):
    """What sort of refusal an :class:`AppError` is."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    GONE = "gone"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class AppError(OneInboxError):
    """A request that cannot be carried out, said so that the caller can mend it.

    ``code`` is stable and documented in ``docs/reference/errors.md``; ``message`` names the mend; ``param`` is the
    field at fault, in dotted form, where there is one; ``retry_after_s`` says when trying again makes sense.
    """

    def __init__(
        self,
        code: str,
        message: str,
        kind: ErrorKind,
        *,
        param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.kind = kind
        self.param = param
        self.retry_after_s = retry_after_s


class Stage(StrEnum):
    """One of the three stages of a spoken reply."""

    STT = "stt"
    LLM = "llm"
    TTS = "tts"


class ProviderErrorKind(StrEnum):
    """How a provider failed."""

    AUTH = "auth"  # key refused (401, 403)
    RATE_LIMITED = "rate_limited"  # 429
    REJECTED = "rejected"  # our request was refused as wrong (other 4xx)
    SERVER = "server"  # 5xx
    TIMEOUT = "timeout"  # no answer, or a stream that stalled
    CONNECTION = "connection"  # refused, reset, closed in mid-stream
    PROTOCOL = "protocol"  # an answer that cannot be understood


class ProviderError(OneInboxError):
    """A vendor failed at its stage. ``detail`` never holds a credential."""

    def __init__(self, provider: str, stage: Stage, kind: ProviderErrorKind, detail: str, *, retryable: bool) -> None:
        super().__init__(f"{provider} ({stage}): {kind}: {detail}")
        self.provider = provider
        self.stage = stage
        self.kind = kind
        self.detail = detail
        self.retryable = retryable


class LinkClosedError(OneInboxError):
    """The other end of a link has gone."""
