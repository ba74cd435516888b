"""Whole conversations in virtual time: what comes from outside, and from the keypad."""

import pytest

from oneinbox.core.events import EndReason, Role
from oneinbox.core.spec import TurnSpec
from oneinbox.live.engine.history import MOST_CONTEXT_CHARS, MOST_PAGE_CONTEXTS, History
from oneinbox.live.engine.keypad import ENTRY_PAUSE_S, MOST_KEYS
from tests.support.conversation import Caller, Scene, converse
from tests.support.scripted import FakeLlm, assert_valid
from tests.support.virtual_time import now_s
from tests.unit.engine.talk import AGENT, GREETING, LONG, USER, long_answer

NEWS = "Your driver has just arrived at the door."

# ---- say ----------------------------------------------------------------------------------------------------------


def test_the_agent_says_what_it_is_told_to() -> None:
    async def script(caller: Caller) -> None:
        await caller.pause(1)
        caller.conversation.say(NEWS)
        await caller.hear_out()
        await caller.say("thank you")
        await caller.hear_out()
        caller.hang_up()

    outcome = converse(Scene(script))
    assert outcome.talk[:2] == [(AGENT, NEWS), (USER, "thank you")]
    assert outcome.scene.llm.requests[-1][1].content == NEWS, "the model knows what it has said"
    assert outcome.page.states[:4] == ["initializing", "listening", "thinking", "speaking"]


def test_it_waits_for_the_agents_own_words_and_for_the_callers() -> None:
    async def script(caller: Caller) -> None:
        await caller.say("tell me everything")
        await caller.hear_begin(after_s=1)
        caller.conversation.say(NEWS)
        caller.conversation.say("And another thing.")
        await caller.hear_out(quiet_s=2)
        caller.hang_up()

    outcome = converse(Scene(script, llm=FakeLlm(long_answer)))
    assert outcome.said_by(Role.AGENT) == [LONG, NEWS, "And another thing."]
    assert not any(message.interrupted for message in outcome.messages)


def test_it_breaks_off_the_agents_own_words_where_it_is_to() -> None:
    async def script(caller: Caller) -> None:
        await caller.say("tell me everything")
        await caller.hear_begin(after_s=2)
        caller.conversation.say(NEWS, interrupt=True)
        await caller.hear_out(quiet_s=1)
        caller.hang_up()

    outcome = converse(Scene(script, llm=FakeLlm(long_answer)))
    first, second = outcome.said_by(Role.AGENT)
    assert LONG.startswith(first)
    assert len(first) < len(LONG)
    assert second == NEWS
    assert not any(message.interrupted for message in outcome.messages), "the caller did not speak over it"


@pytest.mark.parametrize("interruptible", [True, False])
def test_the_callers_voice_stops_it_or_not(interruptible: bool) -> None:
    async def script(caller: Caller) -> None:
        await caller.pause(1)
        caller.conversation.say(LONG, interruptible=interruptible)
        await caller.hear_begin(after_s=2)
        await caller.say("what about the parking in the evening")
        await caller.hear_out(quiet_s=2)
        caller.hang_up()

    outcome = converse(Scene(script, llm=FakeLlm(lambda _: "There is plenty.")))
    assert (outcome.said_by(Role.AGENT)[0] == LONG) != interruptible
    assert outcome.said_by(Role.AGENT)[-1] == "There is plenty."


# ---- context ------------------------------------------------------------------------------------------------------


def test_context_is_known_and_says_nothing() -> None:
    async def script(caller: Caller) -> None:
        caller.conversation.add_context("The invoice is paid.")
        await caller.pause(3)
        caller.conversation.add_page_context("cart: 2 items")
        await caller.say("do I owe you anything")
        await caller.hear_out()
        caller.hang_up()

    outcome = converse(Scene(script, first_message=GREETING))
    (request,) = outcome.scene.llm.requests
    assert_valid(request)
    assert request[0].role == "system"
    assert "The invoice is paid." in request[0].content
    assert "cart" not in request[0].content, "nobody vouches for what a page says"
    assert request[-1].role == "user"
    assert request[-1].content == "[The caller's page says: cart: 2 items] do I owe you anything"
    assert outcome.said_by(Role.USER) == ["do I owe you anything"]


def test_the_oldest_context_is_forgotten() -> None:
    history = History("Be kind.")
    for number in range(8):
        history.add_context(f"{number} " + "x" * (MOST_CONTEXT_CHARS // 4))
    system = history.for_llm("hi")[0].content
    assert "- 7 x" in system
    assert "- 0 x" not in system
    assert len(system) < MOST_CONTEXT_CHARS * 1.1
    for number in range(MOST_PAGE_CONTEXTS * 3):
        history.add_page_context(f"<{number}>")
    said = history.for_llm("hi")[-1].content
    assert "<149>" in said
    assert "<99>" not in said


# ---- keys ---------------------------------------------------------------------------------------------------------


def test_keys_become_a_turn() -> None:
    async def script(caller: Caller) -> None:
        await caller.pause(0.5)
        for key in "471":
            caller.conversation.push_key(key)
            await caller.pause(0.3)
        await caller.pause(ENTRY_PAUSE_S)
        await caller.hear_out()
        for key in "1*#":
            caller.conversation.push_key(key)
        await caller.hear_out()
        caller.conversation.push_key("#")
        await caller.hear_out()
        caller.hang_up()

    outcome = converse(Scene(script, llm=FakeLlm(lambda said: f"I read {said.rpartition(' ')[2]}.")))
    assert outcome.said_by(Role.USER) == ["[keys] 4 7 1", "[keys] 1 *", "[keys] #"]
    assert all(message.typed for message in outcome.messages if message.role is Role.USER)
    shown = [caption.text for caption in outcome.page.last_captions().values() if not caption.from_agent]
    assert shown == outcome.said_by(Role.USER)


def test_a_key_stops_the_agent_at_once() -> None:
    async def script(caller: Caller) -> None:
        await caller.say("tell me everything")
        await caller.hear_begin(after_s=1.5)
        pressed.append(now_s())
        caller.conversation.push_key("2")
        await caller.pause(1)
        quiet.append(len(caller.playout.frames))
        await caller.pause(0.5)
        quiet.append(len(caller.playout.frames))
        caller.hang_up()

    pressed: list[float] = []
    quiet: list[int] = []
    outcome = converse(Scene(script, llm=FakeLlm(long_answer)))
    assert quiet[0] == quiet[1]
    assert outcome.frames_between(pressed[0] + 0.05, outcome.ended_s) == []
    (cut,) = (message for message in outcome.messages if message.role is Role.AGENT)
    assert cut.interrupted


def test_keys_without_end_are_entered_by_their_number() -> None:
    async def script(caller: Caller) -> None:
        for _ in range(MOST_KEYS):
            caller.conversation.push_key("1")
        await caller.hear_out()
        caller.hang_up()

    outcome = converse(Scene(script, llm=FakeLlm(lambda _: "Fine.")))
    assert outcome.said_by(Role.USER) == [" ".join(["[keys]", *["1"] * MOST_KEYS])]


def test_a_key_begun_at_the_end_of_a_call_is_forgotten() -> None:
    async def script(caller: Caller) -> None:
        caller.conversation.push_key("1")
        caller.hang_up()

    outcome = converse(Scene(script, turns=TurnSpec()))
    assert outcome.reason is EndReason.USER_HANGUP
    assert outcome.tasks_left == 0
