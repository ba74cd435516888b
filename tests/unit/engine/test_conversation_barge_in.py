"""Whole conversations in virtual time: what stops the agent, what does not, and what it does about silence."""

from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from oneinbox.core.events import EndReason, Role
from oneinbox.core.spec import TurnSpec
from oneinbox.live.engine.phrasebook import phrasebook
from oneinbox.live.engine.ports import WordSpoken
from oneinbox.live.engine.waits import STUCK_S
from tests.support.conversation import Caller, Outcome, Scene, converse
from tests.support.scripted import FakeLlm, FakePlayout, FakeStt, FakeTts
from tests.unit.engine.talk import AGENT, GREETING, LONG, USER, assert_heard_truth

QUIET = TurnSpec(silence_timeout_s=20)


def spoken_over(words: str, *, turns: TurnSpec = QUIET, stt: FakeStt | None = None, after_s: float = 2.0) -> Outcome:
    """The caller says ``words`` while the agent says its long first message, and then hears it out."""

    async def script(caller: Caller) -> None:
        await caller.hear_begin(after_s=after_s)
        await caller.say(words)
        await caller.pause(20)
        caller.hang_up()

    return converse(Scene(script, first_message=LONG, turns=turns, stt=stt or FakeStt()))


class TestAcknowledgements:
    @pytest.mark.parametrize("words", ["okay", "yeah right", "mm hm"])
    @pytest.mark.parametrize("partial_s", [0.1, 0.3, None])
    def test_the_agent_says_all_it_had_to_say(self, words: str, partial_s: float | None) -> None:
        outcome = spoken_over(words, stt=FakeStt(partial_s=partial_s))
        assert outcome.talk == [(USER, words), (AGENT, LONG)]
        assert outcome.words_played() == LONG.split()
        assert outcome.scene.llm.requests == []
        (end_s,) = (end_s for _, end_s, _ in outcome.caller.spoken)
        loud = [at_s for at_s, _, gain in outcome.playout.frames if at_s > end_s and gain == 1.0]
        assert loud[0] - end_s <= (0.3 if partial_s else 0.4), "without partials the final is waited for"

    def test_what_is_put_aside_is_no_turn_of_the_history(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.hear_begin(after_s=2.0)
            await caller.say("okay")
            await caller.hear_out(quiet_s=1.0)
            await caller.say("when do you close")
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, first_message=LONG))
        (request,) = outcome.scene.llm.requests
        assert [(m.role, m.content) for m in request[1:]] == [("assistant", LONG), ("user", "when do you close")]
        shown = [c.text for c in outcome.page.last_captions().values() if c.final and not c.from_agent]
        assert shown == ["okay", "when do you close"]

    def test_an_answer_that_overlaps_the_question_is_answered(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.hear_begin(after_s=len(GREETING) * 0.06 - 0.5)
            await caller.say("yeah")
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, first_message=GREETING))
        assert outcome.talk == [(AGENT, GREETING), (USER, "yeah"), (AGENT, "You said yeah. Tell me more about that.")]

    def test_the_agents_own_phrases_count(self) -> None:
        turns = TurnSpec(silence_timeout_s=20, acknowledgement_phrases=("roger",))
        assert spoken_over("roger", turns=turns).talk == [(USER, "roger"), (AGENT, LONG)]
        assert spoken_over("okay", turns=turns).messages[0].interrupted


class TestHowSoon:
    """From the caller's first sound to the agent's, with windows of 32 ms and frames of 20 ms in between."""

    @pytest.mark.parametrize("after_s", [1.0, 1.507, 2.013, 2.52])
    @pytest.mark.parametrize("partial_s", [0.1, None])
    def test_duck_and_stop(self, after_s: float, partial_s: float | None) -> None:
        outcome = spoken_over("sorry can I ask something", stt=FakeStt(partial_s=partial_s), after_s=after_s)
        start_s, end_s, _ = outcome.caller.spoken[0]
        over = outcome.frames_between(start_s, end_s)
        assert next(at_s for at_s, _, gain in over if gain < 1) - start_s <= 0.1
        assert over[-1][0] - start_s <= 0.2

    @pytest.mark.parametrize("after_s", [1.0, 1.507, 2.013, 2.52])
    @pytest.mark.parametrize("seconds", [0.1, 0.2, 0.3, 0.5])
    def test_resume_after_a_cough(self, after_s: float, seconds: float) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("hello can you tell me all about it")
            await caller.hear_begin(after_s=after_s)
            await caller.make_sound(seconds)
            await caller.pause(20)
            caller.hang_up()

        outcome = converse(Scene(script, llm=FakeLlm(answer=lambda _: LONG), stt=FakeStt(final_s=0.5)))
        end_s = outcome.caller.voiced[1][1]
        resumed = [at_s for at_s, _, gain in outcome.playout.frames if at_s > end_s and gain == 1.0]
        assert resumed[0] - end_s <= 0.3
        assert outcome.words_played() == LONG.split()


class TestFirstMessage:
    TURNS = TurnSpec(silence_timeout_s=20, first_message_interruptible=False)

    def test_it_is_said_whole_and_the_words_over_it_are_answered(self) -> None:
        outcome = spoken_over("sorry can I ask something", turns=self.TURNS)
        assert outcome.talk == [
            (AGENT, LONG),
            (USER, "sorry can I ask something"),
            (AGENT, "You said sorry can I ask something. Tell me more about that."),
        ]
        assert all(gain == 1.0 for _, _, gain in outcome.playout.frames)


