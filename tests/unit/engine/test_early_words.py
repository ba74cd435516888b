"""Words that come when the turn machine expects none: before the VAD is sure of a pause, late, in the middle of a sound."""

from oneinbox.live.engine import turn_events as ev
from oneinbox.live.engine.turn_table import Agent
from tests.unit.engine.drive import WINDOW_S, Drive, begun, speaking


def test_a_reply_to_final_words_is_prepared_before_the_pause_is_sure() -> None:
    drive = begun().voice(1.0).quiet(0.1).final("what time is it")
    prepared = drive.of(ev.Prepare)
    assert [getattr(order, "text", None) for order in prepared] == ["what time is it"]
    assert not drive.of(ev.Release)
    drive.quiet(0.2).final("").quiet(0.3)
    assert len(drive.of(ev.Prepare)) == 1, "the reply that was prepared early is the one that is heard"
    assert len(drive.of(ev.Release)) == 1


def test_final_words_in_the_middle_of_speech_prepare_nothing() -> None:
    drive = begun().voice(0.5).final("what time")
    assert not drive.of(ev.Prepare)
    drive.voice(0.5)
    assert not drive.of(ev.Prepare)
    drive.quiet(WINDOW_S)
    assert len(drive.of(ev.Prepare)) == 1


def test_words_that_go_on_drop_what_was_prepared_early() -> None:
    drive = begun().voice(1.0).quiet(0.1).final("what time").voice(0.5).partial("is")
    assert len(drive.of(ev.Drop)) == 1
    drive.quiet(0.1).final("is it")
    assert [getattr(order, "text", None) for order in drive.of(ev.Prepare)] == ["what time", "what time is it"]


def test_a_partial_prepares_nothing_before_the_pause() -> None:
    drive = begun().voice(1.0).partial("what time").quiet(0.18)
    assert not drive.of(ev.Prepare)


def test_words_that_come_late_in_the_middle_of_a_sound_are_kept() -> None:
    """A typed turn closed the spoken one before its transcript came; the next sound has already begun."""
    drive = begun().voice(1.0).quiet(0.3).typed("two people")
    drive.voice(WINDOW_S).final("at eight please")
    drive.quiet(1.0)
    drive.tell(ev.Settled(drive.now_s, drive.reply_id()))
    recorded = [order.text for order in drive.commands if isinstance(order, ev.RecordUser)]
    assert recorded == ["two people", "at eight please"]
    assert all(order.start_s > 0 for order in drive.commands if isinstance(order, ev.RecordUser))


def test_a_recogniser_that_fails_during_a_sound_does_not_set_the_agent_speaking_over_it() -> None:
    drive = speaking().voice(0.5).quiet(0.3)
    assert drive.machine.agent is Agent.YIELDED
    drive.voice(WINDOW_S)
    drive.tell(ev.SttFailed(drive.now_s, fatal=False, short_lived=True))
    assert drive.machine.agent is Agent.YIELDED
    _fades_to_speaking(drive)


def _fades_to_speaking(drive: Drive) -> None:
    """The sound was nothing: the agent goes on."""
    drive.quiet(2.5)
    assert drive.machine.agent is Agent.SPEAKING


def test_a_turn_is_not_decided_while_nothing_is_known_of_what_was_said_last() -> None:
    """A slow recogniser without partials: the words at hand are those before the caller went on."""
    drive = begun().voice(1.0).quiet(0.3).final("wait")
    drive.voice(1.0).quiet(1.6)
    assert not drive.of(ev.Release)
    drive.final("for my friends").quiet(0.1)
    assert len(drive.of(ev.Release)) == 1
    assert getattr(drive.of(ev.Prepare)[-1], "text", None) == "wait for my friends"


def test_a_recogniser_that_says_nothing_more_is_not_waited_for_longer_than_the_cap() -> None:
    drive = begun().voice(1.0).quiet(0.3).final("wait").voice(1.0).quiet(2.6)
    assert len(drive.of(ev.Release)) == 1


def test_a_partial_of_what_was_said_last_is_enough_for_the_shorter_cap() -> None:
    drive = begun().voice(1.0).partial("wait for my friends").quiet(1.3)
    assert len(drive.of(ev.Release)) == 1
