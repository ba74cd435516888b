"""The turn machine alone: its rules, in microseconds."""

import msgspec
import pytest

from oneinbox.core.errors import Stage
from oneinbox.core.events import EndReason
from oneinbox.live.engine import turn_events as ev
from oneinbox.live.engine.barge_in import BargeIn
from oneinbox.live.engine.turn_table import Agent, Caller
from oneinbox.live.engine.turns import MOST_SPECULATIONS
from oneinbox.live.engine.waits import FIRST_FILLER_S, NEXT_FILLER_S
from tests.unit.engine.drive import SETTINGS, WINDOW_S, Drive, begun, speaking, thinking, yielded


class TestEndpointing:
    def test_the_turn_ends_when_it_is_silent_and_final(self) -> None:
        drive = begun().voice(1.0).quiet(0.3).final("hello").quiet(0.15)
        assert not drive.of(ev.Release)
        drive.quiet(0.1)
        assert drive.of(ev.Release)

    def test_silence_alone_waits_for_the_final(self) -> None:
        drive = begun().voice(1.0).quiet(1.0)
        assert not drive.of(ev.Release)
        drive.final("hello")
        assert drive.of(ev.Release)

    def test_the_cap_takes_the_partial(self) -> None:
        drive = begun().voice(1.0).partial("hello").quiet(1.1)
        assert not drive.of(ev.Release)
        drive.quiet(0.2)
        assert drive.of(ev.Release)

    def test_without_words_or_final_the_recogniser_has_failed(self) -> None:
        drive = begun().voice(1.0).quiet(4.4)
        assert not drive.of(ev.RestartStt)
        drive.quiet(0.2)
        assert drive.of(ev.RestartStt)
        assert [c.line for c in drive.of(ev.Say) if isinstance(c, ev.Say)] == [ev.Line.UNHEARD]

    @pytest.mark.parametrize("text", ["", "...", " ? "])
    def test_a_final_without_words_is_nothing(self, text: str) -> None:
        drive = begun().voice(0.5).quiet(0.3).final(text).quiet(3)
        assert [type(c) for c in drive.commands] == [ev.ShowState, ev.TellStt, ev.TellStt]

    def test_the_recogniser_is_told_of_speech(self) -> None:
        drive = begun().voice(1.0).quiet(0.3).voice(0.5).quiet(0.3)
        assert [c.speech for c in drive.of(ev.TellStt) if isinstance(c, ev.TellStt)] == [True, False, True, False]

    def test_a_blip_in_the_pause_does_not_move_the_end(self) -> None:
        drive = begun().voice(1.0).quiet(0.3).final("hello").voice(0.03).quiet(0.25)
        assert drive.of(ev.Release)
        (record,) = drive.finished().of(ev.RecordUser)
        assert isinstance(record, ev.RecordUser)
        assert record.end_s - record.start_s == pytest.approx(1.0, abs=0.07)

    def test_hysteresis_bridges_a_weak_window(self) -> None:
        drive = begun().voice(0.3)
        for _ in range(20):
            drive.now_s += WINDOW_S
            drive.tell(ev.Voice(drive.now_s, 0.4))
        assert drive.machine.caller is Caller.SPEAKING
        assert begun().windows(1.0, 0.4).machine.caller is Caller.QUIET


