"""Queries over imported voices."""

from sqlalchemy import select

from oneinbox.api.db.database import Rows
from oneinbox.api.db.owned import fetch_page
from oneinbox.api.db.tables import Agent, Voice


async def page_of_voices(
    rows: Rows, org_id: str, provider: str | None, limit: int, offset: int
) -> tuple[list[Voice], int]:
    """Return one page of the organisation's imported voices, newest first, and how many there are."""
    query = select(Voice).where(Voice.org_id == org_id)
    if provider is not None:
        query = query.where(Voice.provider == provider)
    return await fetch_page(rows, query, Voice, limit, offset)


async def agents_speaking_with(rows: Rows, org_id: str, voice_id: str, limit: int) -> list[str]:
    """Return ids of agents that have the voice."""
    query = select(Agent.id).where(Agent.org_id == org_id, Agent.tts["voice_id"].as_string() == voice_id).limit(limit)
    return list((await rows.execute(query)).scalars())
