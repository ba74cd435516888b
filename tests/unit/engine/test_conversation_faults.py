"""Whole conversations in virtual time: providers that fail."""

from itertools import pairwise

import pytest

from oneinbox.core.errors import ProviderErrorKind
from oneinbox.core.events import EndReason, Role
from oneinbox.core.spec import TurnSpec
from oneinbox.live.engine import turn_events as ev
from oneinbox.live.engine.ports import ToolCall
from oneinbox.live.engine.turn_events import Line
from oneinbox.live.engine.turns import TurnMachine
from tests.support.conversation import FILLERS, LINES, Caller, Scene, converse
from tests.support.scripted import FakeLlm, FakeStt, FakeTts, Fault
from tests.unit.engine.talk import AGENT, GREETING, LONG, USER, long_answer


class TestFaults:
    @staticmethod
    async def _ask(caller: Caller) -> None:
        await caller.say("what are your hours")
        await caller.hear_out(quiet_s=1.5)
        await caller.say("and on sunday")
        await caller.hear_out(quiet_s=1.5)
        caller.hang_up()

    @staticmethod
    async def _ask_patiently(caller: Caller) -> None:
        await caller.say("what are your hours")
        await caller.hear_out(quiet_s=15)
        await caller.say("and on sunday")
        await caller.hear_out(quiet_s=15)
        caller.hang_up()

    @pytest.mark.parametrize(
        "fault", [Fault(), Fault(hang=True), Fault(bug=True), Fault(after=2), Fault(ProviderErrorKind.CONNECTION)]
    )
    def test_one_failed_request_is_retried_unheard(self, fault: Fault) -> None:
        scene = Scene(self._ask_patiently, llm=FakeLlm(faults=[fault, None]))
        outcome = converse(scene)
        assert outcome.reason is EndReason.USER_HANGUP
        assert LINES[Line.APOLOGY] not in outcome.said_by(Role.AGENT)
        assert "You said what are your hours." in outcome.said_by(Role.AGENT)[0]
        assert len(outcome.faults) == 1

    def test_a_failed_turn_gets_an_apology_and_the_call_goes_on(self) -> None:
        scene = Scene(self._ask, llm=FakeLlm(faults=[Fault()] * 2))
        outcome = converse(scene)
        assert outcome.reason is EndReason.USER_HANGUP
        assert outcome.talk[:2] == [(USER, "what are your hours"), (AGENT, LINES[Line.APOLOGY])]
        assert outcome.talk[3][1].startswith("You said")

    def test_a_reply_that_failed_while_it_was_prepared_is_asked_for_again(self) -> None:
        turns = TurnSpec(responsiveness=0.0, silence_timeout_s=20)
        outcome = converse(Scene(self._ask, turns=turns, llm=FakeLlm(faults=[Fault()] * 2)))
        assert outcome.said_by(Role.AGENT)[0].startswith("You said what are your hours.")
        assert len(outcome.faults) == 2

    @pytest.mark.parametrize("fault", [Fault(), Fault(hang=True), Fault(bug=True)])
    def test_two_failed_turns_end_the_call(self, fault: Fault) -> None:
        outcome = converse(Scene(self._ask_patiently, llm=FakeLlm(faults=[fault] * 20)))
        assert outcome.reason is EndReason.LLM_FAILED
        assert outcome.said_by(Role.AGENT)[-1] == LINES[Line.FAREWELL]
        assert LINES[Line.APOLOGY] in " ".join(outcome.said_by(Role.AGENT))

    def test_a_refused_key_ends_the_call_with_an_apology(self) -> None:
        outcome = converse(Scene(self._ask, llm=FakeLlm(faults=[Fault(ProviderErrorKind.AUTH)] * 9)))
        assert outcome.reason is EndReason.LLM_FAILED
        assert outcome.talk == [(USER, "what are your hours"), (AGENT, LINES[Line.FAREWELL])]
        assert set(outcome.faults) == {("llm", "auth")}

    def test_a_model_that_breaks_off_is_heard_that_far(self) -> None:
        scene = Scene(self._ask, llm=FakeLlm(answer=long_answer, token_s=0.2, faults=[Fault(after=20), None]))
        outcome = converse(scene)
        replies = [reply.removeprefix(FILLERS[0]).strip() for reply in outcome.said_by(Role.AGENT)]
        assert LONG.startswith(replies[0])
        assert replies[0].endswith(".")
        assert replies[1] == LINES[Line.APOLOGY]

    @pytest.mark.parametrize("faults", [[Fault(hang=True)], [Fault(hang=True)] * 2])
    def test_never_long_silence_without_a_word(self, faults: list[Fault | None]) -> None:
        outcome = converse(Scene(self._ask_patiently, llm=FakeLlm(faults=faults)))
        until_s = outcome.caller.spoken[1][0] - 15
        times = [outcome.caller.spoken[0][1], *(at_s for at_s, _, _ in outcome.frames_between(0, until_s + 0.1))]
        assert max(b - a for a, b in pairwise(times)) < 5.0
        assert FILLERS[0] in outcome.said_by(Role.AGENT)[0]

    def test_waits_end_without_any_audio_from_the_caller(self) -> None:
        async def script(caller: Caller) -> None:
            await caller.pause(1)
            caller.type("what are your hours")

        scene = Scene(script, microphone=False, llm=FakeLlm(faults=[Fault(hang=True)]))
        outcome = converse(scene)
        assert 0.7 <= outcome.playout.frames[0][0] - outcome.started_s - 1 < 1.2
        assert outcome.reason is EndReason.SILENCE_TIMEOUT

    def test_a_failing_voice_is_retried(self) -> None:
        outcome = converse(Scene(self._ask, tts=FakeTts(faults=[Fault()])))
        assert outcome.reason is EndReason.USER_HANGUP
        assert outcome.faults == [("tts", "server")]
        assert "You said what are your hours." in outcome.said_by(Role.AGENT)[0]

    @pytest.mark.parametrize("fault", [Fault(), Fault(hang=True), Fault(ProviderErrorKind.AUTH)])
    def test_a_dead_voice_ends_the_call_and_the_page_explains(self, fault: Fault) -> None:
        outcome = converse(Scene(self._ask, first_message=GREETING, tts=FakeTts(faults=[fault] * 50)))
        assert outcome.reason is EndReason.TTS_FAILED
        assert outcome.said_by(Role.AGENT) == []
        shown = [caption.text for _, caption in outcome.page.captions if caption.from_agent]
        assert LINES[Line.FAREWELL] in shown
        assert outcome.ended_s - outcome.started_s < 31

    def test_a_voice_that_breaks_off_in_mid_sentence(self) -> None:
        outcome = converse(Scene(self._ask, llm=FakeLlm(answer=long_answer), tts=FakeTts(faults=[Fault(after=20)])))
        heard = outcome.said_by(Role.AGENT)[0]
        assert LONG.startswith(heard)
        assert heard != LONG
        assert heard.split() == outcome.words_played()[: len(heard.split())]
        assert outcome.said_by(Role.AGENT)[1] == LINES[Line.APOLOGY]

    @pytest.mark.parametrize("fault", [Fault(), Fault(bug=True), Fault(ProviderErrorKind.PROTOCOL)])
    def test_a_recogniser_that_fails_once(self, fault: Fault) -> None:
        outcome = converse(Scene(self._ask, stt=FakeStt(partial_s=None, faults={1: fault})))
        assert outcome.reason is EndReason.USER_HANGUP
        assert outcome.talk[0] == (AGENT, LINES[Line.UNHEARD])
        assert outcome.scene.stt.opened == 2
        assert outcome.said_by(Role.USER)[-1].endswith("and on sunday")

    def test_a_recogniser_that_fails_with_words_in_hand(self) -> None:
        outcome = converse(Scene(self._ask, stt=FakeStt(faults={1: Fault()})))
        assert LINES[Line.UNHEARD] not in outcome.said_by(Role.AGENT)
        assert outcome.said_by(Role.USER)[0].startswith("what are your")

    def test_a_recogniser_that_never_answers(self) -> None:
        outcome = converse(Scene(self._ask, stt=FakeStt(partial_s=None, mute=[1])))
        assert outcome.faults == [("stt", "timeout")]
        assert outcome.talk[0] == (AGENT, LINES[Line.UNHEARD])
        assert outcome.playout.frames[0][0] - outcome.caller.spoken[0][1] < 5.0

    def test_a_dead_recogniser_ends_the_call(self) -> None:
        faults = {number: Fault() for number in range(1, 9)}
        outcome = converse(Scene(self._ask, stt=FakeStt(partial_s=None, faults=faults)))
        assert outcome.reason is EndReason.STT_FAILED
        assert outcome.said_by(Role.AGENT) == [LINES[Line.UNHEARD], LINES[Line.FAREWELL]]

    def test_a_recogniser_with_a_refused_key(self) -> None:
        outcome = converse(Scene(self._ask, stt=FakeStt(faults={1: Fault(ProviderErrorKind.AUTH)})))
        assert outcome.reason is EndReason.STT_FAILED
        assert outcome.said_by(Role.AGENT) == [LINES[Line.FAREWELL]]
        assert outcome.said_by(Role.USER)[0].startswith("what are")

    def test_a_tool_that_cannot_be_run_is_a_fault_not_a_silence(self) -> None:
        def answer(said: str) -> list[ToolCall]:
            return [ToolCall(call_id="1", name="look_up", arguments="{}")]

        outcome = converse(Scene(self._ask, llm=FakeLlm(answer=answer)))
        assert outcome.reason is EndReason.LLM_FAILED
        assert ("llm", "protocol") in outcome.faults

    def test_a_bug_of_the_engine_still_ends_the_call(self, monkeypatch: pytest.MonkeyPatch) -> None:
        receive = TurnMachine.receive

        def broken(self: TurnMachine, event: ev.AnyEvent) -> list[ev.AnyCommand]:
            if isinstance(event, ev.Final):
                raise ZeroDivisionError
            return receive(self, event)

        monkeypatch.setattr(TurnMachine, "receive", broken)
        outcome = converse(Scene(self._ask))
        assert outcome.reason is EndReason.INTERNAL_ERROR
        assert outcome.tasks_left == 0
