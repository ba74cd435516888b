"""Cutting a stream of text into sentences, each as soon as it is whole.

A full stop at the very end of what has arrived is trusted, without waiting for the next token (waiting costs a token's time
on every reply), except where it may be part of something: a number ("3." before "5"), an abbreviation ("Mr.", "e.g."),
an initial ("J."), an ellipsis.
"""

_ABBREVIATION_LINES = (
    "mr mrs ms dr prof sr jr st vs etc no nr inc ltd co corp dept approx ca fig vol gen col sgt capt rev hon mt ave",
    "e.g i.e a.m p.m u.s u.k ph.d jan feb mar apr jun jul aug sep sept oct nov dec blvd",
)
_ABBREVIATIONS = frozenset(word for line in _ABBREVIATION_LINES for word in line.split())
_STOPS = ".!?"
_WIDE_STOPS = "\u3002\uff01\uff1f"  # of Chinese and Japanese: always an end
_CLOSERS = "\"')]}\u201d\u2019\u00bb"
_SHORTEST = 12
"""Characters of a later sentence; a shorter one goes with the next. The first may be as short as it likes."""
_LONGEST = 240
"""Characters without any sentence end, after which a comma or a space is one."""


class SentenceSplitter:
    """Feed it text as it comes; it gives sentences back."""

    def __init__(self) -> None:
        self._buffer = ""
        self._first = True

    def push(self, text: str) -> list[str]:
        """Take a piece of text; return the sentences that are whole with it."""
        self._buffer += text
        sentences: list[str] = []
        while (end := self._find_end()) > 0:
            sentences.append(self._buffer[:end].strip())
            self._buffer = self._buffer[end:].lstrip()
            self._first = False
        return sentences

    def finish(self) -> list[str]:
        """No more text comes: return what is left, if it can be spoken."""
        rest, self._buffer = self._buffer.strip(), ""
        return [rest] if speakable(rest) else []

    def _find_end(self) -> int:
        """Return where the first whole sentence of the buffer ends; 0 where none does."""
        text = self._buffer
        shortest = 2 if self._first else _SHORTEST
        for at, char in enumerate(text):
            if char == "\n" or char in _WIDE_STOPS:
                end = at + 1
            elif char in _STOPS and (end := _end_of_stop(text, at)):
                pass
            else:
                continue
            sentence = text[:end].strip()
            if len(sentence) >= (2 if char in _WIDE_STOPS else shortest) and speakable(sentence):
                return end
        if len(text) > _LONGEST:
            return max(text.rfind(", ", 0, _LONGEST) + 1, 0) or max(text.rfind(" ", 0, _LONGEST), 0) or _LONGEST
        return 0


def speakable(text: str) -> bool:
    """Whether there is anything to say in ``text``."""
    return any(char.isalnum() for char in text)


def _end_of_stop(text: str, at: int) -> int:
    """Return where the sentence that stops at ``text[at]`` ends, closing quotes with it; 0 if it does not end there."""
    end = at + 1
    while end < len(text) and text[end] in _STOPS:
        end += 1
    if text[at] == "." and ".." in text[max(0, at - 1) : at + 2]:
        return 0  # an ellipsis: the thought goes on
    while end < len(text) and text[end] in _CLOSERS:
        end += 1
    at_end = end == len(text)
    if not at_end and not text[end].isspace():
        return 0  # "3.5", "example.com"
    if text[at] != ".":
        return end
    return 0 if _is_part_of_something(text[:at].split(), at_end=at_end) else end


def _is_part_of_something(words: list[str], *, at_end: bool) -> bool:
    """Whether a full stop after ``words`` belongs to the last of them; ``at_end``: nothing has come after it yet."""
    word = words[-1].lstrip("\"'([{\u201c\u2018").casefold() if words else ""
    if not word or word in _ABBREVIATIONS or (len(word) == 1 and word.isalpha() and word != "i"):
        return True
    if word.isdigit():
        return at_end or len(words) == 1  # "3." may become "3.5"; "1." alone begins a list
    # "e.g", "a.m" and their like, letter by letter
    return "." in word and at_end and all(len(part) == 1 for part in word.split("."))
