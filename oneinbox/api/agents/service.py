"""Agents: the rules."""

from typing import Any

from oneinbox.api.agents import repo
from oneinbox.api.agents.schemas import AgentAnswer, AgentCreate, AgentPatch, Transcriber, Tts, TurnTaking
from oneinbox.api.agents.stages import Wish, Wishes, serving_providers
from oneinbox.api.audit import trail
from oneinbox.api.config import ApiConfig
from oneinbox.api.db.database import Database, Rows
from oneinbox.api.db.owned import fetch_owned, take_turns
from oneinbox.api.db.tables import Agent, LanguageModel, Webhook
from oneinbox.api.http.auth import Caller
from oneinbox.api.http.paging import Page, PageRequest
from oneinbox.api.integrations.service import require_credential
from oneinbox.api.models.schemas import DEFAULT, ModelCreate
from oneinbox.api.models.service import make_model, model_not_found
from oneinbox.api.voices.service import find_voice, is_voice_id, require_voice_of
from oneinbox.core.clock import utc_now
from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.core.ids import new_id

_MODEL_NAME = "{} (model)"
_NAME_LENGTH = 255
_MAX_NAMED = 10


async def add_agent(rows: Rows, org_id: str, body: AgentCreate) -> tuple[Agent, LanguageModel]:
    """Add an agent, and a model for it where the body names none, in the caller's transaction."""
    if body.llm_id is None:
        name = _MODEL_NAME.format(body.name[: _NAME_LENGTH - len(_MODEL_NAME)])
        model = make_model(org_id, ModelCreate(name=name))
        rows.add(model)
        await rows.flush()
    else:
        model = await _model(rows, org_id, body.llm_id)
    now = utc_now()
    said = body.model_dump(exclude={"llm_id", "transcriber", "tts", "turn_taking", "metadata"})
    agent = Agent(
        id=new_id("agt"),
        org_id=org_id,
        llm_id=model.id,
        transcriber=_merged({}, body.transcriber),
        tts=_merged({}, body.tts),
        turn_taking=_merged({}, body.turn_taking),
        custom_metadata=body.metadata,
        created_at=now,
        updated_at=now,
        **said,
    )
    await _require_stages(rows, agent)
    await _require_webhook(rows, org_id, agent.webhook_id)
    rows.add(agent)
    await rows.flush()
    return agent, model


def wishes_of(agent: Agent, model: LanguageModel) -> Wishes:
    """Return what the agent asks for at each stage."""
    return Wishes(
        llm=Wish(provider=model.provider, model=model.model, credential_id=model.credential_id),
        stt=Wish(
            provider=agent.transcriber.get("provider", DEFAULT),
            model=agent.transcriber.get("model"),
            credential_id=agent.transcriber.get("credential_id"),
        ),
        tts=Wish(
            provider=agent.tts.get("provider", DEFAULT),
            model=agent.tts.get("model"),
            voice=agent.tts.get("voice_id"),
            credential_id=agent.tts.get("credential_id"),
        ),
    )


def effective_prompt(system_prompt: str, job_description: str | None) -> str:
    """Return what the model is told: its prompt, then the agent's own job description."""
    return "\n\n".join(part for part in (system_prompt.strip(), (job_description or "").strip()) if part)


