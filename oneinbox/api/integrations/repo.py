"""Queries over credentials."""

from sqlalchemy import select

from oneinbox.api.db.database import Rows
from oneinbox.api.db.tables import Agent, LanguageModel, PhoneNumber, Tool, Voice


async def users_of_credential(rows: Rows, org_id: str, credential_id: str, limit: int) -> list[str]:
    """Return what uses the credential, in words: models, voices, agents, tools and phone numbers."""
    queries = [
        select(LanguageModel.id).where(LanguageModel.org_id == org_id, LanguageModel.credential_id == credential_id),
        select(Voice.id).where(Voice.org_id == org_id, Voice.credential_id == credential_id),
        select(PhoneNumber.id).where(PhoneNumber.org_id == org_id, PhoneNumber.credential_id == credential_id),
        select(Tool.id).where(Tool.org_id == org_id, Tool.config["credential_id"].as_string() == credential_id),
        select(Agent.id).where(Agent.org_id == org_id, Agent.tts["credential_id"].as_string() == credential_id),
        select(Agent.id).where(Agent.org_id == org_id, Agent.transcriber["credential_id"].as_string() == credential_id),
    ]
    found: list[str] = []
    for query in queries:
        found += list((await rows.execute(query.limit(limit))).scalars())
    return found[:limit]
