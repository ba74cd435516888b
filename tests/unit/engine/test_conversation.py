"""Quiet calls in virtual time: what is heard, recorded and shown."""

import asyncio
import json
from itertools import pairwise

import pytest

from oneinbox.core.events import EndReason, GreetingStarted, Role
from oneinbox.live.engine.ports import Suggestions, TextDelta
from tests.support.conversation import Caller, Scene, converse, make_conversation
from tests.support.scripted import FakeLlm, FakePlayout, FakeTts
from tests.support.virtual_time import run_virtually
from tests.unit.engine.talk import AGENT, GREETING, LONG, USER, long_answer, recorded_agent_words


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

    @pytest.mark.parametrize("first_s", [0.1, 1.0, 4.0])
    def test_a_call_that_begins_while_it_is_prepared(self, first_s: float) -> None:
        async def script(caller: Caller) -> None:
            await caller.hear_out()
            caller.hang_up()

        tts = FakeTts(first_s=first_s)
        outcome = converse(Scene(script, first_message=GREETING, prepared=False, preparing=True, tts=tts))
        assert outcome.talk == [(AGENT, GREETING)]
        assert tts.sentences.count("Hello there.") == 1, "what was begun is taken over"
        assert outcome.tasks_left == 0

    def test_a_call_that_nobody_joins_leaves_nothing_behind(self) -> None:
        async def script(caller: Caller) -> None: ...

        async def work() -> None:
            scene = Scene(script, first_message=GREETING, tts=FakeTts(first_s=60))
            conversation = make_conversation(scene, emit=lambda _: None, playout=FakePlayout())
            preparing = asyncio.get_running_loop().create_task(conversation.prepare())
            await asyncio.sleep(1)
            preparing.cancel()
            await asyncio.gather(preparing, return_exceptions=True)
            conversation.end(EndReason.USER_NEVER_JOINED)
            assert await conversation.run() is EndReason.USER_NEVER_JOINED
            assert asyncio.all_tasks() == {asyncio.current_task()}

        run_virtually(work)

    def test_a_call_can_be_cancelled(self) -> None:
        async def script(caller: Caller) -> None: ...

        async def work() -> None:
            scene = Scene(script, first_message=LONG)
            playout = FakePlayout()
            conversation = make_conversation(scene, emit=lambda _: None, playout=playout)
            running = asyncio.get_running_loop().create_task(conversation.run())
            await asyncio.sleep(1)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            assert running.cancelled()
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert not playout.queued_samples, "nothing goes on sounding"

        run_virtually(work)

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
            assert all(len(one) <= len(other) for one, other in pairwise(texts))

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

    def test_suggestions_that_come_after_the_words_are_shown_too(self) -> None:
        def answer(said: str) -> list[TextDelta | Suggestions]:
            return [TextDelta("Lunch "), TextDelta("or "), TextDelta("dinner?"), Suggestions(("lunch", "dinner"))]

        async def script(caller: Caller) -> None:
            await caller.say("a table")
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, llm=FakeLlm(answer=answer, token_s=0.9)))
        assert {"oi.suggestions": '["lunch", "dinner"]'} in [values for _, values in outcome.page.attributes]

    def test_no_gap_between_sentences(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("when are you open")
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, llm=FakeLlm(answer=long_answer), tts=FakeTts(first_s=0.3, pace=1.5)))
        times = [at_s for at_s, _, _ in outcome.playout.frames]
        assert max(b - a for a, b in pairwise(times)) < 0.05
        assert outcome.said_by(Role.AGENT) == [LONG]

    def test_a_long_reply_is_not_voiced_far_ahead(self) -> None:
        story = " ".join(
            f"This is sentence number {word} of a story." for word in ["one", "two", "three", "four", "five"] * 6
        )

        async def script(caller: Caller) -> None:
            await caller.say("tell me a story")
            await caller.hear_begin(after_s=1.0)
            caller.hang_up()

        outcome = converse(Scene(script, llm=FakeLlm(answer=lambda _: story, token_s=0.001), tts=FakeTts(pace=50)))
        assert sum(outcome.scene.tts.lengths) / 24_000 < 12
