"""From an agent, its model and what one call says, to the call's frozen spec. Pure."""

from dataclasses import dataclass, replace
from typing import Any

from oneinbox.api.agents.schemas import TurnTakingAnswer
from oneinbox.api.agents.service import effective_prompt, wishes_of
from oneinbox.api.agents.stages import Served, Wish, Wishes, serve
from oneinbox.api.calls.schemas import CallOverrides, LlmOverrides, TranscriberOverrides, TtsOverrides
from oneinbox.api.calls.supplies import Supplies
from oneinbox.api.calls.template import check_variables, render
from oneinbox.api.calls.visitor import render_prompt, spoken
from oneinbox.api.config import ApiConfig
from oneinbox.api.db.tables import Agent, LanguageModel
from oneinbox.core.errors import Stage
from oneinbox.core.spec import CallSpec, LlmSpec, SttSpec, TtsSpec, TurnSpec

_DEFAULT_STABILITY = 0.5
_MIN_SPEED, _MAX_SPEED = 0.5, 2.0


@dataclass(frozen=True, kw_only=True)
class CallNames:
    """What a new call is called, in our database and in its room."""

    call_id: str
    room_name: str
    identity: str


def make_spec(
    agent: Agent,
    model: LanguageModel,
    *,
    overrides: CallOverrides | None,
    variables: dict[str, Any],
    names: CallNames,
    config: ApiConfig,
    supplies: Supplies,
    from_visitor: bool = False,
) -> CallSpec:
    """Return the call's spec. Raises ``AppError`` where a stage has nobody to serve it, or a text cannot be filled.

    ``from_visitor``: the variables came with a publishable key.
    """
    check_variables(variables)
    visitors = variables if from_visitor else {}
    said = overrides or CallOverrides()
    llm, stt, tts = said.llm or LlmOverrides(), said.transcriber or TranscriberOverrides(), said.tts or TtsOverrides()
    wishes = supplies.wishes
    values = {**agent.dynamic_variables, **variables}

    def served(stage: Stage) -> Served:
        return serve(stage, wishes, config.stages, demo_enabled=config.demo_enabled, own=supplies.accounts)

    greeting = agent.first_message if said.first_message is None else said.first_message
    prompt = effective_prompt(llm.system_prompt or model.system_prompt, agent.job_description)
    rendered = render_prompt(prompt, values, visitors, param="system_prompt")
    system_prompt = "\n\n".join(filter(None, (rendered, supplies.knowledge)))
    return CallSpec(
        call_id=names.call_id,
        org_id=agent.org_id,
        agent_id=agent.id,
        agent_name=agent.name,
        room_name=names.room_name,
        identity=names.identity,
        first_message=render(greeting or "", {**values, **spoken(visitors)}, param="first_message").strip() or None,
        llm=_llm_spec(served(Stage.LLM), system_prompt, model, llm),
        stt=_stt_spec(served(Stage.STT), agent, stt),
        tts=_tts_spec(served(Stage.TTS), agent, tts),
        turns=_turn_spec(agent),
        tools=supplies.tools,
        variables=values,
        untrusted=tuple(visitors),
        enable_recording=agent.enable_recording,
        join_timeout_s=float(config.join_ttl_s),
    )


def call_wishes(agent: Agent, model: LanguageModel, overrides: CallOverrides | None) -> Wishes:
    """Return what a call asks for at each stage: the agent's wishes, and the call's own laid over them."""
    said = overrides or CallOverrides()
    llm, stt, tts = said.llm or LlmOverrides(), said.transcriber or TranscriberOverrides(), said.tts or TtsOverrides()
    wishes = wishes_of(agent, model)
    return Wishes(
        llm=_laid_over(wishes.llm, llm.provider, llm.model),
        stt=_laid_over(wishes.stt, stt.provider, stt.model),
        tts=_laid_over(wishes.tts, tts.provider, tts.model, tts.voice_id),
    )


def _laid_over(wish: Wish, provider: str | None, model: str | None, voice: str | None = None) -> Wish:
    if provider is not None and provider != wish.provider:
        return Wish(provider=provider, model=model, voice=voice)  # another provider knows neither model nor voice
    if model is None and voice is None:
        return wish
    return replace(wish, model=model or wish.model, voice=voice or wish.voice)


def _llm_spec(served: Served, system_prompt: str, model: LanguageModel, said: LlmOverrides) -> LlmSpec:
    return LlmSpec(
        provider=served.provider,
        model=served.model,
        base_url=served.base_url,
        api_key=served.api_key,
        addresses=served.addresses,
        system_prompt=system_prompt,
        temperature=model.temperature if said.temperature is None else said.temperature,
        max_tokens=model.max_tokens,
    )


def _turn_spec(agent: Agent) -> TurnSpec:
    said = TurnTakingAnswer.model_validate(agent.turn_taking)
    acknowledgements, interruptions = said.acknowledgement_phrases, said.interruption_phrases
    return TurnSpec(
        silence_timeout_s=float(agent.silence_timeout_seconds),
        max_duration_s=float(agent.max_duration_seconds),
        interruption_sensitivity=agent.interruption_sensitivity,
        responsiveness=agent.responsiveness,
        end_call_phrases=tuple(agent.end_call_phrases),
        first_message_interruptible=said.first_message_interruptible,
        end_of_turn_model=said.end_of_turn_model,
        reminder_count=said.reminder_count,
        reminder_after_s=said.reminder_after_seconds or 0.0,
        reminders=tuple(said.reminders or ()),
        acknowledgement_phrases=None if acknowledgements is None else tuple(acknowledgements),
        interruption_phrases=None if interruptions is None else tuple(interruptions),
    )


def _stt_spec(served: Served, agent: Agent, said: TranscriberOverrides) -> SttSpec:
    return SttSpec(
        provider=served.provider,
        model=served.model,
        base_url=served.base_url,
        api_key=served.api_key,
        addresses=served.addresses,
        language=said.language or agent.transcriber.get("language", agent.language),
    )


def _tts_spec(served: Served, agent: Agent, said: TtsOverrides) -> TtsSpec:
    speed = agent.speed * (said.speed or agent.tts.get("speed", 1.0))
    stability = agent.tts.get("stability", _DEFAULT_STABILITY) if said.stability is None else said.stability
    return TtsSpec(
        provider=served.provider,
        model=served.model,
        base_url=served.base_url,
        api_key=served.api_key,
        addresses=served.addresses,
        voice=served.voice,
        speed=min(max(speed, _MIN_SPEED), _MAX_SPEED),
        stability=stability,
    )
