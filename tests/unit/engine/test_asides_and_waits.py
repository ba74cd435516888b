"""The turn machine alone: acknowledgements, what cannot be interrupted, reminders, and a mouth that is stuck."""

import msgspec
import pytest

from oneinbox.core.events import EndReason
from oneinbox.live.engine import turn_events as ev
from oneinbox.live.engine.barge_in import BargeIn
from oneinbox.live.engine.turn_table import Agent, Caller
from oneinbox.live.engine.waits import STUCK_S
from tests.unit.engine.drive import SETTINGS, Drive, speaking

TALKATIVE = msgspec.structs.replace(SETTINGS, barge_in=BargeIn.from_sensitivity(0.5))


def listening_to(settings: object = TALKATIVE) -> Drive:
    """The agent speaks, and has been for a while."""
    assert isinstance(settings, type(SETTINGS))
    return Drive(settings).start().ask().speak()


def lines(drive: Drive) -> list[ev.Line]:
    return [command.line for command in drive.of(ev.Say) if isinstance(command, ev.Say)]


def records(drive: Drive) -> list[tuple[str, bool, int]]:
    return [(c.text, c.aside, c.turn) for c in drive.of(ev.RecordUser) if isinstance(c, ev.RecordUser)]


class TestAcknowledgements:
    def test_the_agent_goes_on_and_nothing_is_answered(self) -> None:
        drive = listening_to().voice(0.3).partial("mm-hm").quiet(0.25)
        assert drive.machine.agent is Agent.SPEAKING
        drive.final("Mm-hm.").quiet(1.2)
        assert not drive.of(ev.Cut)
        assert len(drive.of(ev.Prepare)) == 1
        assert records(drive)[-1] == ("Mm-hm.", True, 1)
        assert drive.machine.caller is Caller.QUIET

    def test_one_that_is_late_still_frees_the_agent(self) -> None:
        drive = listening_to().voice(0.9).quiet(0.5)
        assert drive.machine.agent is Agent.YIELDED
        drive.final("okay")
        assert drive.machine.agent is Agent.SPEAKING

    def test_words_that_follow_it_stop_the_agent(self) -> None:
        drive = listening_to().voice(0.3).partial("okay").quiet(0.1).voice(0.4).partial("okay but when")
        assert drive.of(ev.Cut)
        drive.quiet(0.3).final("okay but when").quiet(0.4)
        assert records(drive.speak())[-1] == ("okay but when", False, 2)

    def test_it_is_an_answer_when_the_agent_was_about_to_stop(self) -> None:
        drive = listening_to().voice(0.3).partial("yeah").quiet(0.25).final("yeah").quiet(0.3).finished().quiet(0.1)
        assert drive.of(ev.Prepare)[-1] == ev.Prepare(2, 2, "yeah")
        assert records(drive.speak())[-1] == ("yeah", False, 2)

    def test_to_an_agent_that_listens_it_is_a_turn(self) -> None:
        drive = Drive(TALKATIVE).start().ask("okay")
        assert drive.of(ev.Release)

    def test_before_the_reply_is_heard_it_belongs_to_the_turn(self) -> None:
        drive = Drive(TALKATIVE).start().ask("book a table").voice(0.3).partial("okay")
        assert drive.of(ev.Drop)
        drive.quiet(0.3).final("okay").quiet(0.5)
        assert drive.of(ev.Prepare)[-1] == ev.Prepare(2, 1, "book a table okay")

    def test_a_partial_that_was_put_aside_is_not_told_again(self) -> None:
        drive = listening_to().voice(0.3).partial("mm-hm").quiet(2.5)
        assert records(drive)[-1] == ("mm-hm", True, 1)
        drive.final("mm-hm")
        assert len(records(drive)) == 2
        assert drive.machine.agent is Agent.SPEAKING

    def test_a_word_that_means_stop_stops_at_once(self) -> None:
        low = msgspec.structs.replace(SETTINGS, barge_in=BargeIn.from_sensitivity(0.0))
        drive = listening_to(low).voice(0.3).partial("tomorrow")
        assert not drive.of(ev.Cut)
        drive.partial("tomorrow stop")
        assert drive.of(ev.Cut)

    def test_too_few_words_are_answered_when_the_agent_has_finished(self) -> None:
        low = msgspec.structs.replace(SETTINGS, barge_in=BargeIn.from_sensitivity(0.0))
        drive = listening_to(low).voice(0.4).partial("tomorrow").quiet(0.3).final("tomorrow").quiet(5)
        assert not drive.of(ev.Cut)
        assert drive.machine.agent is Agent.SPEAKING
        drive.finished().quiet(0.1)
        assert drive.of(ev.Prepare)[-1] == ev.Prepare(2, 2, "tomorrow")


