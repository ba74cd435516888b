"""Server-sent events, however the bytes are cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneinbox.net.sse import MAX_EVENT_CHARS, SseError, SseParser


def parse(*pieces: bytes) -> list[str]:
    parser = SseParser()
    events = [event for piece in pieces for event in parser.push(piece)]
    return events + parser.finish()


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"", []),
        (b"data: a\n\n", ["a"]),
        (b"data:a\n\ndata: b\n\n", ["a", "b"]),
        (b"data:  a \n\n", [" a "]),  # one space goes, the others are data
        (b"data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]),
        (b"data: a\r\rdata: b\r\r", ["a", "b"]),
        (b"data: a\ndata: b\n\n", ["a\nb"]),
        (b"data\n\n", [""]),
        (b"data: \n\n", [""]),
        (b": comment\n\n:\n\ndata: a\n: more\n\n", ["a"]),
        (b"event: x\nid: 1\nretry: 10\ndata: a\n\n", ["a"]),
        (b"event: x\n\ndata: a\n\n", ["a"]),  # an event without data is none
        (b"\xef\xbb\xbfdata: a\n\n", ["a"]),
        (b"data: a\n\ndata: b", ["a", "b"]),  # the last empty line is missing
        (b"data: a\n\ndata: b\n", ["a", "b"]),
        (b"data: a\n\ndata: b\r", ["a", "b"]),
        (b"\n\n\ndata: a\n\n\n\n", ["a"]),
        ("data: Grüß 👋\n\n".encode(), ["Grüß 👋"]),
        ("data: a\u2028b\x85c\x0bd\n\n".encode(), ["a\u2028b\x85c\x0bd"]),  # these end no line here
    ],
)
def test_a_stream(stream: bytes, events: list[str]):
    assert parse(stream) == events
    assert parse(*(stream[at : at + 1] for at in range(len(stream)))) == events


@pytest.mark.parametrize("stream", [b"data: \xff\n\n", b"data: \xc3\x28\n\n", b"data: \xc3", b"<html></html>\n\n"])
def test_what_is_no_such_stream(stream: bytes):
    with pytest.raises(SseError):
        parse(stream)


@pytest.mark.parametrize("piece", [b"x" * 1000, b"data: " + b"x" * 1000 + b"\n"])
def test_an_event_without_an_end_is_given_up(piece: bytes):
    with pytest.raises(SseError):
        parse(*[piece] * (2 * MAX_EVENT_CHARS // 1000))


LINES = st.lists(
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12), min_size=1, max_size=3
)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@settings(deadline=None)
@given(
    events=st.lists(LINES, max_size=5),
    end=ENDS,
    noise=st.sampled_from(["", ": ping", "event: e", "id: 7"]),
    data=st.data(),
)
def test_any_cut_gives_the_same_events(events: list[list[str]], end: str, noise: str, data: st.DataObject):
    text = "".join(
        "".join(f"data: {line}{end}" for line in lines) + (f"{noise}{end}" if noise else "") + end for lines in events
    )
    stream = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[low:high] for low, high in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert parse(*pieces) == ["\n".join(lines) for lines in events]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=6))
def test_any_bytes_give_events_or_the_error(pieces: list[bytes]):
    try:
        events = parse(*pieces)
    except SseError:
        return
    assert all(isinstance(event, str) for event in events)
