"""What the local OpenAI-wire server answers, how it fails, and what it remembers of each request."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

FAULTS = {
    "drop": "the connection is reset in place of an answer",
    "stall": "no answer comes",
    "stall_headers": "the headers come, and nothing else",
    "stall_mid": "the answer stops half way",
    "reset_mid": "the connection is reset half way",
    "cut_mid": "the connection is closed half way",
    "not_http": "bytes that are no HTTP",
    "wrong_type": "200 with a page of HTML",
    "empty": "200 with an empty body",
    "garbage": "the right type, and a body that makes no sense",
    "garbage_utf8": "a stream that is not UTF-8",
    "told": "an error object inside the answer",
    "silent": "an answer that is well formed and holds nothing",
}
"""Besides these: any status from 300 to 599 as a number."""


class Script(msgspec.Struct, kw_only=True):
    """What the server answers, and how slowly. ``replies`` is asked by the last user message, case and ends ignored."""

    replies: dict[str, Any] = {}
    """Text, or ``{"text": ..., "tool_calls": [{"name": ..., "arguments": {...}}]}``; else the message is echoed."""
    transcripts: list[str] = []
    known: list[dict[str, str]] = []
    first_token_s: float = 0.0
    token_s: float = 0.0
    first_audio_s: float = 0.0
    transcript_s: float = 0.0
    audio_rate_hz: int = 24_000
    audio_format: str = "pcm"
    """``pcm``, or ``wav`` for a server that answers with a WAV file whatever it is asked for."""
    strict_order: bool = False
    """Whether, as with Mistral's models, a user may not speak right after a tool."""
    done_line: bool = True
    """Whether streams end with ``data: [DONE]``."""


class Fault(msgspec.Struct, kw_only=True):
    """How the next ``times`` requests of a stage fail (-1: all of them): a name of ``FAULTS`` or a status."""

    kind: str
    times: int = 1


@dataclass
class Asked:
    """One request, as the server saw it."""

    stage: str
    path: str
    connection: int
    authorization: str | None
    body: dict[str, Any] = field(default_factory=dict[str, Any])
    """The JSON body, or the fields of the form."""
    audio: bytes = field(default=b"", repr=False)
    speech_s: float = 0.0
    fault: str | None = None
    answered: bool = False
    """Whether the whole answer was sent."""
