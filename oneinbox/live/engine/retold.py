"""Words that are told again: which of a transcript's words are already on record, perhaps heard otherwise. Pure.

A recogniser tells everything since its last final transcript. Where a turn was recorded from a partial one, the next
transcript begins with the same stretch of speech, in the same words or in better ones, and goes on with what was said since.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from oneinbox.live.engine.endpointing import normalised

MOST_UNLIKE = 0.6
"""Words on record that differ more than this from a transcript's, on average, were not told again by it."""

# words, or single characters where a script puts no spaces between words (kana, Han, Thai, Lao)
_TOKEN = re.compile("[\u3040-\u9fff\u0e00-\u0eff]|[^\\s\u3040-\u9fff\u0e00-\u0eff]+")


def split_retold(text: str, told: Sequence[str]) -> tuple[list[str], str]:
    """Return what ``text`` now says for each of ``told``, and the rest, which is new.

    ``told`` are the pieces on record, in order, that no final transcript has confirmed. The words of ``text`` are aligned with
    them (a word heard otherwise counts by how much of its beginning differs). Where they are not alike at all, everything is
    new, and each piece gets "".
    """
    pieces = [_tokens(piece) for piece in told]
    before = [word for piece in pieces for word, _ in piece]
    if not before:
        return [""] * len(pieces), text.strip()
    now = _tokens(text)
    bounds: list[int] = []  # behind the last word of each piece
    for piece in pieces:
        bounds.append((bounds[-1] if bounds else 0) + len(piece))
    cuts = _aligned(before, [word for word, _ in now], bounds)
    if cuts is None:
        return [""] * len(pieces), text.strip()
    at = [0, *(now[cut][1] if cut < len(now) else len(text) for cut in cuts)]
    return [text[start:end].strip() for start, end in pairwise(at)], text[at[-1] :].strip()


def _tokens(text: str) -> list[tuple[str, int]]:
    """Return the words of ``text``, normalised, with where each begins; punctuation alone belongs to the word before."""
    found = ((normalised(match.group()), match.start()) for match in _TOKEN.finditer(text))
    return [(word, start) for word, start in found if word]


def _aligned(before: list[str], now: list[str], bounds: list[int]) -> list[int] | None:
    """Return how many words of ``now`` lie before each of ``bounds`` in ``before``; ``None`` where they are not alike."""
    same = 0
    while same < min(len(before), len(now)) and before[same] == now[same]:
        same += 1
    if same == len(before):
        return bounds
    left = len(before) - same
    now = now[: same + 2 * left + 2]
    rows = _distances(before[same:], now[same:])
    last = _best(rows[-1], left, len(now) - same)
    if rows[-1][last] > MOST_UNLIKE * len(before):
        # a transcript that says less than is on record is its beginning, or is something else
        if not now or all(row[-1] > MOST_UNLIKE * (same + at) for at, row in enumerate(rows[1:], 1)):
            return None
        last = len(now) - same
    ends = _ends(before[same:], now[same:], rows, last)
    return [same + ends[bound - same] if bound > same else bound for bound in bounds]


def _best(row: list[float], words: int, most: int) -> int:
    """Return the end, up to ``most``, that ``words`` words align best with; of equals the one nearest in length."""
    return min(range(most + 1), key=lambda end: (round(row[end], 6), abs(end - words)))


def _ends(before: list[str], now: list[str], rows: list[list[float]], last: int) -> list[int]:
    """Return, for each prefix of ``before``, where it ends in ``now`` if all of it ends at ``last``: the alignment, backwards."""
    at, end = len(before), last
    ends = [0] * at + [last]
    while at and end:
        together = rows[at - 1][end - 1] + _difference(before[at - 1], now[end - 1])
        least = min(together, rows[at - 1][end] + 1, rows[at][end - 1] + 1)
        if least < together and least == rows[at][end - 1] + 1:  # a word that is only in ``now``
            end -= 1
            continue
        at, end = at - 1, end - (least == together)
        ends[at] = end
    return ends


def _distances(before: list[str], now: list[str]) -> list[list[float]]:
    """Return the edit distance, in words, of each prefix of ``before`` (rows) to each of ``now``."""
    rows = [[float(at) for at in range(len(now) + 1)]]
    for at, word in enumerate(before, 1):
        above, row = rows[-1], [float(at)]
        for end, other in enumerate(now, 1):
            row.append(min(above[end - 1] + _difference(word, other), above[end] + 1, row[-1] + 1))
        rows.append(row)
    return rows


def _difference(one: str, other: str) -> float:
    """Return how unlike two words are: 0 the same, 1 with other first letters."""
    if one == other:
        return 0.0
    alike = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        alike += 1
    return 1 - 2 * alike / (len(one) + len(other))
