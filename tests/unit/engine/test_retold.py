"""Words that are told again: of what is on record from a partial transcript, and of what is new."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneinbox.live.engine.endpointing import normalised
from oneinbox.live.engine.retold import split_retold


@pytest.mark.parametrize(
    ("text", "told", "again", "rest"),
    [
        ("I want a table for two", "i want a table", "I want a table", "for two"),
        ("I want", "I want a table", "I want", ""),
        ("I want, a table", "I want", "I want,", "a table"),
        ("hello", "", "", "hello"),
        ("", "hello", "", ""),
        # heard otherwise
        ("book a table for two", "book a tablish", "book a table", "for two"),
        ("You want a table", "I want", "You want", "a table"),
        ("book the big table for two", "book big table", "book the big table", "for two"),
        ("book table for two", "book a table", "book table", "for two"),
        ("table", "tablish", "table", ""),
        ("a table -- for two", "a tablish", "a table --", "for two"),
        # told from another place: nothing of it is on record
        ("what time is it", "yes please", "", "what time is it"),
        ("no", "a table for two", "", "no"),
        # scripts without spaces
        ("\u6211\u8981\u4e00\u5f20\u684c\u5b50", "\u6211\u8981", "\u6211\u8981", "\u4e00\u5f20\u684c\u5b50"),
        (
            "\u6211\u8981\u4e00\u5f20\u684c\u5b50",
            "\u6211\u8981\u4e00\u53ea",
            "\u6211\u8981\u4e00\u5f20",
            "\u684c\u5b50",
        ),
    ],
)
def test_what_is_told_again(text: str, told: str, again: str, rest: str) -> None:
    assert split_retold(text, [told]) == ([again], rest)


@pytest.mark.parametrize(
    ("text", "told", "again", "rest"),
    [
        ("okay book a table for two", ["okay", "book a"], ["okay", "book a"], "table for two"),
        ("okay book a table for two", ["okish", "book an"], ["okay", "book a"], "table for two"),
        ("oh okay book a table", ["okay", "book a table"], ["oh okay", "book a table"], ""),
        ("okay", ["okay", "book a table"], ["okay", ""], ""),
        ("okay book", ["okay", ""], ["okay", ""], "book"),
        ("what", [], [], "what"),
    ],
)
def test_what_is_told_again_of_several_turns(text: str, told: list[str], again: list[str], rest: str) -> None:
    assert split_retold(text, told) == (again, rest)


WORDS = st.lists(
    st.sampled_from(["a", "table", "tablish", "for", "two", "to", "\u6211\u8981", "-", "it's"]), max_size=9
)


@given(WORDS, st.lists(WORDS, max_size=3))
def test_no_word_is_lost_and_none_is_told_twice(text: list[str], told: list[list[str]]) -> None:
    again, rest = split_retold(" ".join(text), [" ".join(piece) for piece in told])
    assert len(again) == len(told)
    whole = normalised(" ".join([*again, rest])).replace(" ", "")
    assert whole == normalised(" ".join(text)).replace(" ", "")


def test_a_long_turn_is_split_at_once() -> None:
    """The work grows with what was misheard, not with the turn."""
    told = [f"word{at}" for at in range(5000)]
    again, rest = split_retold(" ".join([*told[:-1], "wordish", "and", "more"]), [" ".join(told)])
    assert (again[0].split()[-1], rest) == ("wordish", "and more")
