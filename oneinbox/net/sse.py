"""Server-sent events, as far as chat completions and MCP need them: the data of each event, from bytes cut anywhere.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, sections 9.2.5 and 9.2.6. An event that the
end of the stream cuts off is dropped there; it is kept here, because some servers forget the last empty line.
"""

import codecs

MAX_EVENT_CHARS = 1_000_000


class SseError(ValueError):
    """The stream is not server-sent events."""


class SseParser:
    """Takes bytes, gives the ``data`` of each event in order. Comments and all other fields are skipped."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._rest = ""
        self._data: list[str] = []
        self._size = 0
        self._first = True
        self._after_cr = False

    def push(self, piece: bytes) -> list[str]:
        """Take a piece; return the events it completes. Raises :class:`SseError`."""
        return self._take(self._decode(piece, final=False))

    def finish(self) -> list[str]:
        """Take the end of the stream; return the event that it completes, if any. Raises :class:`SseError`."""
        events = self._take(self._decode(b"", final=True))
        if self._rest:
            self._line(self._rest, events)
            self._rest = ""
        self._dispatch(events)
        return events

    def _decode(self, piece: bytes, *, final: bool) -> str:
        try:
            text = self._decoder.decode(piece, final)
        except UnicodeDecodeError as error:
            raise SseError("the stream is not UTF-8") from error
        if self._first and text:
            self._first = False
            text = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
        return text

    def _take(self, text: str) -> list[str]:
        """Cut ``text`` into lines, ended by LF, CR or CRLF, however the pieces fall."""
        events: list[str] = []
        if self._after_cr and text:
            text = text.removeprefix("\n")
            self._after_cr = False
        if text.endswith("\r"):
            self._after_cr = True
        lines = (self._rest + text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = lines.pop()
        if len(self._rest) > MAX_EVENT_CHARS:
            raise SseError("a line of the stream has no end")
        for line in lines:
            self._line(line, events)
        return events

    def _line(self, line: str, events: list[str]) -> None:
        if not line:
            self._dispatch(events)
            return
        field, colon, value = line.partition(":")
        if field == "data":
            value = value.removeprefix(" ") if colon else ""
            self._data.append(value)
            self._size += len(value)
            if self._size > MAX_EVENT_CHARS:
                raise SseError("an event of the stream has no end")
        elif field and field not in ("event", "id", "retry"):
            raise SseError("the stream is not server-sent events")

    def _dispatch(self, events: list[str]) -> None:
        if self._data:
            events.append("\n".join(self._data))
        self._data = []
        self._size = 0
