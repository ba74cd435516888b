"""The demo desk's script and rules: every state reachable, every phrase understood, nothing said that is empty."""

import string

import pytest

from oneinbox.api.first_run import DEMO_FIRST_MESSAGE
from oneinbox.live.engine.ports import ChatMessage, HangUp, Suggestions, TextDelta
from oneinbox.live.providers.demo.agent import DemoAgent, Whereabouts, sentences
from oneinbox.live.providers.demo.flow import BUSY, UNCLEAR, Position, normalise, replay, sayable, step, understand
from oneinbox.live.providers.demo.intents import INTENTS
from oneinbox.live.providers.demo.script import ALWAYS, FIRST_STATE, STATES

SPOKEN = [(state, phrase, intent) for state in STATES for phrase, intent in sayable(state).items()]
TALKING = [state for state in STATES if state != "goodbye"]


def said(*texts: str) -> list[ChatMessage]:
    """A history as the engine gives it: the greeting, and an answer after each of the caller's turns but the last."""
    history = [ChatMessage(role="system", content="ignored"), ChatMessage(role="assistant", content=DEMO_FIRST_MESSAGE)]
    for text in texts:
        history += [ChatMessage(role="user", content=text), ChatMessage(role="assistant", content="whatever was heard")]
    return history[:-1]


def test_the_first_message_is_the_agreed_one() -> None:
    assert DEMO_FIRST_MESSAGE == (
        "Hello, this is the OneInbox demo desk. Would you like to book a table, "
        "hear our opening hours, or talk to a person?"
    )


def test_there_are_enough_states_and_all_can_be_reached() -> None:
    reached, frontier = {FIRST_STATE}, [FIRST_STATE]
    while frontier:
        for move in [*STATES[frontier.pop()].moves.values(), *ALWAYS.values()]:
            if move.to and move.to not in reached:
                reached.add(move.to)
                frontier.append(move.to)
    assert reached == set(STATES)
    assert len(STATES) >= 8


@pytest.mark.parametrize("state", STATES)
def test_every_move_leads_to_a_state_by_a_known_intent(state: str) -> None:
    for intent, move in STATES[state].moves.items():
        assert intent in INTENTS
        assert move.to in STATES


@pytest.mark.parametrize("state", TALKING)
def test_the_chips_and_the_choices_read_aloud_are_understood(state: str) -> None:
    for chip in STATES[state].suggestions:
        assert normalise(chip) in {normalise(phrase) for phrase in sayable(state)}, chip
    listed = STATES[state].choices.removeprefix("You can say: ").rstrip(".")
    choices = [choice.removeprefix("or ") for choice in listed.split(", ")]
    assert len(choices) == 3
    for choice in choices:
        assert normalise(choice) in {normalise(phrase) for phrase in sayable(state)}, choice


def test_no_phrase_means_two_things_in_one_state() -> None:
    for state in STATES:
        names = [*STATES[state].moves, *ALWAYS]
        phrases = [phrase for name in names for phrase in INTENTS[name].phrases]
        assert len(phrases) == len(set(phrases)), state


@pytest.mark.parametrize(("state", "phrase", "intent"), SPOKEN)
def test_every_phrase_is_understood_where_it_can_be_said(state: str, phrase: str, intent: str) -> None:
    assert understand(state, normalise(phrase)) == intent
    if state == "goodbye":
        return
    after = step(Position(state=state), phrase)
    move = STATES[state].moves.get(intent) or ALWAYS[intent]
    assert after.state == (move.to or state)
    assert after.over == move.over
    assert after.reply.strip()
    assert "{" not in after.reply
    assert after.misses == 0


@pytest.mark.parametrize(
    ("state", "typed", "intent"),
    [
        ("greeting", "Book a table!", "book"),
        ("greeting", "hi, could you please BOOK A TABLE for my mum?", "book"),
        ("greeting", "reservation", "book"),
        ("greeting", "when does the place open?", "hours"),
        ("greeting", "Hey", "hello"),
        ("greeting", "bye", "goodbye"),
        ("greeting", "Is there a human?", "person"),
        ("booking_day", "Tomorrow, please.", "tomorrow"),
        ("booking_day", "hmm, saturday works", "saturday"),
        ("booking_day", "what's on the menu?", "menu"),
        ("booking_people", "2", "two"),
        ("booking_people", "we'll be 4 people", "four"),
        ("booking_people", "more than four people", "group"),
        ("booking_confirm", "ok", "yes"),
        ("booking_confirm", "That\u2019s right", "yes"),
        ("booking_confirm", "no, that's wrong", "no"),
        ("anything_else", "no that's all, thank you", "nothing_else"),
        ("greeting", "colourless green ideas", None),
        ("greeting", "?!", None),
        ("greeting", "", None),
    ],
)
def test_typed_text_is_taken_leniently(state: str, typed: str, intent: str | None) -> None:
    assert understand(state, normalise(typed)) == intent


