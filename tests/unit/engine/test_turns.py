"""The turn machine alone: every row of its tables, and the rules, in microseconds."""

from collections.abc import Callable

import pytest

from oneinbox.core.errors import Stage
from oneinbox.core.events import EndReason
from oneinbox.live.engine import turn_events as ev
from oneinbox.live.engine.barge_in import BargeIn
from oneinbox.live.engine.endpointing import Endpointing
from oneinbox.live.engine.floor import TurnSettings
from oneinbox.live.engine.turn_table import AGENT_TABLE, CALLER_TABLE, Agent, Caller, Signal
from oneinbox.live.engine.turns import FILLER_S, MOST_SPECULATIONS, TurnMachine

WINDOW_S = 0.032
SETTINGS = TurnSettings(
    endpointing=Endpointing(silence_s=0.5),
    barge_in=BargeIn(confirm_s=0.2),
    silence_timeout_s=10,
    max_duration_s=100,
    end_call_phrases=("goodbye",),
)
Move = tuple[Caller | Agent, Signal]


class Drive:
    """Feeds a machine, keeps the time, and answers its deadlines like the loop does."""

    def __init__(self, settings: TurnSettings = SETTINGS) -> None:
        self.now_s = 50.0
        self.moves: list[Move] = []
        self.commands: list[ev.AnyCommand] = []
        self.log: list[ev.AnyEvent] = []
        self.machine = TurnMachine(settings, lambda state, signal: self.moves.append((state, signal)))

    def tell(self, event: ev.AnyEvent) -> list[ev.AnyCommand]:
        self.log.append(event)
        commands = self.machine.receive(event)
        self.commands += commands
        return commands

    def start(self, *, greeting: bool = False) -> "Drive":
        self.tell(ev.Started(self.now_s, greeting=greeting))
        return self

    def voice(self, seconds: float) -> "Drive":
        return self.windows(seconds, 0.9)

    def quiet(self, seconds: float) -> "Drive":
        return self.windows(seconds, 0.01)

    def windows(self, seconds: float, probability: float) -> "Drive":
        end_s = self.now_s + seconds
        while self.now_s < end_s - 1e-9:
            next_s = self.now_s + WINDOW_S
            while self.machine.deadline_s <= next_s:
                before_s, self.now_s = self.machine.deadline_s, max(self.now_s, self.machine.deadline_s)
                self.tell(ev.Tick(self.now_s))
                assert self.machine.deadline_s > before_s, "a deadline that does not pass would spin the loop"
            self.now_s = next_s
            self.tell(ev.Voice(self.now_s, probability))
        return self

    def partial(self, text: str) -> "Drive":
        self.tell(ev.Partial(self.now_s, text))
        return self

    def final(self, text: str) -> "Drive":
        self.tell(ev.Final(self.now_s, text, 0.8))
        return self

    def typed(self, text: str) -> "Drive":
        self.tell(ev.Typed(self.now_s, text))
        return self

    def reply_id(self) -> int:
        return next(c.reply_id for c in reversed(self.commands) if isinstance(c, ev.Prepare | ev.Say))

    def sounded(self) -> "Drive":
        self.tell(ev.Sounded(self.now_s, self.reply_id()))
        return self

    def settled(self) -> "Drive":
        self.tell(ev.Settled(self.now_s, self.reply_id()))
        return self

    def finished(self, *, hang_up: bool = False) -> "Drive":
        self.tell(ev.Finished(self.now_s, self.reply_id(), hang_up))
        return self

    def failed(self, stage: Stage = Stage.LLM, *, fatal: bool = False) -> "Drive":
        self.tell(ev.Failed(self.now_s, self.reply_id(), stage, fatal))
        return self

    def ask(self, text: str = "what time is it") -> "Drive":
        """The caller says something and is silent until the turn is decided."""
        return self.voice(1.0).quiet(0.3).final(text).quiet(0.4)

    def speak(self) -> "Drive":
        """The agent's reply is being heard."""
        return self.sounded().settled()

    def of(self, kind: type[ev.Command]) -> list[ev.AnyCommand]:
        return [command for command in self.commands if isinstance(command, kind)]

    @property
    def ended(self) -> EndReason | None:
        return next((c.reason for c in self.commands if isinstance(c, ev.EndCall)), None)


def begun() -> Drive:
    return Drive().start()


def thinking() -> Drive:
    return begun().ask()


def speaking() -> Drive:
    return thinking().speak()


def ducked() -> Drive:
    return speaking().voice(0.07)


def yielded() -> Drive:
    return speaking().voice(0.3)


def holding() -> Drive:
    return thinking().voice(0.1)


def end(drive: Drive) -> Drive:
    drive.tell(ev.Ended(drive.now_s, EndReason.API_STOP))
    return drive


C, A, S = Caller, Agent, Signal