class TestSilence:
    def test_reminders_then_the_timeout(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.pause(60)

        turns = TurnSpec(silence_timeout_s=9.0, reminder_count=2)
        outcome = converse(Scene(script, first_message=GREETING, turns=turns))
        reminder = phrasebook("en").reminder
        assert outcome.talk == [(AGENT, GREETING), (AGENT, reminder), (AGENT, reminder)]
        assert outcome.reason is EndReason.SILENCE_TIMEOUT
        starts = [message.start_s for message in outcome.messages]
        assert starts[1] - outcome.messages[0].end_s == pytest.approx(3.0, abs=0.2)
        silence_s = outcome.ended_s - outcome.started_s - sum(m.end_s - m.start_s for m in outcome.messages)
        assert silence_s == pytest.approx(9.0, abs=0.5)

    def test_the_agents_own_texts(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.pause(60)

        turns = TurnSpec(silence_timeout_s=0, max_duration_s=40, reminder_count=3, reminders=("Hello?", "Anyone?"))
        outcome = converse(Scene(script, turns=turns))
        assert outcome.said_by(Role.AGENT) == ["Hello?", "Anyone?", "Hello?"]

    def test_a_slow_reply_is_announced_in_the_callers_language_and_there_is_no_dead_air(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("what are your hours")
            await caller.hear_out(quiet_s=3.0)
            caller.hang_up()

        scene = Scene(script, llm=FakeLlm(first_s=6.0), language="es-MX")
        outcome = converse(scene)
        assert outcome.said_by(Role.AGENT)[0].startswith(phrasebook("es").fillers[0])
        times = [outcome.caller.spoken[0][1], *(at_s for at_s, _, _ in outcome.playout.frames)]
        assert max(b - a for a, b in pairwise(times)) < 3.0
        assert times[1] - times[0] < 1.5

    def test_a_reply_that_is_under_way_is_not_announced(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.say("what are your hours")
            await caller.hear_out()
            caller.hang_up()

        outcome = converse(Scene(script, llm=FakeLlm(first_s=0.6, token_s=0.0), tts=FakeTts(first_s=0.5)))
        assert outcome.said_by(Role.AGENT) == ["You said what are your hours. Tell me more about that."]


class StuckPlayout(FakePlayout):
    """Stops playing in mid-speech; ``resume`` helps or does not."""

    def __init__(self, *, helps: bool) -> None:
        super().__init__()
        self._helps = helps

    def _tick(self) -> None:
        if len(self.frames) == 60:
            self._paused = True
        super()._tick()

    def resume(self) -> None:
        if self._helps:
            self.frames.append((self.frames[-1][0], 0, 1.0)) if self.frames else None
            super().resume()


class TestSpeakingButSilent:
    async def _hear(self, caller: Caller) -> None:
        await caller.hear_begin()
        await caller.pause(30)
        caller.hang_up()

    def test_a_mouth_that_can_be_opened_again(self) -> None:
        outcome = converse(Scene(self._hear, first_message=LONG, playout=StuckPlayout(helps=True)))
        assert outcome.faults == [("tts", "timeout")]
        assert outcome.said_by(Role.AGENT) == [LONG]
        times = [at_s for at_s, _, _ in outcome.playout.frames]
        assert max(b - a for a, b in pairwise(times)) <= STUCK_S + 1.1

    def test_one_that_cannot_ends_the_call(self) -> None:
        outcome = converse(Scene(self._hear, first_message=LONG, playout=StuckPlayout(helps=False)))
        assert outcome.reason is EndReason.TTS_FAILED
        assert set(outcome.faults) == {("tts", "timeout")}
        assert outcome.ended_s - outcome.started_s < 15


def test_a_caption_is_sent_when_it_changes() -> None:
    async def script(caller: Caller) -> None:
        await caller.say("tell me everything about your opening hours please")
        await caller.hear_out()
        caller.hang_up()

    outcome = converse(
        Scene(script, first_message=LONG, llm=FakeLlm(answer=lambda _: LONG), stt=FakeStt(partial_s=0.05))
    )
    shown: dict[str, tuple[str, bool]] = {}
    for _, caption in outcome.page.captions:
        assert shown.get(caption.segment_id) != (caption.text, caption.final), caption
        shown[caption.segment_id] = (caption.text, caption.final)
    assert len(outcome.page.captions) > 20
    assert_heard_truth(outcome)


class LingeringTts(FakeTts):
    """Tells when it says each word: the first ends after 2.5 s, the others 0.3 s apart."""

    async def speak(self, text: str) -> AsyncIterator[bytes | WordSpoken]:
        for number, word in enumerate(text.split()):
            yield WordSpoken(word, 2.5 + 0.3 * number)
        async for pcm in super().speak(text):
            yield pcm


def test_what_was_heard_is_told_by_the_voices_own_timings() -> None:
    async def script(caller: Caller) -> None:
        await caller.hear_begin(after_s=3.2)
        await caller.say("sorry can I ask something")
        await caller.hear_out()
        caller.hang_up()

    outcome = converse(Scene(script, first_message=LONG, tts=LingeringTts()))
    assert outcome.messages[0].interrupted
    assert outcome.messages[0].content == "We are open"
