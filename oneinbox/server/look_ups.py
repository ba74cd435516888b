"""Answers what workers ask for their calls."""

import logging
from collections.abc import Sequence
from typing import Protocol

from oneinbox.core.link import KnowledgeFound, SearchKnowledge

_log = logging.getLogger(__name__)


class Knowledge(Protocol):
    """Where knowledge bases are searched."""

    async def find(self, org_id: str, base_ids: Sequence[str], query: str) -> str:
        """Return the passages that fit best, for a language model to read."""
        ...


async def look_up(knowledge: Knowledge | None, question: SearchKnowledge) -> KnowledgeFound:
    """Return the answer; one without text where the search failed."""
    text = None
    try:
        if knowledge is not None:
            text = await knowledge.find(question.org_id, question.knowledge_base_ids, question.query)
    except Exception:  # noqa: BLE001 - whatever the database says, the call that asked has to hear something
        _log.exception("knowledge bases could not be searched")
    return KnowledgeFound(request_id=question.request_id, text=text)
