"""A call's log of turns: whole conversations give the same commands again, and a change is seen."""

import os
from pathlib import Path

import msgspec
import pytest

from oneinbox.cli import main
from oneinbox.live.engine import turn_events as ev
from oneinbox.live.engine import turn_log
from oneinbox.live.engine.turn_log import LogEnd, TurnLog, TurnLogError, keep_newest, read_log, replay
from oneinbox.live.engine.turn_settings import TurnSettings
from oneinbox.live.engine.turns import TurnMachine
from tests.simulate.callers import random_scene
from tests.support.conversation import converse
from tests.unit.engine.drive import SETTINGS, Drive, speaking


@pytest.mark.parametrize("seed", range(6))
def test_a_call_replays_to_identical_commands(seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = random_scene(seed)
    scene.turn_logs = tmp_path / "turns"
    outcome = converse(scene)
    path = tmp_path / "turns" / "call_test.turns"
    settings, steps, end = read_log(path)
    assert end is LogEnd.WHOLE
    lines, differences = replay(settings, steps)
    assert differences == 0
    assert len(steps) > 100
    assert any(f"EndCall({outcome.reason})" in line for line in lines)
    assert path.stat().st_mode & 0o077 == 0, "it holds what the caller said"
    with pytest.raises(SystemExit) as left:
        main(["replay", "call_test", "--data-dir", str(tmp_path)])
    assert left.value.code == 0
    told = capsys.readouterr().out
    assert "all the same again" in told
    assert "Here the log" not in told
    with pytest.raises(SystemExit) as left:
        main(["replay", "call_other", "--data-dir", str(tmp_path)])
    assert left.value.code == 1
    assert "ONEINBOX_TURN_LOGS" in capsys.readouterr().err, "the setting that has logs written is named"


def steps_of(drive: Drive, settings: TurnSettings = SETTINGS) -> list[tuple[ev.AnyEvent, list[ev.AnyCommand]]]:
    machine = TurnMachine(settings)
    return [(event, list(machine.receive(event))) for event in drive.log]


def test_another_machine_is_seen() -> None:
    steps = steps_of(speaking().voice(0.5).partial("stop"))
    assert replay(SETTINGS, steps)[1] == 0
    other = msgspec.structs.replace(SETTINGS, barge_in=msgspec.structs.replace(SETTINGS.barge_in, confirm_s=0.3))
    lines, differences = replay(other, steps)
    assert differences >= 2
    assert any("DIFFERENT: then it was SetLevel" in line for line in lines)


def test_a_log_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.turns"
    log = TurnLog(path, SETTINGS)
    steps = steps_of(speaking())
    for event, commands in steps:
        log.add(event, commands)
    log.close()
    log.close()
    written = path.read_bytes()
    assert read_log(path) == (SETTINGS, steps, LogEnd.WHOLE)
    path.write_bytes(written[:-5])
    assert read_log(path) == (SETTINGS, steps, LogEnd.OPEN), "without its last frame"
    path.write_bytes(written[:-8])
    assert read_log(path) == (SETTINGS, steps[:-1], LogEnd.OPEN)


def test_the_log_of_a_call_that_goes_on_says_that_it_has_no_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told() -> str:
        with pytest.raises(SystemExit) as left:
            main(["replay", "call_live", "--data-dir", str(tmp_path)])
        assert left.value.code == 0
        return capsys.readouterr().out

    log = TurnLog(tmp_path / "turns" / "call_live.turns", SETTINGS)
    assert "0 steps" in told()
    steps = steps_of(speaking().voice(60))
    for event, commands in steps:
        log.add(event, commands)
    live = told()
    assert "Here the log has no end: the call goes on" in live
    log.close()
    ended = told()
    assert "Here the log" not in ended
    assert f"{len(steps)} steps, all the same again" in ended
    assert f"{len(steps)} steps" not in live


def test_a_full_log_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn_log, "_MOST_BYTES", 2_000)
    path = tmp_path / "a.turns"
    log = TurnLog(path, SETTINGS)
    steps = steps_of(speaking().voice(60))
    for event, commands in steps:
        log.add(event, commands)
    log.close()
    _, read, end = read_log(path)
    assert end is LogEnd.FULL
    assert read == steps[: len(read)]
    assert path.stat().st_size < 2_100


@pytest.mark.parametrize("data", [b"", b"\0\0\0\1\x01", b"\0\0\0\2no"])
def test_what_is_no_log_is_said_so(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.turns"
    path.write_bytes(data)
    with pytest.raises(TurnLogError, match="no log"):
        read_log(path)
    with pytest.raises(TurnLogError):
        read_log(tmp_path / "none.turns")


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for number in range(5):
        path = tmp_path / f"{number}.turns"
        path.touch()
        os.utime(path, (number, number))
    (tmp_path / "other").touch()
    keep_newest(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3.turns", "4.turns", "other"]
