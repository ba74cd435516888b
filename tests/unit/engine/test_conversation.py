"""Whole conversations in virtual time: what the caller hears, what is recorded, how calls end."""

import json

import pytest

from oneinbox.core.errors import ProviderErrorKind
from oneinbox.core.events import EndReason, GreetingStarted, MessageAdded, Role
from oneinbox.core.spec import ToolSpec, TurnSpec
from oneinbox.live.engine.lines import FILLERS, LINES
from oneinbox.live.engine.ports import HangUp, Suggestions, TextDelta, ToolCall
from oneinbox.live.engine.turn_events import Line
from tests.support.conversation import (
    Caller,
    FakeLlm,
    FakeStt,
    FakeTts,
    Fault,
    Outcome,
    Scene,
    converse,
)

GREETING = "Hello there. How can I help you today?"
LONG = (
    "We are open every day from nine in the morning until late at night. On Sundays we open an hour later. "
    "The kitchen closes thirty minutes before we do, so please come early."
)
AGENT, USER = Role.AGENT.value, Role.USER.value


def long_answer(said: str) -> str:
    return LONG


def recorded_agent_words(outcome: Outcome) -> list[str]:
    return " ".join(outcome.said_by(Role.AGENT)).split()


def assert_heard_truth(outcome: Outcome) -> None:
    """What is recorded of the agent is what was played, give or take the word at each cut."""
    played, recorded = outcome.words_played(), recorded_agent_words(outcome)
    cuts = sum(message.interrupted for message in outcome.messages) + 1
    assert abs(len(played) - len(recorded)) <= 2 * cuts, (played, recorded)
    if not any(message.interrupted for message in outcome.messages):
        assert recorded == played[: len(recorded)]


