"""``search_knowledge_base``: asks the server, which holds the knowledge, over the link."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

from oneinbox.core.link import KnowledgeFound, SearchKnowledge
from oneinbox.core.spec import ToolSpec
from oneinbox.live.engine.ports import ToolOutcome
from oneinbox.live.tools.arguments import UnfitError, checked
from oneinbox.live.tools.settings import ToolSettings

_ANSWER_LIMIT_S = 10.0
_FAILED = "The reference material cannot be searched now."


class ServerKnowledge:
    """What a worker asks its server's knowledge bases. ``send`` puts a question on the link; :meth:`found` brings answers."""

    def __init__(self, send: Callable[[SearchKnowledge], None]) -> None:
        self._send = send
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[str | None]] = {}

    async def search(self, org_id: str, base_ids: Sequence[str], query: str) -> str | None:
        """Return passages that fit; ``None`` where the search failed or took too long."""
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._send(
                SearchKnowledge(request_id=number, org_id=org_id, knowledge_base_ids=tuple(base_ids), query=query)
            )
            return await asyncio.wait_for(answer, _ANSWER_LIMIT_S)
        except TimeoutError:
            return None
        finally:
            del self._waiting[number]

    def found(self, message: KnowledgeFound) -> None:
        """Take an answer; one that nobody waits for any more is dropped."""
        waiting = self._waiting.get(message.request_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(message.text)


class KnowledgeTool(ToolSettings):
    """The search of one call, in the knowledge bases of its agent."""

    def __init__(self, spec: ToolSpec, knowledge: ServerKnowledge, *, org_id: str) -> None:
        super().__init__(spec)
        self._spec = spec
        self._knowledge = knowledge
        self._org_id = org_id

    async def run(self, arguments: Mapping[str, Any], *, key: str) -> ToolOutcome:
        """Search. Looking twice does no harm: ``key`` is not needed."""
        del key
        try:
            query: str = checked(arguments, self._spec.parameters)["query"]
        except UnfitError as error:
            return ToolOutcome(content=str(error), is_error=True)
        text = await self._knowledge.search(self._org_id, self._spec.config["knowledge_base_ids"], query)
        return ToolOutcome(content=_FAILED if text is None else text, is_error=text is None)
