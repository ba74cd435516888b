"""The turn machine's tables: every row is used, none is missing, and the same events give the same commands."""

from collections.abc import Callable

import pytest

from oneinbox.core.events import EndReason
from oneinbox.live.engine.turn_table import AGENT_TABLE, CALLER_TABLE, Agent, Caller, Signal
from tests.unit.engine.drive import Drive, Move, begun, ducked, end, holding, speaking, thinking, yielded

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