class TestQuietCalls:
    def test_a_greeting_two_turns_and_a_hang_up(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.hear_out()
            await caller.say("I would like to book a table")
            await caller.hear_out()
            await caller.say("for two people please")
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, first_message=GREETING))
        assert outcome.reason is EndReason.USER_HANGUP
        assert outcome.talk == [
            (AGENT, GREETING),
            (USER, "I would like to book a table"),
            (AGENT, "You said I would like to book a table. Tell me more about that."),
            (USER, "for two people please"),
            (AGENT, "You said for two people please. Tell me more about that."),
        ]
        assert [message.turn for message in outcome.messages] == [0, 1, 1, 2, 2]
        assert recorded_agent_words(outcome) == outcome.words_played()
        assert outcome.tasks_left == 0
        assert len(outcome.scene.llm.certain) == 2

    def test_message_times_lie_beside_the_sound(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.hear_out()
            await caller.say("what are your opening hours")
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, first_message=GREETING))
        (start_s, end_s, _) = outcome.caller.spoken[0]
        user = next(message for message in outcome.messages if message.role is Role.USER)
        assert user.start_s == pytest.approx(start_s - outcome.started_s, abs=0.1)
        assert user.end_s == pytest.approx(end_s - outcome.started_s, abs=0.1)
        reply = outcome.messages[-1]
        frames = outcome.frames_between(end_s, outcome.ended_s)
        assert reply.start_s == pytest.approx(frames[0][0] - outcome.started_s, abs=0.03)
        assert reply.end_s == pytest.approx(frames[-1][0] - outcome.started_s, abs=0.05)

    def test_the_prepared_greeting_plays_at_once(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, first_message=GREETING, tts=FakeTts(first_s=2.0)))
        greeting = next(event for event in outcome.events if isinstance(event, GreetingStarted))
        assert greeting.delay_ms <= 40
        assert outcome.scene.tts.sentences == ["Hello there.", "How can I help you today?"]

    def test_a_greeting_that_was_not_prepared_is_voiced_when_due(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, first_message=GREETING, prepared=False))
        assert outcome.talk == [(AGENT, GREETING)]

    @pytest.mark.parametrize("first_message", [None, ""])
    def test_without_a_first_message_the_agent_waits(self, first_message: str | None) -> None:
        async def script(caller: Caller) -> None:
            await caller.pause(3)
            await caller.say("hello")
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, first_message=first_message))
        assert outcome.talk == [(USER, "hello"), (AGENT, "You said hello. Tell me more about that.")]
        assert [message.turn for message in outcome.messages] == [1, 1]

    def test_the_page_sees_states_and_captions(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.hear_out()
            await caller.say("please tell me about the opening hours")
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, first_message=GREETING))
        assert outcome.page.states == [
            "initializing", "thinking", "speaking", "listening", "thinking", "speaking", "listening",
        ]  # fmt: skip
        last = outcome.page.last_captions()
        assert [(caption.from_agent, caption.text) for caption in last.values()] == [
            (role == AGENT, text) for role, text in outcome.talk
        ]
        assert all(caption.final for caption in last.values())
        for segment_id in last:
            texts = [caption.text for _, caption in outcome.page.captions if caption.segment_id == segment_id]
            assert len(texts) > 2, "partials come before the final"
            assert all(len(one) <= len(other) for one, other in zip(texts, texts[1:], strict=False))

    def test_captions_of_the_agent_are_never_ahead_of_its_voice(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("hello")
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, llm=FakeLlm(answer=long_answer)))
        for at_s, caption in outcome.page.captions:
            if caption.from_agent and not caption.final:
                played_s = sum(0.02 for frame_s, _, _ in outcome.playout.frames if frame_s <= at_s + 1e-6)
                assert len(caption.text) <= played_s / 0.06 + 3

    def test_suggestions_reach_the_page_when_the_turn_is_certain(self) -> None:
        def answer(said: str) -> list[TextDelta | Suggestions]:
            return [TextDelta("Lunch or dinner?"), Suggestions(("lunch", "dinner"))]

        async def script(caller: Caller) -> None:
            await caller.say("a table")
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, llm=FakeLlm(answer=answer, opening_parts=[Suggestions(("hi",))])))
        shown = [json.loads(values["oi.suggestions"]) for _, values in outcome.page.attributes if len(values) == 1
                 and "oi.suggestions" in values]  # fmt: skip
        assert shown == [["hi"], ["lunch", "dinner"]]

    def test_no_gap_between_sentences(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("when are you open")
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, llm=FakeLlm(answer=long_answer), tts=FakeTts(first_s=0.3, pace=1.5)))
        times = [at_s for at_s, _, _ in outcome.playout.frames]
        assert max(b - a for a, b in zip(times, times[1:], strict=False)) < 0.05
        assert outcome.said_by(Role.AGENT) == [LONG]

    def test_a_long_reply_is_not_voiced_far_ahead(self) -> None:
        story = " ".join(
            f"This is sentence number {word} of a story." for word in "one two three four five".split() * 6
        )

        async def script(caller: Caller) -> None:
            await caller.say("tell me a story")
            await caller.hear_begin(after_s=1.0)
            caller.hang_up()

        outcome = converse(Scene(script, llm=FakeLlm(answer=lambda _: story, token_s=0.001), tts=FakeTts(pace=50)))
        assert sum(outcome.scene.tts.lengths) / 24_000 < 12


