"""Endpointing and barge-in as rules of their own, and the words that both look at."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneinbox.live.engine.barge_in import BargeIn, Remark
from oneinbox.live.engine.endpointing import Endpointing, Pause, Verdict, ends_call, normalised
from oneinbox.live.engine.phrasebook import PHRASEBOOKS, phrasebook
from oneinbox.live.engine.turn_events import Line
from oneinbox.live.engine.utterance import OpenTurn


@pytest.mark.parametrize(("share", "silence_s"), [(0, 1.2), (0.5, 0.49), (1, 0.2), (-3, 1.2), (7, 0.2)])
def test_responsiveness(share: float, silence_s: float) -> None:
    policy = Endpointing.from_responsiveness(share)
    assert policy.silence_s == pytest.approx(silence_s, abs=0.001)
    assert policy.pause_s <= policy.silence_s


@pytest.mark.parametrize(
    ("share", "confirm_s"), [(0, 0.64), (0.25, 0.286), (0.5, 0.128), (0.75, 0.0905), (1, 0.064), (-1, 0.64), (2, 0.064)]
)
def test_sensitivity(share: float, confirm_s: float) -> None:
    policy = BargeIn.from_sensitivity(share)
    assert policy.confirm_s == pytest.approx(confirm_s, abs=0.001)
    assert policy.confirm_s >= Endpointing().start_s


@pytest.mark.parametrize(
    ("quiet_s", "pause", "verdict"),
    [
        (0.48, Pause(words=True, final=True), Verdict.WAIT),
        (0.5, Pause(words=True, final=True), Verdict.ENDED),
        (1.1, Pause(words=True, final=False), Verdict.WAIT),
        (1.2, Pause(words=True, final=False), Verdict.ENDED),
        (0.0, Pause(words=False, final=True), Verdict.EMPTY),
        (4.4, Pause(words=False, final=False), Verdict.WAIT),
        (4.5, Pause(words=False, final=False), Verdict.STALLED),
        (0.05, Pause(words=True, final=True, signalled=True), Verdict.WAIT),
        (0.1, Pause(words=True, final=True, signalled=True), Verdict.ENDED),
        (0.1, Pause(words=True, final=True, signalled=True, complete=0.0), Verdict.ENDED),
        (0.40, Pause(words=True, final=True, complete=0.95), Verdict.WAIT),
        (0.42, Pause(words=True, final=True, complete=0.95), Verdict.ENDED),
        (0.42, Pause(words=True, final=True, complete=0.7), Verdict.WAIT),
        (0.5, Pause(words=True, final=True, complete=0.7), Verdict.ENDED),
        (1.1, Pause(words=True, final=True, complete=0.2), Verdict.WAIT),
        (1.2, Pause(words=True, final=True, complete=0.2), Verdict.ENDED),
        (1.1, Pause(words=True, final=False, complete=0.99), Verdict.WAIT),
    ],
)
def test_verdicts(quiet_s: float, pause: Pause, verdict: Verdict) -> None:
    assert Endpointing().judge(quiet_s, pause) is verdict


PAUSES = st.builds(Pause, st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.none() | st.floats(0, 1))


@given(st.floats(0, 10), PAUSES, st.floats(0, 1))
def test_a_verdict_comes_when_it_was_promised(quiet_s: float, pause: Pause, share: float) -> None:
    policy = Endpointing.from_responsiveness(share)
    waits = policy.judge(quiet_s, pause) is Verdict.WAIT
    assert waits == (quiet_s < policy.judged_after_s(pause))


@given(PAUSES, st.floats(0, 1))
def test_words_are_never_kept_waiting_for_long(pause: Pause, share: float) -> None:
    policy = Endpointing.from_responsiveness(share)
    if pause.words:
        assert policy.judged_after_s(pause) <= (1.2 if pause.final or pause.told else 2.5) + 1e-9
    surer = msgspec.structs.replace(pause, complete=1.0)
    doubted = msgspec.structs.replace(pause, complete=0.0)
    assert policy.judged_after_s(surer) <= policy.judged_after_s(pause) <= policy.judged_after_s(doubted)


@pytest.mark.parametrize(
    ("sound_s", "delay_s", "partials", "wait_s"),
    [
        (0.2, 0.1, False, 0.25),
        (0.2, 0.4, False, 0.5),
        (0.2, 3.0, False, 1.0),
        (0.2, 3.0, True, 0.25),
        (0.7, 0.1, True, 2.0),
    ],
)
def test_waiting_for_words(sound_s: float, delay_s: float, partials: bool, wait_s: float) -> None:
    waited_s = BargeIn().wait_s(sound_s=sound_s, final_delay_s=delay_s, partials=partials)
    assert waited_s == pytest.approx(wait_s)


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        ("", Remark.NONE),
        ("...", Remark.NONE),
        ("Mm-hm.", Remark.ACKNOWLEDGEMENT),
        ("Yeah, okay, I see.", Remark.ACKNOWLEDGEMENT),
        ("right", Remark.ACKNOWLEDGEMENT),
        ("right now", Remark.STOP),
        ("okay stop", Remark.STOP),
        ("Wait!", Remark.STOP),
        ("hold on", Remark.STOP),
        ("tomorrow", Remark.STOP),
    ],
)
def test_remarks(text: str, remark: Remark) -> None:
    assert BargeIn.from_sensitivity(0.5).judge(text) is remark


@pytest.mark.parametrize(
    ("share", "text", "remark"),
    [
        (0.1, "tomorrow please", Remark.NONE),
        (0.1, "tomorrow at nine", Remark.STOP),
        (0.3, "tomorrow", Remark.NONE),
        (0.3, "at nine", Remark.STOP),
        (0.1, "stop", Remark.STOP),
        (0.1, "\u660e\u65e5\u306e\u671d", Remark.STOP),
    ],
)
def test_an_insensitive_agent_wants_more_words(share: float, text: str, remark: Remark) -> None:
    assert BargeIn.from_sensitivity(share).judge(text) is remark


def test_phrases_are_the_agents_own_where_it_has_some() -> None:
    policy = BargeIn.from_sensitivity(0.5, acknowledgements=["Roger that!", ""], interruptions=["Over"])
    assert policy.judge("roger that") is Remark.ACKNOWLEDGEMENT
    assert policy.judge("okay") is Remark.STOP
    assert BargeIn.from_sensitivity(0.2, interruptions=["Over"]).judge("over") is Remark.STOP


@pytest.mark.parametrize("language", PHRASEBOOKS)
def test_each_language_is_whole(language: str) -> None:
    book = phrasebook(language)
    for line in Line:
        assert bool(book.line(line)) == (line in (Line.APOLOGY, Line.UNHEARD, Line.FAREWELL, Line.REMINDER))
    assert len(book.fillers) >= 3
    assert len(book.patience) >= 2
    policy = BargeIn.from_sensitivity(0.5, acknowledgements=book.acknowledgements, interruptions=book.interruptions)
    for phrase in book.acknowledgements:
        assert policy.judge(phrase) is Remark.ACKNOWLEDGEMENT, phrase
    low = BargeIn.from_sensitivity(0.0, acknowledgements=(), interruptions=book.interruptions)
    assert all(low.judge(phrase) is Remark.STOP for phrase in book.interruptions)


def test_language_tags() -> None:
    assert phrasebook("pt-BR") is phrasebook("pt")
    assert phrasebook("EN_us") is phrasebook("en")
    unknown = phrasebook("xx")
    assert unknown.apology == phrasebook("en").apology
    assert not unknown.acknowledgements, "a word of an unknown language may be anything"


@pytest.mark.parametrize(
    ("text", "phrases", "ends"),
    [
        ("Goodbye!", ("goodbye",), True),
        ("ok then good bye", ("Good-bye",), True),
        ("I said goodbye to him", ("goodbye",), False),
        ("nonstop", ("stop",), False),
        ("that's all", ("Thats all.",), True),
        ("that\u2019s all", ("that's all",), True),
        ("anything", ("", "  ", "!"), False),
        ("", ("bye",), False),
        ("A BIENT\u00d4T", ("\u00e0 bient\u00f4t", "a bient\u00f4t"), True),
    ],
)
def test_end_call_phrases(text: str, phrases: tuple[str, ...], ends: bool) -> None:
    assert ends_call(text, phrases) is ends


def test_normalised() -> None:
    assert normalised("  Hello,   WORLD -- it's 9:30! ") == "hello world its 9 30"
    assert normalised("?! ...") == ""


def test_an_open_turn_collects_finals_and_the_partial() -> None:
    turn = OpenTurn(start_s=1.0)
    assert turn.text == ""
    assert turn.revise("I want", 2.0)
    assert not turn.revise("I want", 2.5)
    assert not turn.revise("...", 2.6)
    assert turn.changed_s == 2.0
    assert turn.add_final("I want a table.", 0.9, 3.0)
    assert turn.revise("for two", 4.0)
    assert turn.text == "I want a table. for two"
    assert not turn.add_final("", None, 5.0) or turn.text == "I want a table."
    decided = turn.decide(4.5)
    assert (decided.start_s, decided.end_s, decided.confidence) == (1.0, 4.5, 0.9)
