"""Queries over tools."""

from sqlalchemy import select

from oneinbox.api.db.database import Rows
from oneinbox.api.db.tables import LanguageModel


async def models_with_tool(rows: Rows, org_id: str, tool_id: str, limit: int) -> list[str]:
    """Return ids of models that have the tool."""
    query = select(LanguageModel.id, LanguageModel.tool_ids).where(LanguageModel.org_id == org_id)
    return [row[0] for row in (await rows.execute(query)).all() if tool_id in row[1]][:limit]