class TestProtectedGreeting:
    SETTINGS = msgspec.structs.replace(TALKATIVE, greeting_interruptible=False)

    def greeted(self) -> Drive:
        drive = Drive(self.SETTINGS).start(greeting=True).speak()
        drive.commands.clear()
        return drive

    def test_neither_sound_nor_words_touch_it(self) -> None:
        drive = self.greeted().voice(1.0).partial("stop please").quiet(0.3).final("stop please").quiet(1)
        assert not drive.of(ev.SetLevel)
        assert not drive.of(ev.Cut)
        assert drive.machine.agent is Agent.SPEAKING

    def test_the_words_are_answered_after_it(self) -> None:
        drive = self.greeted().voice(1.0).quiet(0.3).final("can I ask something").quiet(1)
        drive.tell(ev.Finished(drive.now_s, 1))
        drive.quiet(0.1)
        assert drive.of(ev.Prepare) == [ev.Prepare(2, 1, "can I ask something")]

    def test_sound_before_it_does_not_hold_it_back(self) -> None:
        drive = Drive(self.SETTINGS)
        drive.tell(ev.Voice(drive.now_s, 0.9))
        drive.start(greeting=True).voice(0.5)
        assert drive.machine.agent is Agent.THINKING

    def test_the_next_reply_can_be_interrupted(self) -> None:
        drive = self.greeted().finished().ask().speak().voice(0.3).partial("stop")
        assert drive.of(ev.Cut)


class TestReminders:
    SETTINGS = msgspec.structs.replace(SETTINGS, reminders=2, reminder_after_s=3.0)

    def test_they_come_in_turn_and_the_call_ends_when_the_silence_adds_up(self) -> None:
        drive = Drive(self.SETTINGS).start().quiet(2.9)
        assert not lines(drive)
        drive.quiet(0.2).speak().quiet(1.5).finished().quiet(2.8)
        assert lines(drive) == [ev.Line.REMINDER]
        drive.quiet(0.3).speak().quiet(1.5).finished().quiet(3.8)
        assert lines(drive) == [ev.Line.REMINDER] * 2
        assert [c.time for c in drive.of(ev.Say) if isinstance(c, ev.Say)] == [0, 1]
        assert drive.ended is None
        assert drive.quiet(0.3).ended is EndReason.SILENCE_TIMEOUT

    def test_a_turn_of_the_caller_begins_anew(self) -> None:
        drive = Drive(self.SETTINGS).start().quiet(3.1).speak().finished().ask().speak().finished().quiet(2.9)
        assert len(lines(drive)) == 1
        drive.quiet(0.2)
        assert len(lines(drive)) == 2

    def test_none_unless_wanted(self) -> None:
        assert not lines(Drive().start().quiet(9.9))

    def test_words_stop_one(self) -> None:
        drive = Drive(self.SETTINGS).start().quiet(3.1).speak().voice(0.5).partial("I am here")
        assert drive.of(ev.Cut)

    def test_without_a_timeout_they_still_come(self) -> None:
        patient = msgspec.structs.replace(self.SETTINGS, silence_timeout_s=0)
        drive = Drive(patient).start()
        for _ in range(5):
            drive.quiet(3.1)
            if drive.machine.agent is not Agent.LISTENING:
                drive.speak().finished()
        assert len(lines(drive)) == 2
        assert drive.ended is None


class TestStuckMouth:
    def test_it_is_opened_again_and_then_given_up(self) -> None:
        drive = speaking().windows(STUCK_S + 0.1, 0.01, plays=False)
        assert drive.of(ev.Unstick) == [ev.Unstick(1)]
        drive.windows(STUCK_S + 0.1, 0.01, plays=False)
        assert drive.of(ev.Close) == [ev.Close(1)]
        assert lines(drive) == [ev.Line.APOLOGY]
        drive.sounded().windows(2 * STUCK_S + 0.1, 0.01, plays=False)
        assert drive.ended is EndReason.TTS_FAILED

    def test_playing_again_is_enough(self) -> None:
        drive = speaking()
        for _ in range(4):
            drive.windows(STUCK_S + 0.1, 0.01, plays=False).tell(ev.Playing(drive.now_s, 1))
        assert len(drive.of(ev.Unstick)) == 4
        assert not lines(drive)

    @pytest.mark.parametrize("why", ["yielded", "dry", "plays"])
    def test_silence_with_a_reason_is_none(self, why: str) -> None:
        drive = speaking()
        if why == "dry":
            drive.tell(ev.Dry(drive.now_s, 1))
            drive.windows(2.4, 0.01, plays=False)
        elif why == "yielded":
            drive.voice(4).quiet(1).final("")
            drive.windows(STUCK_S - 0.1, 0.01, plays=False)
        else:
            drive.quiet(20)
        assert not drive.of(ev.Unstick)
