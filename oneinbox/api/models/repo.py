"""Queries over language models."""

from sqlalchemy import select

from oneinbox.api.db.database import Rows
from oneinbox.api.db.owned import fetch_page
from oneinbox.api.db.tables import Agent, LanguageModel


async def page_of_models(rows: Rows, org_id: str, limit: int, offset: int) -> tuple[list[LanguageModel], int]:
    """Return one page of the organisation's models, newest first, and how many there are."""
    query = select(LanguageModel).where(LanguageModel.org_id == org_id)
    return await fetch_page(rows, query, LanguageModel, limit, offset)


async def agents_using(rows: Rows, org_id: str, model_id: str, limit: int) -> list[tuple[str, str]]:
    """Return id and name of agents that use the model."""
    query = (
        select(Agent.id, Agent.name)
        .where(Agent.org_id == org_id, Agent.llm_id == model_id)
        .order_by(Agent.created_at)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in (await rows.execute(query)).all()]
