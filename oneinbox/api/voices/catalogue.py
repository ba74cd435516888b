"""Voices that this release can serve without an import: OpenAI's, and the demo's (espeak-ng).

OpenAI's names after its text-to-speech guide; the same names work with servers that imitate it.
"""

from dataclasses import dataclass

VOICE_PREFIX = "vc_"


@dataclass(frozen=True, kw_only=True)
class CatalogueVoice:
    """A voice that everybody has."""

    id: str
    provider: str
    provider_voice_id: str
    name: str
    gender: str | None = None
    language: str | None = None
    accent: str | None = None


def _openai(name: str) -> CatalogueVoice:
    return CatalogueVoice(
        id=f"vc_openai_{name}", provider="openai", provider_voice_id=name, name=name.title(), language="multilingual"
    )


def _demo(voice: str, name: str, accent: str | None = None) -> CatalogueVoice:
    return CatalogueVoice(
        id=f"vc_demo_{voice.replace('-', '_')}",
        provider="demo",
        provider_voice_id=voice,
        name=name,
        language=voice.partition("-")[0],
        accent=accent,
    )


_OPENAI_NAMES = (
    "alloy",
    "ash",
    "ballad",
    "coral",
    "echo",
    "fable",
    "nova",
    "onyx",
    "sage",
    "shimmer",
    "verse",
)
CATALOGUE = (
    *(_openai(name) for name in _OPENAI_NAMES),
    _demo("en-us", "Demo English (US)", "american"),
    _demo("en-gb", "Demo English (UK)", "british"),
    _demo("de", "Demo German"),
    _demo("es", "Demo Spanish"),
    _demo("fr", "Demo French"),
    _demo("it", "Demo Italian"),
)
BY_ID = {voice.id: voice for voice in CATALOGUE}
