"""Queries over agents, always with the model that each thinks with."""

from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from oneinbox.api.db.database import Rows
from oneinbox.api.db.owned import is_plausible_id
from oneinbox.api.db.plain import Query, table_of
from oneinbox.api.db.tables import Agent, LanguageModel, PhoneNumber

AgentAndModel = tuple[Agent, LanguageModel]


_AGENTS, _MODELS = table_of(Agent), table_of(LanguageModel)


async def agent_with_model(rows: Rows, org_id: str, agent_id: str) -> AgentAndModel | None:
    """Return the organisation's agent and its model."""
    if not is_plausible_id(agent_id):
        return None
    query = (
        select(Agent, LanguageModel)
        .join(LanguageModel, LanguageModel.id == Agent.llm_id)
        .where(Agent.id == agent_id, Agent.org_id == org_id)
    )
    found = (await rows.execute(query)).one_or_none()
    return None if found is None else (found[0], found[1])


_with_model = Query(
    select(*_AGENTS.c, *_MODELS.c)
    .join(_MODELS, _MODELS.c.id == _AGENTS.c.llm_id)
    .where(_AGENTS.c.id == bindparam("agent_id"), _AGENTS.c.org_id == bindparam("org_id"))
)


def find_agent_with_model(connection: Connection, org_id: str, agent_id: str) -> AgentAndModel | None:
    """Return the same: to be read, never changed."""
    if not is_plausible_id(agent_id):
        return None
    return _with_model.one(connection, _agent_and_model, agent_id=agent_id, org_id=org_id)


def _agent_and_model(row: tuple[Any, ...]) -> AgentAndModel:
    of_agent = len(_AGENTS.c)
    agent = Agent(**dict(zip(_AGENTS.c.keys(), row[:of_agent], strict=True)))
    return agent, LanguageModel(**dict(zip(_MODELS.c.keys(), row[of_agent:], strict=True)))


async def page_of_agents(rows: Rows, org_id: str, limit: int, offset: int) -> tuple[list[AgentAndModel], int]:
    """Return one page of the organisation's agents, newest first, and how many there are."""
    total = (await rows.execute(select(func.count()).select_from(Agent).where(Agent.org_id == org_id))).scalar_one()
    query = (
        select(Agent, LanguageModel)
        .join(LanguageModel, LanguageModel.id == Agent.llm_id)
        .where(Agent.org_id == org_id)
        .order_by(Agent.created_at.desc(), Agent.id.desc())
        .limit(limit)
        .offset(offset)
    )
    return [(row[0], row[1]) for row in (await rows.execute(query)).all()], total


async def numbers_naming(rows: Rows, org_id: str, agent_id: str) -> list[str]:
    """Return the phone numbers that the agent answers, by itself or for another."""
    query = select(PhoneNumber.phone_number, PhoneNumber.agent_id, PhoneNumber.inbound_routing)
    found = (await rows.execute(query.where(PhoneNumber.org_id == org_id).order_by(PhoneNumber.phone_number))).all()
    return [
        number
        for number, own, routing in found
        if agent_id in (own, routing.get("agent_id"), routing.get("fallback", {}).get("agent_id"))
    ]
