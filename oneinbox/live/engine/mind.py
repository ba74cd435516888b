"""Where a reply's words come from: the language model with its tools, or a text that is known."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from oneinbox.core.errors import ProviderError, ProviderErrorKind, Stage
from oneinbox.live.engine.history import History
from oneinbox.live.engine.ports import ChatMessage, Llm, ReplyPart, TextDelta, ToolCall
from oneinbox.live.engine.tool_runs import Acting, ToolRuns

MOST_ROUNDS = 6
"""Times in a row that a reply may run tools; after that it is told to answer with what it has."""
_ENOUGH = "Not done: too many tools were used for one answer. Answer the caller now with what you know."


class Mind(Protocol):
    """What a reply asks for its parts, round by round: the parts of one, the tools of it, the parts of the next."""

    def ask(self) -> AsyncIterator[ReplyPart]:
        """Return the parts of the present round; asked again where that fails. Asking has no side effect."""
        ...

    def act(self, text: str, calls: Sequence[ToolCall]) -> Acting:
        """Start the tools that the present round asked for after saying ``text``. The turn is certain by now.

        Raises ``ProviderError`` where there is no end to them.
        """
        ...


class ModelMind:
    """The language model, asked for the reply to ``first`` and then, with what its tools gave, for the rest."""

    def __init__(
        self,
        llm: Llm,
        provider: str,
        history: History,
        first: Sequence[ChatMessage],
        *,
        runs: ToolRuns,
        turn: int,
        ask_patience: Callable[[], None],
    ) -> None:
        self._llm = llm
        self._provider = provider
        self._history = history
        self._first = first
        self._runs = runs
        self._turn = turn
        self._ask_patience = ask_patience
        self._rounds = 0

    def ask(self) -> AsyncIterator[ReplyPart]:
        """Ask the model."""
        return self._llm.reply(self._history.for_llm() if self._rounds else self._first)

    def act(self, text: str, calls: Sequence[ToolCall]) -> Acting:
        """Start the tools; beyond the most rounds refuse them, and fail where the model asks even then."""
        self._rounds += 1
        if self._rounds > MOST_ROUNDS + 1:
            detail = f"the model asked for tools {self._rounds} times in a row"
            raise ProviderError(self._provider, Stage.LLM, ProviderErrorKind.PROTOCOL, detail, retryable=False)
        refusal = _ENOUGH if self._rounds > MOST_ROUNDS else ""
        return self._runs.act(text, calls, self._turn, ask_patience=self._ask_patience, refusal=refusal)


class KnownText:
    """A text that nobody has to think of."""

    def __init__(self, text: str) -> None:
        self._text = text

    async def ask(self) -> AsyncIterator[ReplyPart]:
        """Give the text."""
        yield TextDelta(self._text)

    def act(self, text: str, calls: Sequence[ToolCall]) -> Acting:
        """Never: a text asks for no tools."""
        raise NotImplementedError
