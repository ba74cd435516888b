"""The conversation as the language model is told it: what was said and heard, what tools gave, what became known."""

from collections import deque
from collections.abc import Sequence

from oneinbox.core.ids import new_id
from oneinbox.live.engine.ports import ChatMessage, ToolCall, ToolOutcome

MOST_CONTEXT_CHARS = 50_000
"""Of contextual updates that the language model is told."""
MOST_PAGE_CONTEXTS = 50
"""Updates of the participant's page that are kept."""
STILL_RUNS = "This is still running. Its result will stand here once there is one."
RUNS_IN_BACKGROUND = "Started. It runs in the background: go on without its result, which will stand here later."
_PAGE = "page"


class ToolRun:
    """One tool call of an exchange. ``outcome`` is ``None`` while it runs."""

    __slots__ = ("call", "in_background", "outcome")

    def __init__(self, call: ToolCall, *, in_background: bool = False) -> None:
        self.call = call
        self.in_background = in_background
        self.outcome: ToolOutcome | None = None

    @property
    def told(self) -> str:
        """What the language model is told that it gave."""
        if self.outcome is not None:
            return self.outcome.content
        return RUNS_IN_BACKGROUND if self.in_background else STILL_RUNS


class Said:
    """A turn of one side. ``text`` may be corrected in place: a final transcript may come late."""

    __slots__ = ("role", "text")

    def __init__(self, role: str, text: str) -> None:
        self.role = role
        self.text = text


class Exchange:
    """Tools that a reply asked for. It fills up in place as results come, also after the reply was cut short.

    ``text`` is what the reply said before it asked: first as the model wrote it, then what was heard of it.
    """

    __slots__ = ("runs", "text")

    def __init__(self, text: str, runs: Sequence[ToolRun]) -> None:
        self.text = text
        self.runs = list(runs)


class History:
    """The conversation as the language model is told it: only what was said and heard, always valid.

    Turns of one side in a row (a withdrawn reply, an empty one) are given as one message, because many models refuse
    roles that do not alternate; the results of tools follow at once the message that asked for them.
    """

    def __init__(self, system_prompt: str) -> None:
        self._system_prompt = system_prompt
        self._turns: list[Said | Exchange] = []
        self._contexts: deque[str] = deque()
        self._context_chars = 0
        self._ids: set[str] = set()

    def add_user(self, text: str) -> Said:
        """Add a turn of the caller."""
        said = Said("user", text)
        self._turns.append(said)
        return said

    def add_agent(self, text: str) -> None:
        """Add what was heard of a reply."""
        self._turns.append(Said("assistant", text))

    def add_context(self, text: str) -> None:
        """Add something that the account says has become known; it stands with the system prompt from now on.

        Beyond :data:`MOST_CONTEXT_CHARS` the oldest is forgotten.
        """
        self._contexts.append(text)
        self._context_chars += len(text)
        while self._context_chars > MOST_CONTEXT_CHARS and len(self._contexts) > 1:
            self._context_chars -= len(self._contexts.popleft())

    def add_page_context(self, text: str) -> None:
        """Add something that the participant's page says. Nobody vouches for it: it stands among the caller's words."""
        told = [turn for turn in self._turns if isinstance(turn, Said) and turn.role == _PAGE]
        if len(told) >= MOST_PAGE_CONTEXTS:
            self._turns.remove(told[0])
        self._turns.append(Said(_PAGE, f"[The caller's page says: {text}]"))

    def begin_exchange(self, text: str, calls: Sequence[tuple[ToolCall, bool]]) -> Exchange:
        """Add tools that are about to run (each with whether in the background), and what was said before.

        A call whose id is empty or was there before gets one of its own.
        """
        runs = [ToolRun(self._with_own_id(call), in_background=background) for call, background in calls]
        exchange = Exchange(text, runs)
        self._turns.append(exchange)
        return exchange

    def _with_own_id(self, call: ToolCall) -> ToolCall:
        if not call.call_id or call.call_id in self._ids:
            call = ToolCall(call_id=new_id("tc"), name=call.name, arguments=call.arguments)
        self._ids.add(call.call_id)
        return call

    def for_llm(self, said: str = "") -> list[ChatMessage]:
        """Return the messages, ending with what the caller ``said`` and is not recorded yet."""
        messages: list[ChatMessage] = []
        if system := self._system():
            messages.append(ChatMessage(role="system", content=system))
        for turn in [*self._turns, Said("user", said)] if said else self._turns:
            if isinstance(turn, Exchange):
                _add(messages, "assistant", turn.text, tuple(run.call for run in turn.runs))
                messages += [
                    ChatMessage(role="tool", content=run.told, tool_call_id=run.call.call_id) for run in turn.runs
                ]
            else:
                _add(messages, "user" if turn.role == _PAGE else turn.role, turn.text)
        return messages

    def _system(self) -> str:
        if not self._contexts:
            return self._system_prompt
        known = "\n".join(f"- {text}" for text in self._contexts)
        return f"{self._system_prompt}\n\nWhat has become known during this call, the newest last:\n{known}".strip()


def _add(messages: list[ChatMessage], role: str, text: str, calls: tuple[ToolCall, ...] = ()) -> None:
    """Add a message, or lengthen the last one where it is of the same side and asked for nothing."""
    last = messages[-1] if messages else None
    if last is not None and last.role == role and not last.tool_calls:
        text = " ".join(filter(None, (last.content, text)))
        messages.pop()
    messages.append(ChatMessage(role=role, content=text, tool_calls=calls))
