"""From what was sent or fetched to plain text. Pure."""

import re
from html.parser import HTMLParser

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BLANKS = re.compile(r"[ \t\u00a0]+")
_EMPTY_LINES = re.compile(r"\n{3,}")
_HIDDEN = frozenset({"script", "style", "template", "noscript", "svg", "head"})
_LINES = frozenset(
    [
        "p",
        "div",
        "br",
        "li",
        "tr",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "section",
        "article",
        "table",
        "ul",
        "ol",
        "dt",
        "dd",
    ]
)
_CELLS = frozenset({"td", "th"})
CELL_END = " | "
_BYTES_PER_TOKEN = 4


class UnreadableError(Exception):
    """No text can be had of it. The message says why, for whoever sent it."""


def text_of_bytes(data: bytes, charset: str = "utf-8") -> str:
    """Return the text that bytes hold. Raises :class:`UnreadableError`."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        charset = "utf-16"
    try:
        return tidy(data.decode("utf-8-sig" if charset == "utf-8" else charset))
    except (UnicodeDecodeError, LookupError):
        raise UnreadableError("it is no text in UTF-8") from None


def text_of_html(html: str) -> str:
    """Return what a page says, without its markup and scripts."""
    page = _Page()
    page.feed(html)
    page.close()
    return tidy("".join(page.pieces))


def tidy(text: str) -> str:
    """Return text without control characters and without runs of blanks and empty lines."""
    lines = (_BLANKS.sub(" ", line).strip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    return _EMPTY_LINES.sub("\n\n", _CONTROLS.sub("", "\n".join(lines))).strip()


def token_count(text: str) -> int:
    """Estimate how many tokens a text is to a language model: four bytes of UTF-8 each."""
    return -(-len(text.encode()) // _BYTES_PER_TOKEN)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._hidden = 0
        self._in_row = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in _HIDDEN:
            self._hidden += 1
        elif tag in _CELLS:
            self.pieces.append(CELL_END if self._in_row else "")
            self._in_row = True
        elif tag in _LINES:
            self._end_line(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag in _LINES:
            self._end_line(tag)

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.pieces.append(data.replace("\n", " "))

    def _end_line(self, tag: str) -> None:
        if tag in ("tr", "table"):
            self._in_row = False
        # A cell that holds paragraphs (Word's all do) stays on its row's line.
        self.pieces.append(" " if self._in_row else "\n")
