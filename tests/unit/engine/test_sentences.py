"""Sentences out of a stream of text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneinbox.live.engine.sentences import SentenceSplitter, speakable


def split(tokens: list[str]) -> tuple[list[list[str]], list[str]]:
    splitter = SentenceSplitter()
    return [splitter.push(token) for token in tokens], splitter.finish()


def sentences(text: str) -> list[str]:
    pushed, rest = split([text])
    return [sentence for batch in pushed for sentence in batch] + rest


def test_a_full_stop_at_the_end_is_trusted_at_once() -> None:
    pushed, rest = split(["Sure", ",", " I", " can", ".", " Let", " me", " look", " that", " up", "."])
    assert pushed[4] == ["Sure, I can."]
    assert pushed[10] == ["Let me look that up."]
    assert rest == []


@pytest.mark.parametrize(
    "text",
    [
        "It costs 3.5 euros in total.",
        "Mr. Smith and Dr. Jones are here.",
        "We open at 9 a.m. on weekdays.",
        "Some fruit, e.g. apples and pears.",
        "Well... let me think about it.",
        "Look at example.com for more.",
        "Ask J. R. Tolkien about it.",
        "Version 2.0.1 is out now.",
    ],
)
def test_not_every_full_stop_ends_a_sentence(text: str) -> None:
    assert sentences(text) == [text]
    by_character, rest = split(list(text))
    joined = [sentence for batch in by_character for sentence in batch] + rest
    if text.startswith(("Look", "Well")):
        return  # letter by letter a domain and an ellipsis cannot be told from an end
    assert joined == [text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello! How are you today?", ["Hello!", "How are you today?"]),
        ('He said "stop." Then he left the room.', ['He said "stop."', "Then he left the room."]),
        ("Yes. Ok. That works for me, thanks.", ["Yes.", "Ok. That works for me, thanks."]),
        ("First line\nsecond line is here", ["First line", "second line is here"]),
        ("\u597d\u7684\u3002\u6211\u4eec\u4e5d\u70b9\u5f00\u95e8\u3002", ["\u597d\u7684\u3002", "\u6211\u4eec\u4e5d\u70b9\u5f00\u95e8\u3002"]),
        ("It costs 3. That is all you pay.", ["It costs 3.", "That is all you pay."]),
        ("1. Book a table now", ["1. Book a table now"]),
        ("So can I. You too can come along.", ["So can I.", "You too can come along."]),
        ("What?! Really?", ["What?!", "Really?"]),
        ("...", []),
        ("", []),
    ],
)  # fmt: skip
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_text_without_any_stop_is_cut_somewhere() -> None:
    pushed, rest = split([f"word{number}, " for number in range(200)])
    parts = [sentence for batch in pushed for sentence in batch] + rest
    assert len(parts) > 3
    assert all(len(part) <= 260 for part in parts)


@given(st.lists(st.text(alphabet="ab .!?3\n,\u3002", max_size=8), max_size=40))
def test_nothing_is_lost_however_the_text_is_cut(tokens: list[str]) -> None:
    pushed, rest = split(tokens)
    out = "".join([sentence for batch in pushed for sentence in batch] + rest)
    told = [char for char in out if char.isalnum()]
    assert told == [char for char in "".join(tokens) if char.isalnum()]
    assert all(speakable(sentence) for batch in pushed for sentence in batch)
