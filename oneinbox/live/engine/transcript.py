"""What was said and heard: the agent's words cut at the played sample, and the history for the language model."""

from collections.abc import Sequence

from oneinbox.live.engine.ports import SPOKEN_RATE_HZ, ChatMessage

SAMPLES_PER_CHARACTER = SPOKEN_RATE_HZ // 16
"""How long a character takes to say (62 ms) as long as nothing better is known."""


class Spoken:
    """A sentence of the agent and how much audio there is of it.

    ``samples`` counts what has arrived; ``whole`` says that it is all there will be, of the whole text.
    """

    __slots__ = ("samples", "text", "whole")

    def __init__(self, text: str, samples: int = 0, *, whole: bool = False) -> None:
        self.text = text
        self.samples = samples
        self.whole = whole


def heard_text(sentences: Sequence[Spoken], played_samples: int) -> str:
    """Return the words of ``sentences`` of which ``played_samples`` have been played, in order.

    Inside a sentence the cut is by the share of its audio, back to the last whole word (to the character where a
    language puts no spaces). The length of a sentence whose audio is still arriving is estimated by the pace so far.
    """
    heard: list[str] = []
    for sentence in sentences:
        if played_samples <= 0:
            break
        if sentence.whole and played_samples >= sentence.samples:
            heard.append(sentence.text)
        else:
            length = sentence.samples if sentence.whole else _estimated_samples(sentence, sentences)
            if part := _cut(sentence.text, played_samples / max(1, length)):
                heard.append(part)
        played_samples -= sentence.samples
    return " ".join(heard)


def _estimated_samples(sentence: Spoken, sentences: Sequence[Spoken]) -> int:
    whole = [other for other in sentences if other.whole and other.text]
    characters = sum(len(other.text) for other in whole)
    pace = sum(other.samples for other in whole) / characters if characters else SAMPLES_PER_CHARACTER
    return max(sentence.samples, int(len(sentence.text) * pace))


def _cut(text: str, share: float) -> str:
    if share >= 1.0:
        return text
    at = int(len(text) * share)
    if not text[at].isspace() and any(char.isspace() for char in text):
        at = max((place for place in range(at) if text[place].isspace()), default=0)
    return text[:at].rstrip()


class History:
    """The conversation as the language model is told it: only what was said and heard, always valid.

    Turns of one side in a row (a withdrawn reply, an empty one) are given as one message, because many models refuse
    roles that do not alternate.
    """

    def __init__(self, system_prompt: str) -> None:
        self._system_prompt = system_prompt
        self._turns: list[tuple[str, str]] = []

    def add_user(self, text: str) -> None:
        """Add a turn of the caller."""
        self._turns.append(("user", text))

    def add_agent(self, text: str) -> None:
        """Add what was heard of a reply."""
        self._turns.append(("assistant", text))

    def amend_user(self, text: str) -> None:
        """Replace the caller's last turn: its final transcript came late."""
        for at in range(len(self._turns) - 1, -1, -1):
            if self._turns[at][0] == "user":
                self._turns[at] = ("user", text)
                return

    def for_llm(self, said: str = "") -> list[ChatMessage]:
        """Return the messages, ending with what the caller ``said`` and is not recorded yet."""
        turns = [*self._turns, ("user", said)] if said else self._turns
        merged: list[tuple[str, list[str]]] = []
        for role, text in turns:
            if merged and merged[-1][0] == role:
                merged[-1][1].append(text)
            else:
                merged.append((role, [text]))
        messages = [ChatMessage(role=role, content=" ".join(texts)) for role, texts in merged]
        if self._system_prompt:
            messages.insert(0, ChatMessage(role="system", content=self._system_prompt))
        return messages