class TestWhoElseHasAnOpinion:
    """The recogniser's own signal, and the end-of-turn model."""

    MODEL = msgspec.structs.replace(SETTINGS, end_of_turn_model=True)

    def paused(self) -> Drive:
        return Drive(self.MODEL).start().voice(1.0).quiet(0.25)

    def judged(self, probability: float) -> Drive:
        drive = self.paused()
        drive.tell(ev.Completeness(drive.now_s, 1, probability))
        return drive.final("hello")

    def asked(self, drive: Drive) -> list[int]:
        """The pauses that the model was asked about."""
        return [order.pause for order in drive.of(ev.AskEndOfTurn) if isinstance(order, ev.AskEndOfTurn)]

    def test_the_model_is_asked_once_a_pause(self) -> None:
        drive = self.paused().quiet(0.1).voice(0.03).quiet(0.15)
        (asked,) = drive.of(ev.AskEndOfTurn)
        assert isinstance(asked, ev.AskEndOfTurn)
        assert asked.start_s == pytest.approx(50.0, abs=0.01)
        assert asked.end_s == pytest.approx(51.2, abs=0.04)
        drive.voice(0.5).quiet(0.35)
        assert self.asked(drive) == [1, 2]
        assert not begun().ask().of(ev.AskEndOfTurn), "there is none to ask"

    def test_it_is_asked_just_before_its_word_counts(self) -> None:
        drive = Drive(self.MODEL).start()
        drive.voice(1.0).quiet(0.25)
        assert self.asked(drive) == [], "most pauses are over by now"
        drive.voice(1.0).quiet(0.34)
        assert self.asked(drive) == [2]

    def test_it_is_not_asked_of_a_cough(self) -> None:
        """A recogniser that gives words while the caller speaks would have given some."""
        drive = Drive(self.MODEL).start().voice(0.5).partial("hello").quiet(0.3).final("hello").quiet(1.0).speak()
        drive.finished()
        assert self.asked(drive) == [1]
        drive.voice(1.0).quiet(0.4).final("").quiet(1.0)
        assert self.asked(drive) == [1]

    def test_words_that_come_late_in_a_pause_are_judged_then(self) -> None:
        drive = Drive(self.MODEL).start().voice(0.5).partial("hello").quiet(0.3).final("hello").quiet(1.0).speak()
        drive.finished().voice(1.0).quiet(0.4)
        drive.partial("what time")
        assert self.asked(drive) == [1, 2]
        (_, asked) = drive.of(ev.AskEndOfTurn)
        assert isinstance(asked, ev.AskEndOfTurn)
        assert asked.end_s == pytest.approx(drive.now_s - 0.2, abs=0.04), (
            "the same sound as if it had been asked at once"
        )

    def test_it_is_not_asked_about_words_that_are_not_for_the_agent_to_answer(self) -> None:
        talkative = msgspec.structs.replace(self.MODEL, barge_in=BargeIn.from_sensitivity(0.5))
        drive = Drive(talkative).start(greeting=True).speak()
        drive.voice(0.4).partial("okay").quiet(0.4).final("okay").quiet(1.0)
        assert self.asked(drive) == []
        assert not drive.of(ev.Cut)

    def test_a_recogniser_without_partials_has_it_judge_what_may_be_words(self) -> None:
        drive = Drive(self.MODEL).start(greeting=True).speak()
        drive.voice(0.3).quiet(0.4)
        assert self.asked(drive) == [], "a cough over the agent"
        drive.final("").quiet(1.0).voice(1.0).quiet(0.35)
        assert self.asked(drive) == [2]

    def test_a_noise_that_goes_on_and_on_is_judged_twice(self) -> None:
        drive = Drive(self.MODEL).start()
        for _ in range(10):
            drive.voice(1.0).quiet(0.4)
        assert self.asked(drive) == [1, 2]
        drive.final("what time is it").voice(0.5).quiet(0.4)
        assert self.asked(drive) == [1, 2, 10, 11]

    @pytest.mark.parametrize(("probability", "silence_s"), [(0.97, 0.41), (0.7, 0.5), (0.1, 1.2)])
    def test_its_word_sets_the_silence(self, probability: float, silence_s: float) -> None:
        drive = self.judged(probability).quiet(silence_s - 0.25 - 0.04)
        assert not drive.of(ev.Release)
        assert drive.quiet(0.08).of(ev.Release)

    def test_its_word_is_for_one_pause(self) -> None:
        drive = self.judged(0.1).voice(0.5).quiet(0.25).final("there")
        drive.tell(ev.Completeness(drive.now_s, 1, 0.1))
        assert drive.quiet(0.3).of(ev.Release), "an answer that came late, to an earlier pause"

    def test_one_that_comes_when_the_speech_goes_on_is_void(self) -> None:
        drive = self.paused().final("hello").voice(0.5)
        drive.tell(ev.Completeness(drive.now_s, 1, 0.1))
        assert drive.quiet(0.25).final("there").quiet(0.3).of(ev.Release)

    def test_the_recogniser_may_end_the_turn_itself(self) -> None:
        drive = Drive(self.MODEL).start().voice(1.0).final("hello").quiet(0.07)
        drive.tell(ev.EndOfTurn(drive.now_s))
        assert drive.quiet(0.06).of(ev.Release)
        assert not drive.of(ev.AskEndOfTurn)
        assert [c.speech for c in drive.of(ev.TellStt) if isinstance(c, ev.TellStt)] == [True, False]

    def test_after_the_pause_it_stands_in_for_the_final(self) -> None:
        drive = begun().voice(1.0).partial("hello").quiet(0.3)
        drive.tell(ev.EndOfTurn(drive.now_s))
        assert drive.of(ev.Release)

    def test_voice_takes_the_signal_back(self) -> None:
        drive = begun().voice(1.0).final("hello").quiet(0.03)
        drive.tell(ev.EndOfTurn(drive.now_s))
        drive.voice(0.3).quiet(0.15)
        assert not drive.of(ev.Release)

    def test_a_signal_in_mid_speech_is_not_believed(self) -> None:
        drive = begun().voice(1.0).final("hello")
        drive.tell(ev.EndOfTurn(drive.now_s))
        assert not drive.quiet(0.15).of(ev.Release)


