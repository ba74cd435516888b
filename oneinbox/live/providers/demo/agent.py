"""The demo's scripted agent as a language model: no model is running, and the page says so."""

import re
from collections.abc import AsyncIterator, Sequence

from oneinbox.live.engine.ports import ChatMessage, HangUp, ReplyPart, Suggestions, TextDelta
from oneinbox.live.providers.demo.flow import Position, replay
from oneinbox.live.providers.demo.script import FIRST_STATE, STATES


class Whereabouts:
    """Where one demo call stands for certain: told by the agent, read by the recogniser to know what can be said."""

    def __init__(self) -> None:
        self.state = FIRST_STATE


class DemoAgent:
    """The scripted flow behind the ``Llm`` port."""

    def __init__(self, whereabouts: Whereabouts) -> None:
        self._whereabouts = whereabouts

    async def prepare(self) -> None:
        """Nothing to warm."""

    def opening(self) -> Sequence[ReplyPart]:
        """Return what can be said first."""
        return (Suggestions(STATES[FIRST_STATE].suggestions),)

    async def reply(self, history: Sequence[ChatMessage]) -> AsyncIterator[ReplyPart]:
        """Stream the desk's answer sentence by sentence, then what can be said next, then the end if it is one."""
        position = replay(history)
        for sentence in sentences(position.reply):
            yield TextDelta(sentence)
        yield Suggestions(_suggestions(position))
        if position.over:
            yield HangUp()

    def committed(self, history: Sequence[ChatMessage]) -> None:
        """Let the recogniser listen for what can be said after this reply."""
        self._whereabouts.state = replay(history).state


def sentences(text: str) -> list[str]:
    """Return ``text`` in sentences, each but the first with the space before it."""
    return [piece for piece in re.split(r"(?<=[.!?])(?= )", text) if piece]


def _suggestions(position: Position) -> tuple[str, ...]:
    return () if position.over else STATES[position.state].suggestions
