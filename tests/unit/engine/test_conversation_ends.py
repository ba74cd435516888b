"""Whole conversations in virtual time: how calls end."""

import pytest

from oneinbox.core.events import EndReason, MessageAdded, Role
from oneinbox.core.spec import TurnSpec
from oneinbox.live.engine.ports import HangUp, TextDelta, ToolCall
from tests.support.conversation import Caller, Scene, converse
from tests.support.scripted import FakeLlm
from tests.support.scripted_tools import FakeTool, FakeTools
from tests.unit.engine.talk import AGENT, GREETING, LONG, USER, assert_heard_truth, recorded_agent_words


class TestEnds:
    def test_silence_ends_the_call(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.hear_out()

        outcome = converse(Scene(script, first_message=GREETING, turns=TurnSpec(silence_timeout_s=7.0)))
        assert outcome.reason is EndReason.SILENCE_TIMEOUT
        last = outcome.playout.frames[-1][0]
        assert outcome.ended_s - last == pytest.approx(7.0, abs=0.1)

    def test_silence_counts_from_when_both_are_silent(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.pause(4)
            await caller.make_sound(0.5)

        outcome = converse(Scene(script, turns=TurnSpec(silence_timeout_s=5.0)))
        assert outcome.ended_s - outcome.caller.voiced[0][1] == pytest.approx(5.0, abs=0.6)

    def test_no_silence_timeout(self) -> None:
        async def script(caller: Caller) -> None: ...

        outcome = converse(Scene(script, turns=TurnSpec(silence_timeout_s=0.0, max_duration_s=100)))
        assert outcome.reason is EndReason.MAX_DURATION
        assert outcome.ended_s - outcome.started_s == pytest.approx(100)

    def test_max_duration_cuts_the_agent_too(self) -> None:
        async def script(caller: Caller) -> None: ...

        outcome = converse(Scene(script, first_message=LONG, turns=TurnSpec(max_duration_s=5)))
        assert outcome.reason is EndReason.MAX_DURATION
        assert LONG.startswith(outcome.messages[0].content)
        assert not outcome.messages[0].interrupted
        assert_heard_truth(outcome)

    @pytest.mark.parametrize("said", ["goodbye", "ok thanks good bye", "Goodbye!"])
    def test_an_end_call_phrase(self, said: str) -> None:
        async def script(caller: Caller) -> None:
            await caller.hear_out()
            await caller.say(said)

        turns = TurnSpec(end_call_phrases=("Goodbye", "good-bye"))
        outcome = converse(Scene(script, first_message=GREETING, turns=turns))
        assert outcome.reason is EndReason.END_CALL_PHRASE
        assert outcome.talk[-1] == (USER, said)
        assert outcome.scene.llm.requests == [], "nothing is asked for a call that ends"

    def test_a_typed_end_call_phrase(self) -> None:
        async def script(caller: Caller) -> None:
            caller.type("Bye.")

        outcome = converse(Scene(script, turns=TurnSpec(end_call_phrases=("bye",))))
        assert outcome.reason is EndReason.END_CALL_PHRASE

    def test_a_phrase_inside_a_word_or_a_sentence_is_none(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("what does stop mean in nonstop")
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, turns=TurnSpec(end_call_phrases=("stop",))))
        assert outcome.reason is EndReason.USER_HANGUP

    def test_the_agent_hangs_up_after_it_was_heard(self) -> None:
        def answer(said: str) -> list[TextDelta | HangUp]:
            return [TextDelta("Thank you for calling. "), HangUp(), TextDelta("Goodbye for now.")]

        async def script(caller: Caller) -> None:
            await caller.say("that is all")

        outcome = converse(Scene(script, llm=FakeLlm(answer=answer)))
        assert outcome.reason is EndReason.AGENT_HANGUP
        assert outcome.talk[-1] == (AGENT, "Thank you for calling. Goodbye for now.")
        assert recorded_agent_words(outcome) == outcome.words_played()

    def test_an_end_call_tool_hangs_up(self) -> None:
        def answer(said: str) -> list[TextDelta | ToolCall]:
            return [TextDelta("Goodbye."), ToolCall(call_id="1", name="finish", arguments="{}")]

        async def script(caller: Caller) -> None:
            await caller.say("that is all")

        tools = FakeTools({"finish": FakeTool(ends_call=True)})
        outcome = converse(Scene(script, llm=FakeLlm(answer=answer), tools=tools))
        assert outcome.reason is EndReason.AGENT_HANGUP

    def test_a_caller_who_goes_on_keeps_the_agent_from_hanging_up(self) -> None:
        answers = iter([[TextDelta(LONG), HangUp()], [TextDelta("Of course.")]])

        async def script(caller: Caller) -> None:
            await caller.say("that is all")
            await caller.hear_begin(after_s=1.5)
            await caller.say("oh wait one more thing")
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, llm=FakeLlm(answer=lambda _: next(answers))))
        assert outcome.reason is EndReason.USER_HANGUP
        assert outcome.talk[-1] == (AGENT, "Of course.")

    @pytest.mark.parametrize("reason", [EndReason.API_STOP, EndReason.USER_DISCONNECTED, EndReason.SERVER_SHUTDOWN])
    def test_an_end_from_outside_is_at_once(self, reason: EndReason) -> None:
        async def script(caller: Caller) -> None:
            await caller.hear_begin(after_s=1.0)
            caller.end(reason)

        outcome = converse(Scene(script, first_message=LONG))
        assert outcome.reason is reason
        assert outcome.ended_s - outcome.started_s < 1.2
        assert LONG.startswith(outcome.messages[0].content)

    def test_words_not_answered_yet_are_recorded_at_the_end(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("I would like to book")
            await caller.pause(0.1)
            caller.hang_up()

        outcome = converse(Scene(script))
        (message,) = outcome.messages
        assert message.role is Role.USER
        assert "I would like to book".startswith(message.content)

    def test_a_turn_decided_but_not_answered_is_recorded_at_the_end(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("I would like to book")
            await caller.pause(1.1)
            caller.hang_up()

        outcome = converse(Scene(script, llm=FakeLlm(first_s=5)))
        assert outcome.talk == [(USER, "I would like to book")]

    def test_an_empty_reply_is_no_utterance(self) -> None:
        answers = iter(["", "Hello to you."])

        async def script(caller: Caller) -> None:
            await caller.say("hm let me think")
            await caller.pause(3)
            await caller.say("hello")
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, llm=FakeLlm(answer=lambda _: next(answers))))
        assert outcome.talk == [(USER, "hm let me think"), (USER, "hello"), (AGENT, "Hello to you.")]
        assert outcome.scene.llm.requests[-1][-1].content == "hm let me think hello"

    def test_an_end_before_the_beginning(self) -> None:
        async def script(caller: Caller) -> None: ...

        scene = Scene(script, first_message=GREETING)

        async def early(caller: Caller) -> None:
            caller.hang_up()

        scene.script = early
        outcome = converse(scene)
        assert outcome.reason is EndReason.USER_HANGUP
        assert not any(isinstance(event, MessageAdded) for event in outcome.events)
