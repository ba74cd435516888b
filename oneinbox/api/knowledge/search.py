"""Searches knowledge bases for calls. The passages of a set of bases are kept ready in memory between searches."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from oneinbox.api.db.database import Database
from oneinbox.api.knowledge import repo
from oneinbox.api.knowledge.passages import Passage, PassageIndex, cut
from oneinbox.api.knowledge.repo import ReadySource
from oneinbox.api.knowledge.supply import quoted_source

_PASSAGES = 5
_MAX_INDEXED_TOKENS = 10_000_000
"""Of all sets of bases together that are kept ready: about 100 MB."""
_MAX_QUERY_CHARS = 1_000


class KnowledgeSearch:
    """Answers what the tool ``search_knowledge_base`` of a call asks. One a server process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ready: OrderedDict[tuple[str, ...], PassageIndex] = OrderedDict()
        self._tokens: dict[tuple[str, ...], int] = {}
        self._making = asyncio.Lock()

    async def find(self, org_id: str, base_ids: Sequence[str], query: str) -> str:
        """Return the passages that fit best, each with its source, for a language model to read."""
        found = (await self._index(org_id, base_ids)).find(query[:_MAX_QUERY_CHARS], _PASSAGES)
        if not found:
            return "Nothing was found."
        return "\n\n".join(quoted_source(one.source, one.text) for one in found)

    async def _index(self, org_id: str, base_ids: Sequence[str]) -> PassageIndex:
        async with self._database.read() as rows:
            sources = await repo.ready_sources(rows, org_id, base_ids)
        # What a source says never changes once it is ready, and its passages only with its base's size of passages.
        key = tuple(f"{source.id}:{source.chunk_size}" for source in sources)
        if key not in self._ready:
            async with self._making:  # one at a time: each takes a core
                if key not in self._ready:
                    self._keep(key, await self._make(org_id, sources), sum(source.tokens for source in sources))
        self._ready.move_to_end(key)
        return self._ready[key]

    async def _make(self, org_id: str, sources: Sequence[ReadySource]) -> PassageIndex:
        async with self._database.read() as rows:
            said = await repo.contents(rows, org_id, [source.id for source in sources])

        def index() -> PassageIndex:
            return PassageIndex(
                [
                    Passage(source.name, passage)
                    for source in sources
                    for passage in cut(said.get(source.id, ""), source.chunk_size)
                ]
            )

        return await asyncio.to_thread(index)

    def _keep(self, key: tuple[str, ...], index: PassageIndex, tokens: int) -> None:
        self._ready[key] = index
        self._tokens[key] = tokens
        while len(self._ready) > 1 and sum(self._tokens.values()) > _MAX_INDEXED_TOKENS:
            oldest, _ = self._ready.popitem(last=False)
            del self._tokens[oldest]
