"""Who serves each stage of a call: a pure function of what the agent asks for and what the operator has set up.

============================================ ========================================================
provider asked for                            served by
============================================ ========================================================
``default`` ``openai`` ``openai_compatible``  the operator's choice for the stage
one that an own account can serve, with one   that account (``credential_id``)
``default`` beside a ``demo`` model           the demo: script, ear and voice belong together
``default`` (tts) and no operator's choice    the demo's voice, which can speak any text
``demo`` (llm)                                the demo's script
``demo`` (stt)                                the demo's ear: only beside the demo's script
``demo`` (tts)                                the demo's voice
anything else                                 nobody: ``provider_not_available``
============================================ ========================================================
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from oneinbox.api.config import StageDefault, StageDefaults
from oneinbox.api.integrations.accounts import serves_own_accounts
from oneinbox.api.integrations.service import Account
from oneinbox.api.models.schemas import DEFAULT
from oneinbox.core.errors import AppError, ErrorKind, Stage

DEMO = "demo"
OWN_ADAPTER = "openai_compatible"
"""The adapter that reaches an organisation's own accounts."""
_BY_OPERATOR = frozenset({DEFAULT, "openai", "openai_compatible"})
_FIELD = {Stage.LLM: "llm.provider", Stage.STT: "transcriber.provider", Stage.TTS: "tts.provider"}
_WORDS = {Stage.LLM: "language model", Stage.STT: "speech recognition", Stage.TTS: "voice"}


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What an agent (or a call's overrides) asks for at one stage; ``None`` where it asks for nothing."""

    provider: str = DEFAULT
    model: str | None = None
    voice: str | None = None
    credential_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What is asked for at all three stages."""

    llm: Wish
    stt: Wish
    tts: Wish

    def of(self, stage: Stage) -> Wish:
        """Return what is asked for at ``stage``."""
        return {Stage.STT: self.stt, Stage.LLM: self.llm, Stage.TTS: self.tts}[stage]


@dataclass(frozen=True, kw_only=True)
class Served:
    """Who serves a stage: an adapter of the live half, and how it reaches the provider."""

    provider: str
    model: str | None = None
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    voice: str | None = None
    addresses: tuple[str, ...] = ()


def serve(
    stage: Stage,
    wishes: Wishes,
    defaults: StageDefaults,
    *,
    demo_enabled: bool,
    own: Mapping[Stage, Account] | None = None,
) -> Served:
    """Return who serves ``stage``. Raises ``AppError`` naming the ways out when nobody does.

    ``own`` holds the opened account of each stage that names a credential; ``None``: only the name of who would serve
    is asked for.
    """
    wish = wishes.of(stage)
    script = wishes.llm.provider == DEMO
    if stage is Stage.STT and (wish.provider == DEMO) != script and not (script and wish.provider == DEFAULT):
        raise _demo_mixed()
    if wish.provider == DEMO or (script and wish.provider == DEFAULT):
        return _demo(stage, wish, demo_enabled=demo_enabled)
    if wish.credential_id is not None and serves_own_accounts(wish.provider, stage):
        return Served(provider=OWN_ADAPTER) if own is None else _by_own_account(stage, wish, own[stage])
    if wish.provider not in _BY_OPERATOR:
        raise AppError(
            "provider_not_available",
            f"this server has no {_WORDS[stage]} provider {wish.provider[:80]!r} ({stage}); use {DEFAULT!r} for what "
            "the server has set up, or your own account where it speaks OpenAI's wire (`credential_id`)",
            ErrorKind.INVALID,
            param=_FIELD[stage],
        )
    operator = defaults.of(stage)
    if operator is not None:
        return _by_operator(wish, operator)
    if stage is Stage.TTS and wish.provider == DEFAULT and demo_enabled:
        return Served(provider=DEMO, voice=wish.voice)
    raise _not_configured(stage)


def serving_providers(wishes: Wishes, defaults: StageDefaults, *, demo_enabled: bool) -> dict[str, str | None]:
    """Return the adapter that would serve each stage of a call made now; ``None`` where none would."""
    found: dict[str, str | None] = {}
    for stage in Stage:
        try:
            found[stage.value] = serve(stage, wishes, defaults, demo_enabled=demo_enabled).provider
        except AppError:
            found[stage.value] = None
    return found


def _by_operator(wish: Wish, operator: StageDefault) -> Served:
    return Served(
        provider=operator.provider,
        model=wish.model or operator.model,
        base_url=operator.base_url,
        api_key=operator.api_key,
        voice=wish.voice or operator.voice,
    )


def _by_own_account(stage: Stage, wish: Wish, account: Account) -> Served:
    if wish.model is None and wish.provider != "openai":
        raise AppError(
            "model_required",
            f"name the model that {wish.provider!r} is to use ({stage})",
            ErrorKind.INVALID,
            param=_FIELD[stage].replace("provider", "model"),
        )
    return Served(
        provider=OWN_ADAPTER,
        model=wish.model,
        base_url=account.base_url,
        api_key=account.api_key,
        voice=wish.voice,
        addresses=account.addresses,
    )


def _demo(stage: Stage, wish: Wish, *, demo_enabled: bool) -> Served:
    if not demo_enabled:
        raise AppError(
            "provider_not_available",
            f"the demo ({stage}) is switched off on this server",
            ErrorKind.INVALID,
            param=_FIELD[stage],
        )
    return Served(provider=DEMO, voice=wish.voice)


def _demo_mixed() -> AppError:
    return AppError(
        "demo_mixed",
        "the demo's speech recognition knows only the phrases of the demo's script: take `demo` for the model and the "
        "transcriber, or for neither",
        ErrorKind.INVALID,
        param=_FIELD[Stage.STT],
    )


def _not_configured(stage: Stage) -> AppError:
    """Each stage has a code of its own, so that programs can tell their users what is missing."""
    variable = f"ONEINBOX_{stage.upper()}_BASE_URL"
    ways = (
        f"no {_WORDS[stage]} is set up on this server: set OPENAI_API_KEY, or {variable} to the address of an "
        "OpenAI-compatible server (a local one needs no key), and start it again"
    )
    match stage:
        case Stage.LLM:
            ways += "; or call the demo agent, which needs none"
            return AppError("no_llm_configured", ways, ErrorKind.INVALID, param=_FIELD[stage])
        case Stage.STT:
            ways += "; or call the demo agent, which needs none"
            return AppError("no_stt_configured", ways, ErrorKind.INVALID, param=_FIELD[stage])
        case Stage.TTS:
            return AppError("no_tts_configured", ways, ErrorKind.INVALID, param=_FIELD[stage])
