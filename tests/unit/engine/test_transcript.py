"""What was heard of the agent, and the history for the model."""

from itertools import pairwise

import pytest

from oneinbox.live.engine.history import History
from oneinbox.live.engine.ports import SPOKEN_RATE_HZ, ChatMessage
from oneinbox.live.engine.transcript import SAMPLES_PER_CHARACTER, Spoken, heard_text

SECOND = SPOKEN_RATE_HZ
ONE = Spoken("Hello there my friend.", 2 * SECOND, whole=True)
TWO = Spoken("How are you?", SECOND, whole=True)


@pytest.mark.parametrize(
    ("played", "heard"),
    [
        (0, ""),
        (100, ""),
        (SECOND, "Hello there"),
        (2 * SECOND, "Hello there my friend."),
        (2 * SECOND + 100, "Hello there my friend."),
        (2 * SECOND + SECOND // 2, "Hello there my friend. How"),
        (3 * SECOND, "Hello there my friend. How are you?"),
        (9 * SECOND, "Hello there my friend. How are you?"),
    ],
)
def test_the_cut_is_at_the_last_whole_word(played: int, heard: str) -> None:
    assert heard_text([ONE, TWO], played) == heard


def test_a_sentence_still_arriving_is_measured_by_the_pace_so_far() -> None:
    whole = Spoken("a" * 10, 10 * 1000, whole=True)
    arriving = Spoken("bbbb bbbb bbbb bbbb ", 5000)  # 20 characters: 20000 samples at this pace
    assert heard_text([whole, arriving], 10_000 + 5000) == "aaaaaaaaaa bbbb"
    assert heard_text([Spoken("bbbb bbbb", 5 * SAMPLES_PER_CHARACTER)], 5 * SAMPLES_PER_CHARACTER) == "bbbb"


def test_a_language_without_spaces_is_cut_at_the_character() -> None:
    assert heard_text([Spoken("\u4eca\u5929\u5929\u6c14\u5f88\u597d", 6000, whole=True)], 3000) == "\u4eca\u5929\u5929"


def test_heard_text_only_grows() -> None:
    grown = [heard_text([ONE, TWO], played) for played in range(0, 4 * SECOND, 480)]
    assert all(later.startswith(earlier) for earlier, later in pairwise(grown))


def test_history_alternates_and_ends_with_what_was_said() -> None:
    history = History("Be kind.")
    history.add_agent("Hello.")
    history.add_user("I want")
    said = history.add_user("a table")
    said.text = "two tables"
    assert history.for_llm("please") == [
        ChatMessage(role="system", content="Be kind."),
        ChatMessage(role="assistant", content="Hello."),
        ChatMessage(role="user", content="I want two tables please"),
    ]
    assert history.for_llm() == history.for_llm("")
    assert History("").for_llm("hi") == [ChatMessage(role="user", content="hi")]


def test_word_timings_go_before_the_estimate() -> None:
    """A voice that lingers on the first word: by the share of the audio three words were heard, by its timings one."""
    sentence = Spoken("Well, that is fine.", 4 * 24_000, whole=True)
    for word, end_s in (("Well", 2.5), ("that", 3.0), ("is", 3.2), ("fine", 3.9)):
        sentence.note_word(word, end_s)
    assert heard_text([sentence], int(1.0 * 24_000)) == ""
    assert heard_text([sentence], int(2.6 * 24_000)) == "Well,"
    assert heard_text([sentence], int(3.1 * 24_000)) == "Well, that"
    assert heard_text([sentence], int(3.9 * 24_000)) == "Well, that is fine."
    assert heard_text([sentence], 4 * 24_000) == "Well, that is fine."


def test_timings_that_do_not_reach_so_far_are_no_help() -> None:
    sentence = Spoken("one two three four", 4 * 24_000, whole=True)
    sentence.note_word("one", 0.4)
    sentence.note_word("elsewhere", 0.8)
    assert heard_text([sentence], int(0.5 * 24_000)) == heard_text(
        [Spoken("one two three four", 96_000, whole=True)], 12_000
    )


def test_a_sentence_that_broke_off_is_not_lengthened_by_what_followed_it() -> None:
    second = SPOKEN_RATE_HZ
    sentences = [
        Spoken("One moment, please.", second, whole=True),
        Spoken("Thank you for waiting, just a little longer.", second // 2),
        Spoken("It is ten.", second, whole=True),
    ]
    assert heard_text(sentences, 5 * second // 2) == "One moment, please. Thank It is ten."
