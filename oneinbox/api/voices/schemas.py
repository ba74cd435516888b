"""Voices on the wire."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from oneinbox.api.http.fields import Answer, Body, Name, Word

ImportProvider = Literal["cartesia", "deepgram", "elevenlabs", "openai", "openai_compatible", "groq"]


class VoiceImport(Body):
    """A voice of your own account with a provider."""

    provider: ImportProvider
    provider_voice_id: Word = Field(description="What the provider calls it.")
    name: Name
    credential_id: Word = Field(description="Your account with the provider.")
    gender: Word | None = None
    language: Word | None = None
    accent: Word | None = None


class VoiceAnswer(Answer):
    """A voice. Its ``id`` goes into an agent's ``tts.voice_id``."""

    id: str = Field(examples=["vc_openai_alloy"])
    provider: str
    provider_voice_id: str
    name: str
    gender: str | None = None
    language: str | None = None
    accent: str | None = None
    preview_url: str | None = None
    credential_id: str | None = Field(default=None, description="Null: a built-in voice.")
    created_at: datetime | None = Field(default=None, description="Null: a built-in voice.")
