"""Queries over agents, always with the model that each thinks with."""

from sqlalchemy import func, select

from oneinbox.api.db.database import Rows
from oneinbox.api.db.owned import is_plausible_id
from oneinbox.api.db.tables import Agent, LanguageModel

AgentAndModel = tuple[Agent, LanguageModel]


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