class TestSpeculation:
    def test_a_stable_partial_is_enough(self) -> None:
        drive = begun().voice(1.0).partial("hello").quiet(0.3)
        assert len(drive.of(ev.Prepare)) == 1
        assert not drive.of(ev.Release)

    def test_the_prepared_reply_is_the_one_released(self) -> None:
        drive = begun().voice(1.0).partial("hello").quiet(0.3).final("Hello.").quiet(0.4)
        assert len(drive.of(ev.Prepare)) == 1
        assert drive.of(ev.Release) == [ev.Release(1)]

    def test_other_words_throw_it_away(self) -> None:
        drive = begun().voice(1.0).partial("hello").quiet(0.3).final("hello there").quiet(0.4)
        assert drive.of(ev.Drop) == [ev.Drop(1)]
        assert drive.of(ev.Release) == [ev.Release(2)]

    def test_not_without_end(self) -> None:
        drive = begun()
        for number in range(20):
            drive.voice(0.4).partial("word " * (number + 1)).quiet(0.35)
        assert len(drive.of(ev.Prepare)) == MOST_SPECULATIONS

    def test_not_for_words_that_end_the_call(self) -> None:
        drive = begun().voice(1.0).quiet(0.3).final("thanks goodbye").quiet(0.1)
        assert not drive.of(ev.Prepare)
        drive.quiet(0.3)
        assert drive.ended is EndReason.END_CALL_PHRASE
        assert len(drive.of(ev.RecordUser)) == 1

    def test_one_that_failed_is_asked_for_again_when_due(self) -> None:
        drive = begun().voice(1.0).quiet(0.3).final("hello").failed().quiet(0.4)
        assert len(drive.of(ev.Prepare)) == 2
        assert drive.of(ev.Release) == [ev.Release(2)]
        assert not drive.of(ev.Say)


class TestTakingBack:
    def test_words_before_it_is_heard_take_the_turn_back(self) -> None:
        drive = thinking().voice(0.5).partial("in London").quiet(0.3).final("in London").quiet(0.4)
        assert drive.of(ev.Drop)
        assert not drive.of(ev.RecordUser)
        last = drive.of(ev.Prepare)[-1]
        assert isinstance(last, ev.Prepare)
        assert (last.turn, last.text) == (1, "what time is it in London")
        drive.speak()
        assert len(drive.of(ev.RecordUser)) == 1

    def test_a_cough_before_it_is_heard_only_holds_it(self) -> None:
        drive = thinking().voice(0.4)
        assert drive.of(ev.SetLevel) == [ev.SetLevel(ev.Level.SILENT)]
        drive.quiet(0.3).final("").sounded()
        assert drive.of(ev.SetLevel)[-1] == ev.SetLevel(ev.Level.FULL)
        assert drive.machine.agent is Agent.SPEAKING
        assert not drive.of(ev.Drop)

    def test_once_settled_the_turn_stands(self) -> None:
        drive = speaking().voice(0.5).partial("in London")
        assert drive.of(ev.Cut) == [ev.Cut(drive.reply_id(), interrupted=True)]
        assert len(drive.of(ev.RecordUser)) == 1
        drive.quiet(0.3).final("in London").quiet(0.4)
        last = drive.of(ev.Prepare)[-1]
        assert isinstance(last, ev.Prepare)
        assert (last.turn, last.text) == (2, "in London")

    def test_settling_records_measures_and_commits(self) -> None:
        drive = thinking()
        assert not drive.of(ev.Commit)
        drive.speak()
        assert len(drive.of(ev.Commit)) == 1
        measured = {c.part: c.ms for c in drive.of(ev.Measure) if isinstance(c, ev.Measure)}
        assert set(measured) == {"eou_delay", "stt", "perceived"}
        assert measured["eou_delay"] == pytest.approx(500, abs=WINDOW_S * 1000)
        drive.settled().finished()
        assert len(drive.of(ev.Commit)) == 1

    def test_a_final_that_comes_when_the_speech_goes_on_is_new_words(self) -> None:
        drive = begun().voice(1.0).partial("hello").quiet(2.1).speak().voice(0.5).final("hello and good morning")
        assert not drive.of(ev.AmendUser)
        assert drive.of(ev.Cut)
        assert drive.of(ev.ShowUser)[-1] == ev.ShowUser(2, "and good morning", final=False)

    def test_a_late_final_does_not_repeat_words_recorded_before_the_turn(self) -> None:
        drive = begun().voice(0.5).partial("a table").typed("hello").voice(0.5).partial("a table for two").quiet(1.3)
        drive.final("a table for two please")
        assert drive.of(ev.Prepare)[-1] == ev.Prepare(drive.reply_id(), 3, "for two please")

    def test_typed_text_records_the_turn_it_replaces(self) -> None:
        drive = thinking().typed("never mind")
        assert [c.text for c in drive.of(ev.RecordUser) if isinstance(c, ev.RecordUser)] == [
            "what time is it", "never mind",
        ]  # fmt: skip