ROWS: dict[Move, Callable[[], Drive]] = {
    (C.QUIET, S.SOUND): lambda: begun().voice(0.03),
    (C.QUIET, S.WORDS): lambda: begun().final("hello"),
    (C.ONSET, S.SPEECH): lambda: begun().voice(0.1),
    (C.ONSET, S.FADED): lambda: begun().voice(0.03).quiet(0.2),
    (C.ONSET, S.FADED_IN_TURN): lambda: begun().voice(0.5).quiet(0.25).voice(0.03).quiet(0.15),
    (C.SPEAKING, S.FADED): lambda: begun().voice(0.5).quiet(0.3),
    (C.PAUSED, S.SOUND): lambda: begun().voice(0.5).quiet(0.3).voice(0.03),
    (C.PAUSED, S.TURN_OVER): thinking,
    (A.LISTENING, S.DUE): thinking,
    (A.LISTENING, S.DUE_OVER_SOUND): lambda: begun().voice(0.5).typed("hello"),
    (A.LISTENING, S.END): lambda: end(begun()),
    (A.THINKING, S.HEARD): lambda: thinking().sounded(),
    (A.THINKING, S.SOUND): holding,
    (A.THINKING, S.WORDS): lambda: thinking().typed("no, wait"),
    (A.THINKING, S.DONE): lambda: thinking().finished(),
    (A.THINKING, S.END): lambda: end(thinking()),
    (A.HOLDING, S.NO_WORDS): lambda: holding().quiet(0.3).final(""),
    (A.HOLDING, S.WORDS): lambda: holding().partial("and then"),
    (A.HOLDING, S.DONE): lambda: holding().finished(),
    (A.HOLDING, S.END): lambda: end(holding()),
    (A.SPEAKING, S.SOUND): lambda: speaking().voice(0.03),
    (A.SPEAKING, S.SOUND_EARLY): lambda: thinking().sounded().voice(0.03),
    (A.SPEAKING, S.WORDS): lambda: speaking().voice(0.1).quiet(0.3).final("stop"),
    (A.SPEAKING, S.DONE): lambda: speaking().finished(),
    (A.SPEAKING, S.END): lambda: end(speaking()),
    (A.DUCKED, S.FADED): lambda: speaking().voice(0.03).quiet(0.2),
    (A.DUCKED, S.VOICE): yielded,
    (A.DUCKED, S.WORDS): lambda: ducked().partial("stop"),
    (A.DUCKED, S.DONE): lambda: ducked().finished(),
    (A.DUCKED, S.END): lambda: end(ducked()),
    (A.YIELDED, S.NO_WORDS): lambda: yielded().quiet(0.3).final(""),
    (A.YIELDED, S.WORDS): lambda: yielded().partial("stop"),
    (A.YIELDED, S.DONE): lambda: yielded().finished(),
    (A.YIELDED, S.END): lambda: end(yielded()),
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0].name}+{row[1].name}")
def test_row(row: Move) -> None:
    drive = ROWS[row]()
    assert row in drive.moves
    before = drive.moves.index(row)
    state = {**CALLER_TABLE, **AGENT_TABLE}[row]  # type: ignore[index]  # one of the two tables has it
    later = [moved for moved, _ in drive.moves[before + 1 :] if type(moved) is type(state)]
    now = later[0] if later else (drive.machine.caller if isinstance(state, Caller) else drive.machine.agent)
    assert now is state


def test_every_row_of_the_tables_is_exercised() -> None:
    assert set(ROWS) == {*CALLER_TABLE, *AGENT_TABLE}


def test_every_state_can_be_left_and_reached() -> None:
    for table, states, first in ((CALLER_TABLE, Caller, Caller.QUIET), (AGENT_TABLE, Agent, Agent.LISTENING)):
        assert {state for state, _ in table} | {Agent.OVER} >= set(states)
        assert set(table.values()) | {first} >= set(states)
    assert all((state, Signal.END) in AGENT_TABLE for state in Agent if state is not Agent.OVER)


def test_the_same_events_give_the_same_commands() -> None:
    for make in ROWS.values():
        drive = make()
        again = Drive()
        for event in drive.log:
            again.tell(event)
        assert again.commands == drive.commands
        assert again.machine.deadline_s == drive.machine.deadline_s


def test_nothing_follows_the_end() -> None:
    drive = end(speaking())
    assert drive.ended is EndReason.API_STOP
    drive.commands.clear()
    drive.voice(1).final("hello").typed("hello")
    assert drive.commands == []
    assert drive.machine.deadline_s == float("inf")


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
        drive = begun().voice(1.0).partial("hello").quiet(1.9)
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

    def test_the_level_is_restored_for_the_next_reply(self) -> None:
        drive = yielded().partial("stop")
        assert drive.of(ev.SetLevel)[-1] == ev.SetLevel(ev.Level.FULL)
        cut = drive.commands.index(drive.of(ev.Cut)[0])
        assert drive.commands.index(drive.of(ev.SetLevel)[-1], cut) > cut, "cleared before it is loud again"


class TestWaits:
    def test_a_late_reply_is_announced_again_and_again(self) -> None:
        drive = thinking().quiet(FILLER_S)
        assert len(drive.of(ev.Fill)) == 1
        drive.sounded().quiet(FILLER_S + 1)
        assert len(drive.of(ev.Fill)) == 1
        drive.tell(ev.Dry(drive.now_s, drive.reply_id()))
        drive.quiet(FILLER_S + 0.1)
        assert len(drive.of(ev.Fill)) == 2

    def test_silence_ends_the_call(self) -> None:
        drive = begun().quiet(9.9)
        assert drive.ended is None
        assert drive.quiet(0.2).ended is EndReason.SILENCE_TIMEOUT

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
