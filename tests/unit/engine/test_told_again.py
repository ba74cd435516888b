"""Words that were recorded from a partial transcript and are told again by the next one, in the same words or in better ones."""

from oneinbox.live.engine import turn_events as ev
from oneinbox.live.engine.turn_table import Agent
from tests.unit.engine.drive import Drive, begun
from tests.unit.engine.test_asides_and_waits import listening_to


def record(drive: Drive) -> list[str]:
    """What stands on the record, with what was amended."""
    texts: dict[int, str] = {}
    for command in drive.commands:
        if isinstance(command, ev.RecordUser):
            assert command.message == len(texts) + 1
            texts[command.message] = command.text
        elif isinstance(command, ev.AmendUser):
            texts[command.message] = command.text
    return list(texts.values())


def misheard() -> Drive:
    """A turn was decided by the cap, from a partial, and the reply to it is being heard."""
    return begun().voice(1.0).partial("book a tablish").quiet(2.1).speak()


class TestHeardOtherwise:
    def test_with_a_new_sound_the_record_is_corrected_and_nothing_is_answered_twice(self) -> None:
        drive = misheard().voice(0.2).final("book a table")
        assert record(drive) == ["book a table"]
        drive.quiet(0.3).final("").quiet(1.5)
        assert record(drive) == ["book a table"]
        assert len(drive.of(ev.Prepare)) == 1
        assert drive.machine.agent is Agent.SPEAKING

    def test_what_is_new_in_it_is_a_turn_of_its_own(self) -> None:
        drive = misheard().voice(0.5).partial("book a table for")
        assert drive.of(ev.Cut)
        assert drive.of(ev.ShowUser)[-1] == ev.ShowUser(2, "for", final=False)
        drive.quiet(0.3).final("book a table for two").quiet(0.4).speak()
        assert record(drive) == ["book a table", "for two"]

    def test_a_turn_that_is_taken_back_is_told_anew(self) -> None:
        drive = begun().voice(1.0).partial("book a tablish").quiet(1.3)
        assert drive.machine.agent is Agent.THINKING
        drive.voice(0.5).partial("book a table for")
        assert drive.machine.agent is Agent.LISTENING
        drive.partial("book a table for two")
        assert drive.of(ev.ShowUser)[-1] == ev.ShowUser(1, "book a table for two", final=False)
        drive.quiet(0.3).final("book a table for two").quiet(0.4).speak()
        assert record(drive) == ["book a table for two"]
        assert drive.of(ev.Prepare)[-1] == ev.Prepare(drive.reply_id(), 1, "book a table for two")

    def test_a_turn_that_is_taken_back_by_a_final_is_told_anew(self) -> None:
        drive = begun().voice(1.0).partial("book a tablish").quiet(1.3).voice(0.5)
        drive.quiet(0.3).final("book a table for two").quiet(0.4).speak()
        assert record(drive) == ["book a table for two"]
        assert [order.text for order in drive.of(ev.Prepare) if isinstance(order, ev.Prepare)] == [
            "book a tablish", "book a table for two",
        ]  # fmt: skip

    def test_before_the_reply_is_heard_it_is_asked_for_anew(self) -> None:
        drive = begun().voice(1.0).partial("book a tablish").quiet(1.3).voice(0.2).final("book a table")
        assert drive.of(ev.Prepare)[-1] == ev.Prepare(2, 1, "book a table")
        drive.quiet(0.3).final("").quiet(1.0).speak()
        assert record(drive) == ["book a table"]

    def test_a_spoken_turn_that_typing_closed(self) -> None:
        drive = begun().voice(0.5).partial("book a tablish").typed("hello").voice(0.5).quiet(0.3)
        drive.final("book a table for two").quiet(0.4).speak()
        assert record(drive) == ["book a table", "hello", "for two"]

    def test_a_spoken_turn_that_typing_closed_after_its_end(self) -> None:
        drive = misheard().typed("hello").final("book a table")
        assert record(drive) == ["book a table", "hello"]

    def test_several_turns(self) -> None:
        drive = begun().voice(0.5).partial("bookish").typed("one").voice(0.5).partial("book a tablish").typed("two")
        drive.voice(0.5).quiet(0.3).final("book a table for two").quiet(0.4).speak()
        assert record(drive) == ["book", "one", "a table", "two", "for two"]

    def test_an_acknowledgement(self) -> None:
        drive = listening_to().voice(0.3).partial("okay").quiet(2.5)
        before = record(drive)
        assert before[-1] == "okay"
        drive.voice(0.2).final("okey")
        assert record(drive) == [*before[:-1], "okey"]
        assert drive.machine.agent is Agent.YIELDED


class TestLost:
    def test_a_recogniser_that_failed_tells_nothing_again(self) -> None:
        """What the caller says next may begin like the last turn, and is new."""
        drive = begun().voice(1.0).partial("yes").quiet(1.3).speak()
        drive.tell(ev.SttFailed(drive.now_s, fatal=False, short_lived=False))
        drive.voice(0.5).quiet(0.3).final("yes please").quiet(0.4).speak()
        assert record(drive) == ["yes", "yes please"]

    def test_what_it_told_before_it_failed_is_kept(self) -> None:
        drive = begun().voice(1.0).partial("book a table")
        drive.tell(ev.SttFailed(drive.now_s, fatal=False, short_lived=False))
        drive.voice(0.5).partial("for two").quiet(0.3).final("for two").quiet(0.4).speak()
        assert record(drive) == ["book a table for two"]

    def test_words_that_are_nothing_like_those_on_record_are_new(self) -> None:
        drive = misheard().voice(0.5).quiet(0.3).final("what time is it").quiet(0.4).speak()
        assert record(drive) == ["book a tablish", "what time is it"]

    def test_what_is_typed_during_a_farewell_is_not_corrected_by_a_late_final(self) -> None:
        drive = begun().voice(1.0).partial("book a tablish").quiet(1.3).failed(fatal=True)
        drive.typed("hello").final("book a table")
        assert record(drive) == ["book a table", "hello"]


def test_a_final_without_words_leaves_what_was_heard() -> None:
    drive = misheard().voice(0.2).final("")
    assert record(drive) == ["book a tablish"]
    drive.quiet(0.3).final("book a table").quiet(0.5).speak()
    assert record(drive) == ["book a tablish", "book a table"], "told by a transcript of its own, it was said again"
