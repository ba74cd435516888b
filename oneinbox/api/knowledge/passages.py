"""Cuts texts into passages, and finds those that answer a question. Pure.

Ranking is BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009) over words. A long word also
counts by its beginning, which finds it again in its other forms in most languages; scripts that write no spaces between words
are compared by pairs of characters.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from oneinbox.api.knowledge.reading import token_count

_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"(?<=[.!?\u3002\uff01\uff1f])\s+|\n")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
_STEM_CHARS = 5


@dataclass(frozen=True)
class Passage:
    """A stretch of a source: its name, and what it says."""

    source: str
    text: str


def cut(text: str, max_tokens: int) -> list[str]:
    """Return the text in passages of ``max_tokens`` at most, cut between paragraphs, else sentences, else words."""
    passages: list[str] = []
    taken: list[str] = []
    for piece in _pieces(text, max_tokens):
        if taken and token_count("\n".join([*taken, piece])) > max_tokens:
            passages.append("\n".join(taken))
            taken = []
        taken.append(piece)
    return [*passages, "\n".join(taken)] if taken else passages


def _pieces(text: str, max_tokens: int) -> list[str]:
    pieces: list[str] = []
    for paragraph in filter(None, (part.strip() for part in text.split("\n\n"))):
        if token_count(paragraph) <= max_tokens:
            pieces.append(paragraph)
            continue
        for sentence in filter(None, _SENTENCE_END.split(paragraph)):
            pieces += [sentence] if token_count(sentence) <= max_tokens else _hard_cut(sentence, max_tokens)
    return pieces


def _hard_cut(sentence: str, max_tokens: int) -> list[str]:
    chars = max_tokens  # a character has four bytes at most, and a token is counted as four
    return [sentence[start : start + chars] for start in range(0, len(sentence), chars)]


def terms(text: str) -> list[str]:
    """Return what a text is found by: its words without case and accents, beginnings of long ones, pairs of characters."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    found: list[str] = []
    for word in _WORD.findall(plain):
        unspaced = _UNSPACED.findall(word)
        for run in unspaced:
            found += [run[place : place + 2] for place in range(max(1, len(run) - 1))]
        if unspaced:
            continue
        found.append(word)
        if len(word) > _STEM_CHARS:
            found.append(f"{word[:_STEM_CHARS]}*")
    return found


class PassageIndex:
    """Passages, ready to be searched."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        from bm25s import BM25  # noqa: PLC0415 - loaded with the first search: it takes longer than a start may

        self._passages = passages
        self._ranking = BM25()
        if passages:
            self._ranking.index([terms(f"{one.source} {one.text}") or [""] for one in passages], show_progress=False)

    def find(self, query: str, limit: int) -> list[Passage]:
        """Return the passages that fit best, the best first; none that shares no term with the query."""
        asked = terms(query)
        if not asked or not self._passages:
            return []
        found, scores = self._ranking.retrieve(
            [asked], k=min(limit, len(self._passages)), show_progress=False, sorted=True
        )
        return [self._passages[place] for place, score in zip(found[0], scores[0], strict=True) if score > 0]