class TestBargeIn:
    def test_duck_then_yield_then_go_on(self) -> None:
        drive = speaking().voice(0.25).quiet(0.3).final("").quiet(0.1)
        assert drive.of(ev.SetLevel) == [
            ev.SetLevel(ev.Level.DUCKED), ev.SetLevel(ev.Level.SILENT), ev.SetLevel(ev.Level.FULL),
        ]  # fmt: skip
        assert not drive.of(ev.Cut)

    def test_a_yielded_agent_goes_on_when_the_recogniser_is_slow(self) -> None:
        drive = speaking().voice(0.25).quiet(0.7)
        assert drive.machine.agent is Agent.SPEAKING
        drive.final("stop please")
        assert drive.of(ev.Cut)

    def test_long_speech_is_waited_for(self) -> None:
        drive = speaking().voice(1.5).quiet(1.5)
        assert drive.machine.agent is Agent.YIELDED
        drive.quiet(0.6)
        assert drive.machine.agent is Agent.SPEAKING

    def test_the_wait_for_words_follows_the_recogniser(self) -> None:
        quick, slow = speaking(), speaking()
        for drive, delay_s in ((quick, 0.0), (slow, 0.6)):
            for _ in range(5):
                drive.voice(0.3).quiet(0.25 + delay_s).final("").quiet(0.1)
            drive.voice(0.3).quiet(0.45)
        assert quick.machine.agent is Agent.SPEAKING
        assert slow.machine.agent is Agent.YIELDED

    def test_the_level_is_restored_for_the_next_reply(self) -> None:
        drive = yielded().partial("stop")
        assert drive.of(ev.SetLevel)[-1] == ev.SetLevel(ev.Level.FULL)
        cut = drive.commands.index(drive.of(ev.Cut)[0])
        assert drive.commands.index(drive.of(ev.SetLevel)[-1], cut) > cut, "cleared before it is loud again"


