"""Credentials on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from oneinbox.api.http.fields import Answer, Body, JsonObject, Name, absent

CredentialProvider = Literal[
    "openai",
    "openai_compatible",
    "groq",
    "gemini",
    "anthropic",
    "shisa",
    "custom",
    "deepgram",
    "whisper",
    "assembly_ai",
    "azure",
    "cartesia",
    "elevenlabs",
    "minimax",
    "twilio",
    "telnyx",
    "resend",
    "sendgrid",
    "cal.com",
]


def _sendable(key: str) -> str:
    if not (key.isascii() and key.isprintable()) or key != key.strip():
        raise PydanticCustomError("key_not_sendable", "a key holds visible ASCII characters only, and no space around")
    return key


Key = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_sendable)]
_METADATA = (
    "Not secret, and shown. `base_url`: where an OpenAI-compatible server is reached (needed for `openai_compatible`)."
)


class CredentialCreate(Body):
    """A key of your own with a provider."""

    name: Name = Field(examples=["Our Groq account"])
    provider: CredentialProvider
    api_key: Key = Field(description="Kept encrypted, never shown again.")
    metadata: JsonObject = Field(default_factory=dict, description=_METADATA)


class CredentialPatch(Body):
    """What to change. A new ``api_key`` is used from the next call on."""

    name: Name = Field(default_factory=absent)
    api_key: Key = Field(default_factory=absent)
    metadata: JsonObject = Field(default_factory=absent, description=f"Replaces the whole. {_METADATA}")


class CredentialAnswer(Answer):
    """A credential, without its key."""

    id: str = Field(examples=["cred_01jd2k"])
    name: str
    provider: CredentialProvider
    masked_key: str = Field(examples=["****a1b2"])
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
