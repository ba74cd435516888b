from hypothesis import given
from hypothesis import strategies as st

from oneinbox.api.knowledge.passages import Passage, PassageIndex, cut, terms
from oneinbox.api.knowledge.reading import token_count


@given(st.text(alphabet="ab é語. \n", max_size=400), st.integers(1, 20))
def test_nothing_is_lost_in_cutting_and_no_passage_is_too_long(text: str, limit: int) -> None:
    passages = cut(text, limit)
    assert all(0 < token_count(passage) <= limit for passage in passages)
    assert "".join("".join(passages).split()) == "".join(text.split())


def test_cuts_fall_between_paragraphs_then_sentences() -> None:
    assert cut("One two three.\n\nFour five six.", 5) == ["One two three.", "Four five six."]
    assert cut("One two three. Four five six.", 5) == ["One two three.", "Four five six."]
    assert cut("One.\n\nTwo.", 5) == ["One.\nTwo."]
    assert cut(" \n\n ", 5) == []


def test_what_a_text_is_found_by() -> None:
    assert terms("The Café's DELIVERIES") == ["the", "cafe", "s", "deliveries", "deliv*"]
    assert terms("営業時間") == ["営業", "業時", "時間"]
    assert terms("茶") == ["茶"]
    assert terms("?!") == []


def test_the_best_passage_comes_first_and_what_shares_nothing_never() -> None:
    index = PassageIndex(
        [
            Passage("menu", "Soup costs 4 euros. Fish costs 12."),
            Passage("hours", "We open at nine. Deliveries only in the morning."),
            Passage("店", "営業時間は午前九時から午後十時までです。"),
        ]
    )
    assert index.find("prices of soup and fish", 2)[0].source == "menu"
    assert [one.source for one in index.find("delivering", 3)] == ["hours"]
    assert [one.source for one in index.find("menu", 3)] == ["menu"]
    assert [one.source for one in index.find("営業時間", 3)] == ["店"]
    assert index.find("zebra", 3) == []
    assert index.find("", 3) == []
    assert PassageIndex([]).find("soup", 3) == []