class TestTurnTaking:
    def test_a_pause_in_a_sentence_is_not_the_end_of_the_turn(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("I would like a table")
            await caller.pause(0.4)
            await caller.say("for four people")
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script))
        assert outcome.said_by(Role.USER) == ["I would like a table for four people"]
        assert len(outcome.said_by(Role.AGENT)) == 1

    def test_a_turn_ended_too_early_is_taken_back(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("I would like a table")
            await caller.pause(0.62)  # the turn is decided after 0.49 s; the reply is not there yet
            await caller.say("for four people")
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, llm=FakeLlm(first_s=0.6)))
        assert outcome.said_by(Role.USER) == ["I would like a table for four people"]
        assert outcome.said_by(Role.AGENT) == [
            "You said I would like a table for four people. Tell me more about that."
        ]
        assert recorded_agent_words(outcome) == outcome.words_played()
        assert len(outcome.scene.llm.certain) == 1
        assert outcome.scene.llm.cancelled >= 1
        assert {message.turn for message in outcome.messages} == {1}

    def test_a_reply_that_has_hardly_begun_is_taken_back_too(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("I would like a table")
            await caller.hear_begin(after_s=0.1)
            await caller.say("for four people")
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script))
        assert outcome.said_by(Role.USER) == ["I would like a table for four people"]
        assert outcome.said_by(Role.AGENT) == [
            "You said I would like a table for four people. Tell me more about that."
        ]
        early = outcome.frames_between(0, outcome.caller.spoken[1][0] + 0.1)
        assert len(early) * 0.02 < 0.3

    def test_the_reply_is_prepared_before_the_turn_is_decided(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("hello there my friend")
            await caller.hear_out()
            caller.hang_up()

        slow_end = TurnSpec(responsiveness=0.0, silence_timeout_s=20)
        outcome = converse(Scene(script, turns=slow_end))
        # 1.2 s of silence; recogniser, model and voice (0.85 s) all worked inside it
        assert outcome.latencies("eou_delay")[1] == pytest.approx(1200, abs=60)
        assert outcome.latencies("perceived")[1] - outcome.latencies("eou_delay")[1] < 40
        assert outcome.latencies("llm_ttft")[1] == pytest.approx(200, abs=5)
        assert outcome.latencies("tts_ttfb")[1] == pytest.approx(100, abs=5)
        assert len(outcome.scene.llm.requests) == 1

    def test_a_prepared_reply_is_thrown_away_when_the_text_changes(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("give me a table")
            await caller.pause(0.7)
            await caller.say("no two tables")
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, turns=TurnSpec(responsiveness=0.0, silence_timeout_s=20)))
        assert [request[-1].content for request in outcome.scene.llm.requests] == [
            "give me a table", "give me a table no two tables",
        ]  # fmt: skip
        assert outcome.said_by(Role.AGENT) == ["You said give me a table no two tables. Tell me more about that."]
        assert len(outcome.scene.llm.certain) == 1
        assert outcome.words_played() == recorded_agent_words(outcome)

    def test_responsiveness_sets_the_silence(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("hello")
            await caller.hear_out()
            caller.hang_up()

        delays = [
            converse(Scene(script, turns=TurnSpec(responsiveness=share))).latencies("eou_delay")[1]
            for share in (0.0, 0.5, 1.0)
        ]
        assert delays == pytest.approx([1200, 490, 350], abs=60)  # the last waits for the final transcript

    def test_a_cough_while_the_agent_listens_leaves_no_trace(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.hear_out()
            await caller.make_sound(0.4)
            await caller.pause(3)
            caller.hang_up()

        outcome = converse(Scene(script, first_message=GREETING))
        assert outcome.talk == [(AGENT, GREETING)]
        assert outcome.scene.llm.requests == []

    def test_a_final_that_never_comes_is_replaced_by_the_partial(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("I would like to book a table")
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, stt=FakeStt(mute=[1])))
        assert len(outcome.said_by(Role.AGENT)) == 1
        assert outcome.said_by(Role.USER)[0].startswith("I would like to book")
        assert outcome.latencies("eou_delay")[1] == pytest.approx(2000, abs=60)

    def test_a_late_final_corrects_the_reply_that_is_not_heard_yet(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("I would like to book a table for eight people")
            await caller.hear_out()
            caller.hang_up()

        scene = Scene(script, stt=FakeStt(final_s=2.0, partial_s=0.5), llm=FakeLlm(first_s=1.2))
        outcome = converse(scene)
        assert outcome.said_by(Role.USER) == ["I would like to book a table for eight people"]
        assert scene.llm.requests[-1][-1].content == "I would like to book a table for eight people"

    def test_a_late_final_corrects_the_history_of_a_reply_being_heard(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("I would like to book a table for eight people")
            await caller.hear_out()
            await caller.say("thanks")
            await caller.hear_out()
            caller.hang_up()

        stt = FakeStt(final_s=3.0, partial_s=0.5)
        outcome = converse(Scene(script, stt=stt))
        said = [message.content for message in outcome.scene.llm.requests[-1] if message.role == "user"]
        assert said[0] == "I would like to book a table for eight people"

    def test_a_recogniser_without_partials(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.hear_begin(after_s=1.0)
            await caller.say("wait I want to ask something")
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, first_message=LONG, stt=FakeStt(final_s=0.6, partial_s=None)))
        assert outcome.talk[1] == (USER, "wait I want to ask something")
        assert outcome.messages[0].interrupted
        start_s, end_s, _ = outcome.caller.spoken[0]
        assert outcome.frames_between(start_s + 0.35, end_s + 0.7) == [], "silent from the confirmation on"


class TestBargeIn:
    @staticmethod
    def _interrupt(after_s: float = 2.0, **settings: float) -> Outcome:
        async def script(caller: Caller) -> None:
            await caller.hear_begin(after_s=after_s)
            await caller.say("sorry can I ask something else")
            await caller.hear_out()
            caller.hang_up()

        return converse(Scene(script, first_message=LONG, turns=TurnSpec(silence_timeout_s=20, **settings)))

    def test_the_agent_ducks_then_stops(self) -> None:
        outcome = self._interrupt()
        start_s = outcome.caller.spoken[0][0]
        over = outcome.frames_between(start_s, start_s + 1.8)
        ducked = [at_s for at_s, _, gain in over if gain < 1]
        assert ducked[0] - start_s <= 0.1
        assert over[-1][0] - start_s <= 0.27
        assert all(gain < 1 for at_s, _, gain in over if at_s >= ducked[0])

    def test_the_record_is_cut_to_what_was_heard(self) -> None:
        outcome = self._interrupt()
        cut = outcome.messages[0]
        assert cut.interrupted
        assert LONG.startswith(cut.content)
        assert 20 < len(cut.content) < 60
        assert cut.content.split() == outcome.words_played()[: len(cut.content.split())]
        assert_heard_truth(outcome)
        history = outcome.scene.llm.requests[-1]
        assert [message.content for message in history if message.role == "assistant"] == [cut.content]
        final = [caption for caption in outcome.page.last_captions().values() if caption.from_agent][0]
        assert (final.text, final.final) == (cut.content, True)

    def test_the_interrupting_words_are_answered(self) -> None:
        outcome = self._interrupt()
        assert outcome.talk[1:] == [
            (USER, "sorry can I ask something else"),
            (AGENT, "You said sorry can I ask something else. Tell me more about that."),
        ]
        assert outcome.latencies("perceived")[1] < 900

    def test_a_cough_ducks_and_the_agent_goes_on_at_the_same_word(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.hear_begin(after_s=2.0)
            await caller.make_sound(0.3)
            await caller.pause(20)
            caller.hang_up()

        outcome = converse(Scene(script, first_message=LONG))
        assert outcome.said_by(Role.AGENT) == [LONG]
        assert not outcome.messages[0].interrupted
        assert outcome.words_played() == LONG.split()
        times = [at_s for at_s, _, _ in outcome.playout.frames]
        gap_s = max(b - a for a, b in zip(times, times[1:], strict=False))
        assert gap_s <= 0.6
        (_, cough_end_s) = outcome.caller.voiced[0]
        after = [at_s for at_s, _, gain in outcome.playout.frames if at_s > cough_end_s and gain == 1.0]
        assert after[0] - cough_end_s <= 0.45

    def test_a_click_only_ducks(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.hear_begin(after_s=2.0)
            await caller.make_sound(0.05)
            await caller.pause(20)
            caller.hang_up()

        outcome = converse(Scene(script, first_message=LONG))
        times = [at_s for at_s, _, _ in outcome.playout.frames]
        assert max(b - a for a, b in zip(times, times[1:], strict=False)) < 0.03
        assert any(gain < 1 for _, _, gain in outcome.playout.frames)
        assert outcome.playout.frames[-1][2] == 1.0

    def test_sensitivity_sets_when_the_agent_stops(self) -> None:
        stops = []
        for share in (0.0, 0.5, 1.0):
            outcome = self._interrupt(interruption_sensitivity=share)
            start_s = outcome.caller.spoken[0][0]
            stops.append(outcome.frames_between(start_s, start_s + 1.5)[-1][0] - start_s)
        assert stops[0] > stops[1] > stops[2]
        assert stops[0] <= 0.7
        assert stops[2] <= 0.14

    def test_a_word_shorter_than_the_confirmation_stops_it(self) -> None:
        async def script(caller: Caller) -> None:
            Caller.WORD_S, word_s = 0.15, Caller.WORD_S
            await caller.hear_begin(after_s=2.0)
            await caller.say("stop")
            Caller.WORD_S = word_s
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, first_message=LONG))
        assert outcome.talk[1] == (USER, "stop")
        assert outcome.messages[0].interrupted

    def test_typed_text_takes_the_floor(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.hear_begin(after_s=2.0)
            caller.type("  what about parking? ")
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, first_message=LONG))
        assert outcome.messages[0].interrupted
        assert outcome.messages[1].typed
        assert outcome.talk[1:] == [
            (USER, "what about parking?"),
            (AGENT, "You said what about parking?. Tell me more about that."),
        ]
        assert set(outcome.latencies("perceived")) == {1}
        assert not outcome.latencies("eou_delay")

    def test_typed_text_while_the_caller_speaks_keeps_both(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("I would like a table")
            await caller.pause(0.36)
            caller.type("for two")
            await caller.hear_out()
            caller.type("   ")
            await caller.pause(2)
            caller.hang_up()

        outcome = converse(Scene(script))
        assert outcome.said_by(Role.USER) == ["I would like a table", "for two"]
        assert outcome.scene.llm.requests[-1][-1].content == "I would like a table for two"
        assert len(outcome.said_by(Role.AGENT)) == 1


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

        tools = (ToolSpec(name="finish", type="end_call", description="ends"),)
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
            caller._conversation.end(reason)

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
            await caller.pause(1.5)
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


class TestFaults:
    @staticmethod
    async def _ask(caller: Caller) -> None:
        await caller.say("what are your hours")
        await caller.hear_out(quiet_s=1.5)
        await caller.say("and on sunday")
        await caller.hear_out(quiet_s=1.5)
        caller.hang_up()

    @staticmethod
    async def _ask_patiently(caller: Caller) -> None:
        await caller.say("what are your hours")
        await caller.hear_out(quiet_s=15)
        await caller.say("and on sunday")
        await caller.hear_out(quiet_s=15)
        caller.hang_up()

    @pytest.mark.parametrize(
        "fault", [Fault(), Fault(hang=True), Fault(bug=True), Fault(after=2), Fault(ProviderErrorKind.CONNECTION)]
    )
    def test_one_failed_request_is_retried_unheard(self, fault: Fault) -> None:
        scene = Scene(self._ask_patiently, llm=FakeLlm(faults=[fault, None]))
        outcome = converse(scene)
        assert outcome.reason is EndReason.USER_HANGUP
        assert LINES[Line.APOLOGY] not in outcome.said_by(Role.AGENT)
        assert "You said what are your hours." in outcome.said_by(Role.AGENT)[0]
        assert len(outcome.faults) == 1

    def test_a_failed_turn_gets_an_apology_and_the_call_goes_on(self) -> None:
        scene = Scene(self._ask, llm=FakeLlm(faults=[Fault()] * 2))
        outcome = converse(scene)
        assert outcome.reason is EndReason.USER_HANGUP
        assert outcome.talk[:2] == [(USER, "what are your hours"), (AGENT, LINES[Line.APOLOGY])]
        assert outcome.talk[3][1].startswith("You said")

    def test_a_reply_that_failed_while_it_was_prepared_is_asked_for_again(self) -> None:
        turns = TurnSpec(responsiveness=0.0, silence_timeout_s=20)
        outcome = converse(Scene(self._ask, turns=turns, llm=FakeLlm(faults=[Fault()] * 2)))
        assert outcome.said_by(Role.AGENT)[0].startswith("You said what are your hours.")
        assert len(outcome.faults) == 2

    @pytest.mark.parametrize("fault", [Fault(), Fault(hang=True), Fault(bug=True)])
    def test_two_failed_turns_end_the_call(self, fault: Fault) -> None:
        outcome = converse(Scene(self._ask_patiently, llm=FakeLlm(faults=[fault] * 20)))
        assert outcome.reason is EndReason.LLM_FAILED
        assert outcome.said_by(Role.AGENT)[-1] == LINES[Line.FAREWELL]
        assert LINES[Line.APOLOGY] in " ".join(outcome.said_by(Role.AGENT))

    def test_a_refused_key_ends_the_call_with_an_apology(self) -> None:
        outcome = converse(Scene(self._ask, llm=FakeLlm(faults=[Fault(ProviderErrorKind.AUTH)] * 9)))
        assert outcome.reason is EndReason.LLM_FAILED
        assert outcome.talk == [(USER, "what are your hours"), (AGENT, LINES[Line.FAREWELL])]
        assert set(outcome.faults) == {("llm", "auth")}

    def test_a_model_that_breaks_off_is_heard_that_far(self) -> None:
        scene = Scene(self._ask, llm=FakeLlm(answer=long_answer, token_s=0.2, faults=[Fault(after=20), None]))
        outcome = converse(scene)
        replies = outcome.said_by(Role.AGENT)
        assert LONG.startswith(replies[0])
        assert replies[0].endswith(".")
        assert replies[1] == LINES[Line.APOLOGY]

    @pytest.mark.parametrize("faults", [[Fault(hang=True)], [Fault(hang=True)] * 2])
    def test_never_long_silence_without_a_word(self, faults: list[Fault | None]) -> None:
        outcome = converse(Scene(self._ask_patiently, llm=FakeLlm(faults=faults)))
        until_s = outcome.caller.spoken[1][0] - 15
        times = [outcome.caller.spoken[0][1], *(at_s for at_s, _, _ in outcome.frames_between(0, until_s + 0.1))]
        assert max(b - a for a, b in zip(times, times[1:], strict=False)) < 5.0
        assert FILLERS[0] in outcome.said_by(Role.AGENT)[0]

    def test_a_failing_voice_is_retried(self) -> None:
        outcome = converse(Scene(self._ask, tts=FakeTts(faults=[Fault()])))
        assert outcome.reason is EndReason.USER_HANGUP
        assert outcome.faults == [("tts", "server")]
        assert "You said what are your hours." in outcome.said_by(Role.AGENT)[0]

    @pytest.mark.parametrize("fault", [Fault(), Fault(hang=True), Fault(ProviderErrorKind.AUTH)])
    def test_a_dead_voice_ends_the_call_and_the_page_explains(self, fault: Fault) -> None:
        outcome = converse(Scene(self._ask, first_message=GREETING, tts=FakeTts(faults=[fault] * 50)))
        assert outcome.reason is EndReason.TTS_FAILED
        assert outcome.said_by(Role.AGENT) == []
        shown = [caption.text for _, caption in outcome.page.captions if caption.from_agent]
        assert LINES[Line.FAREWELL] in shown
        assert outcome.ended_s - outcome.started_s < 31

    def test_a_voice_that_breaks_off_in_mid_sentence(self) -> None:
        outcome = converse(Scene(self._ask, llm=FakeLlm(answer=long_answer), tts=FakeTts(faults=[Fault(after=20)])))
        heard = outcome.said_by(Role.AGENT)[0]
        assert LONG.startswith(heard)
        assert heard != LONG
        assert heard.split() == outcome.words_played()[: len(heard.split())]
        assert outcome.said_by(Role.AGENT)[1] == LINES[Line.APOLOGY]

    @pytest.mark.parametrize("fault", [Fault(), Fault(bug=True), Fault(ProviderErrorKind.PROTOCOL)])
    def test_a_recogniser_that_fails_once(self, fault: Fault) -> None:
        outcome = converse(Scene(self._ask, stt=FakeStt(partial_s=None, faults={1: fault})))
        assert outcome.reason is EndReason.USER_HANGUP
        assert outcome.talk[0] == (AGENT, LINES[Line.UNHEARD])
        assert outcome.scene.stt.opened == 2
        assert outcome.said_by(Role.USER)[-1].endswith("and on sunday")

    def test_a_recogniser_that_fails_with_words_in_hand(self) -> None:
        outcome = converse(Scene(self._ask, stt=FakeStt(faults={1: Fault()})))
        assert LINES[Line.UNHEARD] not in outcome.said_by(Role.AGENT)
        assert outcome.said_by(Role.USER)[0].startswith("what are your")

    def test_a_recogniser_that_never_answers(self) -> None:
        outcome = converse(Scene(self._ask, stt=FakeStt(partial_s=None, mute=[1])))
        assert outcome.faults == [("stt", "timeout")]
        assert outcome.talk[0] == (AGENT, LINES[Line.UNHEARD])
        assert outcome.playout.frames[0][0] - outcome.caller.spoken[0][1] < 5.0

    def test_a_dead_recogniser_ends_the_call(self) -> None:
        faults = {number: Fault() for number in range(1, 9)}
        outcome = converse(Scene(self._ask, stt=FakeStt(partial_s=None, faults=faults)))
        assert outcome.reason is EndReason.STT_FAILED
        assert outcome.said_by(Role.AGENT) == [LINES[Line.UNHEARD], LINES[Line.FAREWELL]]

    def test_a_recogniser_with_a_refused_key(self) -> None:
        outcome = converse(Scene(self._ask, stt=FakeStt(faults={1: Fault(ProviderErrorKind.AUTH)})))
        assert outcome.reason is EndReason.STT_FAILED
        assert outcome.said_by(Role.AGENT) == [LINES[Line.FAREWELL]]
        assert outcome.said_by(Role.USER)[0].startswith("what are")

    def test_a_tool_that_cannot_be_run_is_a_fault_not_a_silence(self) -> None:
        def answer(said: str) -> list[ToolCall]:
            return [ToolCall(call_id="1", name="look_up", arguments="{}")]

        outcome = converse(Scene(self._ask, llm=FakeLlm(answer=answer)))
        assert outcome.reason is EndReason.LLM_FAILED
        assert ("llm", "protocol") in outcome.faults

    def test_a_bug_of_the_engine_still_ends_the_call(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from oneinbox.live.engine.turns import TurnMachine

        receive = TurnMachine.receive

        def broken(self: TurnMachine, event: object) -> object:
            if type(event).__name__ == "Final":
                raise ZeroDivisionError
            return receive(self, event)  # type: ignore[arg-type]  # the test hands on what it got

        monkeypatch.setattr(TurnMachine, "receive", broken)
        outcome = converse(Scene(self._ask))
        assert outcome.reason is EndReason.INTERNAL_ERROR
        assert outcome.tasks_left == 0
