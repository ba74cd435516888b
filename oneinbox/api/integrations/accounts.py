"""Which providers can be reached with a key of the organisation's own, and where.

All of them speak OpenAI's wire. Addresses after the providers' own documentation of their OpenAI-compatible endpoints.
"""

from oneinbox.core.errors import Stage

_EVERY_STAGE = frozenset(Stage)
_STAGES = {
    "openai": _EVERY_STAGE,
    "openai_compatible": _EVERY_STAGE,
    "groq": _EVERY_STAGE,
    "gemini": frozenset({Stage.LLM}),
}
_BASE_URLS = {
    "openai": "https://api.openai.com/v1",
    "groq": "https://api.groq.com/openai/v1",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/openai",
}


def serves_own_accounts(provider: str, stage: Stage) -> bool:
    """Whether an account with ``provider`` can serve ``stage``."""
    return stage in _STAGES.get(provider, frozenset())


def known_base_url(provider: str) -> str | None:
    """Return where the provider is reached; ``None``: only its user knows."""
    return _BASE_URLS.get(provider)


def takes_base_url(provider: str) -> bool:
    """Whether ``metadata.base_url`` means something for this provider."""
    return provider in _STAGES
