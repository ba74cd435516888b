import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from oneinbox.core.link import KnowledgeFound, SearchKnowledge
from oneinbox.core.outbound import AddressPolicy
from oneinbox.core.spec import ToolSpec
from oneinbox.live.engine.ports import ToolOutcome
from oneinbox.live.tools.knowledge import ServerKnowledge
from oneinbox.live.tools.toolbox import ToolHub
from tests.support.virtual_time import run_virtually
from tests.unit.tools.test_other_tools import spec_with

SEARCH = ToolSpec(
    name="search_knowledge_base",
    type="knowledge_search",
    description="d",
    parameters={"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    config={"knowledge_base_ids": ["kb_1"]},
)


def search(
    answer: Callable[[SearchKnowledge], KnowledgeFound | None], *queries: Any
) -> tuple[list[ToolOutcome], list[SearchKnowledge]]:
    """Use the tool with all queries at once against a server that answers so."""
    asked: list[SearchKnowledge] = []

    async def use() -> list[ToolOutcome]:
        def send(message: SearchKnowledge) -> None:
            asked.append(message)
            found = answer(message)
            if found is not None:
                asyncio.get_running_loop().call_later(1, knowledge.found, found)

        knowledge = ServerKnowledge(send)
        tool = ToolHub(AddressPolicy(), knowledge).for_call(spec_with(SEARCH), lambda _: None).find(SEARCH.name)
        assert tool is not None
        return await asyncio.gather(*(tool.run({"query": query}, key="k") for query in queries))

    return run_virtually(use), asked


def test_each_question_gets_its_own_answer() -> None:
    outcomes, asked = search(
        lambda one: KnowledgeFound(request_id=one.request_id, text=one.query.upper()), "soup", "fish"
    )
    assert [outcome.content for outcome in outcomes] == ["SOUP", "FISH"]
    assert asked[0] == SearchKnowledge(request_id=1, org_id="org_1", knowledge_base_ids=("kb_1",), query="soup")
    assert not any(outcome.is_error for outcome in outcomes)


@pytest.mark.parametrize(
    "answer",
    [lambda one: KnowledgeFound(request_id=one.request_id, text=None), lambda one: None],
    ids=["failed", "silent"],
)
def test_a_server_that_fails_or_is_silent_is_an_outcome(
    answer: Callable[[SearchKnowledge], KnowledgeFound | None],
) -> None:
    ((outcome,), _) = search(answer, "soup")
    assert outcome == ToolOutcome(content="The reference material cannot be searched now.", is_error=True)


def test_a_question_without_words_is_refused_and_late_answers_are_dropped() -> None:
    ((outcome,), asked) = search(lambda _: None, None)
    assert outcome.is_error
    assert asked == []
    ServerKnowledge(lambda _: None).found(KnowledgeFound(request_id=7, text="late"))