class TestWaits:
    def test_a_late_reply_is_announced_again_and_again(self) -> None:
        drive = thinking().quiet(FIRST_FILLER_S)
        assert len(drive.of(ev.Fill)) == 1
        drive.sounded().quiet(1.5)
        assert len(drive.of(ev.Fill)) == 1
        drive.tell(ev.Dry(drive.now_s, drive.reply_id()))
        drive.quiet(NEXT_FILLER_S - 0.1)
        assert len(drive.of(ev.Fill)) == 1
        assert len(drive.quiet(0.2).of(ev.Fill)) == 2

    def test_the_announcement_counts_from_the_decision(self) -> None:
        drive = begun().voice(1.0).partial("hello").quiet(1.21)
        assert drive.of(ev.Release)
        assert not drive.quiet(FIRST_FILLER_S - 0.1).of(ev.Fill)
        assert len(drive.quiet(0.2).of(ev.Fill)) == 1

    def test_tools_that_run_before_anything_was_heard_are_announced_as_soon_as_a_reply(self) -> None:
        drive = thinking().quiet(0.4)
        drive.tell(ev.ToolsAsked(drive.now_s, drive.reply_id()))
        assert drive.quiet(FIRST_FILLER_S - 0.1).of(ev.Commit)
        assert not drive.of(ev.Fill)
        assert len(drive.quiet(0.2).of(ev.Fill)) == 1
        assert len(drive.quiet(NEXT_FILLER_S - 0.2).of(ev.Fill)) == 1
        assert len(drive.quiet(0.3).of(ev.Fill)) == 2

    def test_a_pause_in_a_reply_is_given_more_time(self) -> None:
        drive = speaking()
        drive.tell(ev.Dry(drive.now_s, drive.reply_id()))
        assert not drive.quiet(NEXT_FILLER_S - 0.1).of(ev.Fill)
        assert drive.quiet(0.2).of(ev.Fill)

    def test_silence_ends_the_call(self) -> None:
        drive = begun().quiet(9.9)
        assert drive.ended is None
        assert drive.quiet(0.2).ended is EndReason.SILENCE_TIMEOUT

    def test_the_silence_of_a_caller_who_is_away_does_not_count(self) -> None:
        drive = begun().quiet(9.5)
        drive.tell(ev.Away(drive.now_s))
        assert drive.quiet(30).ended is None
        drive.tell(ev.Back(drive.now_s))
        assert drive.quiet(9.8).ended is None
        assert drive.quiet(0.4).ended is EndReason.SILENCE_TIMEOUT

    def test_nothing_is_filled_in_for_a_caller_who_is_away(self) -> None:
        drive = thinking()
        drive.tell(ev.Away(drive.now_s))
        drive.quiet(3 * FIRST_FILLER_S)
        assert not drive.of(ev.Fill)
        drive.tell(ev.Back(drive.now_s))
        drive.quiet(FIRST_FILLER_S + 0.1)
        assert len(drive.of(ev.Fill)) == 1

    def test_silence_counts_from_the_agents_last_word(self) -> None:
        drive = speaking().quiet(60).finished().quiet(9.9)
        assert drive.ended is None
        assert drive.quiet(0.2).ended is EndReason.SILENCE_TIMEOUT

    def test_the_longest_call(self) -> None:
        drive = speaking().quiet(97)
        assert drive.ended is None
        assert drive.quiet(3).ended is EndReason.MAX_DURATION
        assert drive.of(ev.Cut)

    def test_hang_up_waits_for_the_last_word(self) -> None:
        assert speaking().finished(hang_up=True).ended is EndReason.AGENT_HANGUP


class TestFailures:
    def test_one_apology_two_farewells(self) -> None:
        drive = thinking().failed()
        assert drive.of(ev.Say) == [ev.Say(drive.reply_id(), 1, ev.Line.APOLOGY)]
        drive.speak().finished().ask("again").failed()
        assert drive.of(ev.Say)[-1] == ev.Say(drive.reply_id(), 2, ev.Line.FAREWELL)
        assert drive.speak().finished().ended is EndReason.LLM_FAILED

    def test_a_good_turn_between_forgives(self) -> None:
        drive = thinking().failed().speak().finished().ask("again").speak().finished().ask("third").failed()
        assert [c.line for c in drive.of(ev.Say) if isinstance(c, ev.Say)] == [ev.Line.APOLOGY] * 2

    def test_a_fatal_failure_ends_at_once_with_a_farewell(self) -> None:
        drive = thinking().failed(fatal=True)
        assert drive.ended is None
        assert drive.voice(1).typed("hello").machine.agent is not Agent.OVER, "the farewell is not interrupted"
        assert drive.failed(Stage.TTS).ended is EndReason.LLM_FAILED

    def test_a_farewell_is_not_even_ducked(self) -> None:
        drive = thinking().failed(fatal=True).speak()
        drive.commands.clear()
        drive.voice(1).quiet(1)
        assert drive.commands == []

    def test_a_reply_that_was_interrupted_was_a_good_one(self) -> None:
        drive = thinking().failed().speak().finished().ask("again").speak().voice(0.5).partial("stop")
        drive.quiet(0.3).final("stop").quiet(0.4).failed()
        assert [c.line for c in drive.of(ev.Say) if isinstance(c, ev.Say)] == [ev.Line.APOLOGY] * 2

    def test_a_dead_voice_says_no_farewell(self) -> None:
        assert thinking().failed(Stage.TTS).failed(Stage.TTS).ended is EndReason.TTS_FAILED
        assert thinking().failed(Stage.TTS, fatal=True).ended is EndReason.TTS_FAILED

    def test_a_recogniser_lost_in_speech_is_told_again(self) -> None:
        drive = begun().voice(0.5)
        drive.tell(ev.SttFailed(drive.now_s, fatal=False, short_lived=False))
        assert drive.of(ev.TellStt) == [ev.TellStt(speech=True)] * 2
        drive.tell(ev.SttFailed(drive.now_s, fatal=False, short_lived=True))
        assert drive.of(ev.Say)

    def test_a_recogniser_lost_between_turns_is_no_failure(self) -> None:
        drive = begun()
        for _ in range(5):
            drive.quiet(1)
            drive.tell(ev.SttFailed(drive.now_s, fatal=False, short_lived=False))
        assert not drive.of(ev.Say)