def test_a_whole_booking_remembers_what_was_said() -> None:
    position = replay(said("book a table", "on saturday", "lunch", "four people", "outside"))
    assert position.state == "booking_confirm"
    assert "lunch on Saturday, for four, outside" in position.reply
    assert (
        replay(said("book a table", "on saturday", "lunch", "four people", "outside", "yes")).state == "anything_else"
    )


def test_goodbye_ends_and_stays_over() -> None:
    assert replay(said("goodbye")).over
    after = replay(said("goodbye", "book a table"))
    assert after.over
    assert after.reply


def test_two_rejections_read_three_choices_and_understanding_forgives_them() -> None:
    first, second, third = (replay(said(*["gibberish"] * times)) for times in (1, 2, 3))
    assert STATES["greeting"].asks in first.reply
    assert STATES["greeting"].choices in second.reply
    assert STATES["greeting"].choices in third.reply
    assert "click" in third.reply
    assert len({first.reply, second.reply, third.reply}) == 3
    assert replay(said("gibberish", "gibberish", "the menu", "gibberish")).misses == 1


def test_unclear_speech_is_a_rejection_but_never_hides_what_was_clear() -> None:
    assert replay(said(UNCLEAR)).misses == 1
    assert replay(said(f"{UNCLEAR} book a table")).state == "booking_day"


def test_a_busy_recogniser_is_told_once_and_is_no_rejection() -> None:
    once, twice = replay(said(BUSY)), replay(said(BUSY, BUSY))
    assert "Too many people" in once.reply
    assert "Too many people" not in twice.reply
    assert twice.reply
    assert (once.misses, twice.misses) == (0, 0)
    assert replay(said(BUSY, "book a table")).state == "booking_day"


def test_help_reads_the_choices_and_repeat_asks_again() -> None:
    assert replay(said("book a table", "what can i say")).reply == STATES["booking_day"].choices
    repeated = replay(said("book a table", "say that again"))
    assert repeated.reply == STATES["booking_day"].asks
    assert repeated.state == "booking_day"


def test_every_reply_in_every_state_is_plain_speakable_text() -> None:
    speakable = set(string.ascii_letters + string.digits + " .,:;!?'-")
    for state, phrase, _ in SPOKEN:
        reply = step(Position(state=state), phrase).reply
        assert reply
        assert set(reply) <= speakable, reply


async def test_the_agent_streams_sentences_then_chips_and_hangs_up_when_it_is_over() -> None:
    agent = DemoAgent(Whereabouts())
    assert agent.opening() == (Suggestions(STATES["greeting"].suggestions),)
    parts = [part async for part in agent.reply(said("book a table"))]
    assert parts == [
        TextDelta("With pleasure."),
        TextDelta(" Would you like to come today, tomorrow, or on Saturday?"),
        Suggestions(("Today", "Tomorrow", "On Saturday", "Start over")),
    ]
    parts = [part async for part in agent.reply(said("book a table", "goodbye"))]
    assert parts[-2:] == [Suggestions(()), HangUp()]


async def test_asking_changes_nothing_and_only_the_committed_history_moves_the_recogniser() -> None:
    whereabouts = Whereabouts()
    agent = DemoAgent(whereabouts)
    history = said("book a table", "tomorrow")
    first = [part async for part in agent.reply(history)]
    assert [part async for part in agent.reply(said("goodbye"))]
    assert [part async for part in agent.reply(history)] == first
    assert whereabouts.state == "greeting"
    agent.committed(history)
    assert whereabouts.state == "booking_meal"
    agent.committed(said("book a table"))  # the caller took the turn back
    assert whereabouts.state == "booking_day"


def test_sentences_lose_nothing() -> None:
    for state in STATES.values():
        assert "".join(sentences(state.asks + " " + state.choices)) == state.asks + " " + state.choices