class AgentService:
    """Making, reading, changing and deleting agents."""

    def __init__(self, database: Database, config: ApiConfig) -> None:
        self._database = database
        self._config = config

    async def create(self, caller: Caller, body: AgentCreate) -> AgentAnswer:
        """Make an agent; its model and voice come with it, in one transaction."""
        async with self._database.write() as rows:
            agent, model = await add_agent(rows, caller.org_id, body)
            await trail.record(rows, caller, "agent.created", "agent", agent.id)
        return self._answer(agent, model)

    async def page(self, org_id: str, asked: PageRequest) -> Page[AgentAnswer]:
        """Return one page of agents, newest first."""
        async with self._database.read() as rows:
            found, total = await repo.page_of_agents(rows, org_id, asked.limit, asked.offset)
        items = [self._answer(agent, model) for agent, model in found]
        return Page(items=items, total=total, limit=asked.limit, offset=asked.offset)

    async def get(self, org_id: str, agent_id: str) -> AgentAnswer:
        """Return one agent."""
        async with self._database.read() as rows:
            found = await repo.agent_with_model(rows, org_id, agent_id)
        if found is None:
            raise agent_not_found(agent_id)
        return self._answer(*found)

    async def update(self, caller: Caller, agent_id: str, body: AgentPatch) -> AgentAnswer:
        """Change what the body says."""
        said = body.said()
        async with self._database.write() as rows:
            found = await repo.agent_with_model(rows, caller.org_id, agent_id)
            if found is None:
                raise agent_not_found(agent_id)
            agent, model = found
            if "llm_id" in said:
                model = await _model(rows, caller.org_id, said["llm_id"])
            for name, value in said.items():
                match name:
                    case "transcriber" | "tts" | "turn_taking":
                        setattr(agent, name, _merged(getattr(agent, name), value))
                    case "metadata":
                        agent.custom_metadata = value
                    case _:
                        setattr(agent, name, value)
            if "webhook_id" in said:
                await _require_webhook(rows, caller.org_id, agent.webhook_id)
            if said.keys() & {"transcriber", "tts"}:
                await _require_stages(rows, agent)
            agent.updated_at = utc_now()
            await trail.record(rows, caller, "agent.updated", "agent", agent.id)
        return self._answer(agent, model)

    async def delete(self, caller: Caller, agent_id: str) -> None:
        """Delete an agent that no phone number names. Its calls and its model stay."""
        async with self._database.write() as rows:
            await take_turns(rows, answering_agents(caller.org_id))
            agent = await fetch_owned(rows, Agent, caller.org_id, agent_id)
            if agent is None:
                raise agent_not_found(agent_id)
            numbers = await repo.numbers_naming(rows, caller.org_id, agent_id)
            if numbers:
                more = " and others" if len(numbers) > _MAX_NAMED else ""
                raise AppError(
                    "agent_in_use",
                    f"the agent answers {', '.join(numbers[:_MAX_NAMED])}{more}: give these another agent first",
                    ErrorKind.CONFLICT,
                )
            await rows.delete(agent)
            await trail.record(rows, caller, "agent.deleted", "agent", agent.id)

    def _answer(self, agent: Agent, model: LanguageModel) -> AgentAnswer:
        config = self._config
        columns = {column.key: getattr(agent, column.key) for column in Agent.__table__.columns}
        return AgentAnswer.model_validate(
            {
                **columns,
                "metadata": agent.custom_metadata,
                "transcriber": {"language": agent.language, **agent.transcriber},
                "effective_system_prompt": effective_prompt(model.system_prompt, agent.job_description),
                "providers": serving_providers(
                    wishes_of(agent, model), config.stages, demo_enabled=config.demo_enabled
                ),
            }
        )


async def _require_webhook(rows: Rows, org_id: str, webhook_id: str | None) -> None:
    if webhook_id is not None and await fetch_owned(rows, Webhook, org_id, webhook_id) is None:
        raise AppError(
            "webhook_not_found", f"there is no webhook {webhook_id[:80]!r}", ErrorKind.INVALID, param="webhook_id"
        )


async def _model(rows: Rows, org_id: str, model_id: str) -> LanguageModel:
    model = await fetch_owned(rows, LanguageModel, org_id, model_id)
    if model is None:
        raise model_not_found(model_id, param="llm_id")
    return model


async def _require_stages(rows: Rows, agent: Agent) -> None:
    """Refuse credentials and voices that are not there, or do not fit their provider."""
    for name in ("transcriber", "tts"):
        chosen = getattr(agent, name)
        if (credential_id := chosen.get("credential_id")) is not None:
            provider = chosen.get("provider", DEFAULT)
            await require_credential(rows, agent.org_id, credential_id, provider, param=f"{name}.credential_id")
    voice_id = agent.tts.get("voice_id")
    if is_voice_id(voice_id):
        voice = await find_voice(rows, agent.org_id, voice_id, param="tts.voice_id")
        require_voice_of(voice, agent.tts.get("provider", DEFAULT), param="tts.voice_id")


def _merged(stored: dict[str, Any], said: Transcriber | Tts | TurnTaking | None) -> dict[str, Any]:
    """Return the stored choices with what was said laid over them; null takes a choice back to its default."""
    if said is None:
        return {}
    together = {**stored, **said.said()}
    return {name: value for name, value in together.items() if value is not None}


def answering_agents(org_id: str) -> str:
    """Return under which name transactions take turns that let an agent answer a number, or delete one."""
    return f"answering agents of {org_id}"


def agent_not_found(agent_id: str) -> AppError:
    """Return the error for an agent that is not there, or another organisation's."""
    return AppError("agent_not_found", f"there is no agent {agent_id[:80]!r}", ErrorKind.NOT_FOUND, param="agent_id")
