"""What a stage of this adapter needs to know, and the documented defaults where its spec is silent."""

from typing import Any

import msgspec

from oneinbox.core.errors import Stage
from oneinbox.core.spec import StageSpec

PROVIDER = "openai_compatible"
DEFAULT_BASE_URL = "https://api.openai.com/v1"
DEFAULT_MODELS = {
    Stage.LLM: "gpt-4o-mini",
    Stage.TTS: "gpt-4o-mini-tts",
    Stage.STT: "gpt-4o-mini-transcribe",
}
DEFAULT_VOICE = "alloy"


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long a server may take, in seconds."""

    connect_s: float = 3.0
    first_byte_s: float = 8.0
    """From the request to the first byte of the answer's body."""
    between_chunks_s: float = 5.0


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """What ``StageSpec.options`` may hold for this adapter."""

    extra_body: dict[str, Any] = {}
    """Fields added to every request's body (``{"reasoning_effort": "none"}``, say); they win over ours."""
    max_tokens_field: str = "max_tokens"
    """The name under which the server wants ``max_tokens`` (``max_completion_tokens``, say)."""
    sample_rate_hz: int = msgspec.field(default=24_000)
    """The rate of the server's ``pcm`` audio."""


def read_options(spec: StageSpec) -> Options:
    """Return a stage's options; raises ``msgspec.ValidationError`` where they are not what they should be."""
    return msgspec.convert(spec.options, Options)


def base_url(spec: StageSpec) -> str:
    """Return the address that a stage's requests begin with, without a slash at its end."""
    return (spec.base_url or DEFAULT_BASE_URL).rstrip("/")
