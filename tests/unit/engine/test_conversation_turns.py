"""Whole conversations in virtual time: whose turn it is."""

from itertools import pairwise

import pytest

from oneinbox.core.events import MessageAdded, MessageAmended, Role
from oneinbox.core.spec import TurnSpec
from tests.support.conversation import Caller, Outcome, Scene, converse
from tests.support.scripted import MISHEARD, FakeLlm, FakeStt
from tests.unit.engine.talk import AGENT, GREETING, LONG, USER, assert_heard_truth, recorded_agent_words


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
        assert outcome.latencies("eou_delay")[1] == pytest.approx(1200, abs=60)

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
    def _interrupt(after_s: float = 2.0, sensitivity: float = 0.5) -> Outcome:
        async def script(caller: Caller) -> None:
            await caller.hear_begin(after_s=after_s)
            await caller.say("sorry can I ask something else")
            await caller.hear_out()
            caller.hang_up()

        return converse(
            Scene(
                script, first_message=LONG, turns=TurnSpec(silence_timeout_s=20, interruption_sensitivity=sensitivity)
            )
        )

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
        final = next(caption for caption in outcome.page.last_captions().values() if caption.from_agent)
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
        gap_s = max(b - a for a, b in pairwise(times))
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
        assert max(b - a for a, b in pairwise(times)) < 0.03
        assert any(gain < 1 for _, _, gain in outcome.playout.frames)
        assert outcome.playout.frames[-1][2] == 1.0

    def test_sensitivity_sets_when_the_agent_stops(self) -> None:
        stops: list[float] = []
        for share in (0.0, 0.5, 1.0):
            outcome = self._interrupt(sensitivity=share)
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


class TestLateFinals:
    def test_a_final_after_the_cap_corrects_page_history_and_record(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("a table for two")
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, stt=FakeStt(final_s=1.9, mishears=True)))
        first = next(event for event in outcome.events if isinstance(event, MessageAdded) and event.role is Role.USER)
        assert first.content == "a table for two" + MISHEARD
        assert outcome.said_by(Role.USER) == ["a table for two"]
        (amended,) = [event.message for event in outcome.events if isinstance(event, MessageAmended)]
        assert (amended.message_id, amended.turn, amended.start_s) == (first.message_id, first.turn, first.start_s)
        assert [message.content for message in outcome.history if message.role == "user"] == ["a table for two"]
        shown = [caption for caption in outcome.page.last_captions().values() if not caption.from_agent]
        assert [(caption.text, caption.final) for caption in shown] == [("a table for two", True)]

    def test_a_final_that_says_the_same_corrects_nothing(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("a table for two")
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, stt=FakeStt(final_s=1.9)))
        assert outcome.said_by(Role.USER) == ["a table for two"]
        assert not [event for event in outcome.events if isinstance(event, MessageAmended)]
