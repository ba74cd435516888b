"""Whole conversations in virtual time: an agent that uses tools."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oneinbox.core.events import EndReason, MessageAdded, Role, ToolCalled
from oneinbox.core.spec import TurnSpec
from oneinbox.live.engine.history import RUNS_IN_BACKGROUND, STILL_RUNS
from oneinbox.live.engine.mind import MOST_ROUNDS
from oneinbox.live.engine.phrasebook import ENGLISH
from oneinbox.live.engine.ports import ReplyPart, TextDelta, ToolCall
from oneinbox.live.engine.turn_events import Line
from tests.support.conversation import LINES, Caller, Outcome, Scene, Script, converse
from tests.support.scripted import FakeLlm, FakeStt, Fault, assert_valid
from tests.support.scripted_tools import FakeTool, FakeTools
from tests.unit.engine.talk import AGENT, LONG, USER

Answer = Callable[[str], Sequence[ReplyPart] | str]


def call(name: str = "look_up", arguments: str = '{"order": 7}', call_id: str = "1") -> ToolCall:
    return ToolCall(call_id=call_id, name=name, arguments=arguments)


def asking(question: str, *parts: ReplyPart, then: str | None = None) -> Answer:
    """A model that answers ``question`` with ``parts``, and whatever a tool gives with those words or ``then``."""

    def answer(said: str) -> Sequence[ReplyPart] | str:
        if question in said:
            return parts
        return then if then is not None else f"It says {said}."

    return answer


async def ask(caller: Caller) -> None:
    await caller.say("where is my order")
    await caller.hear_out(quiet_s=4.0)
    caller.hang_up()


def play(answer: Answer, tools: dict[str, FakeTool], script: Script = ask, **more: object) -> Outcome:
    scene = Scene(script, llm=FakeLlm(answer), tools=FakeTools(tools), **more)  # pyright: ignore[reportArgumentType] - a test's own fields
    return converse(scene)


def test_a_tool_is_run_once_and_its_result_spoken() -> None:
    tool = FakeTool(takes_s=0.5, result="shipped")
    outcome = play(asking("where", TextDelta("Let me see."), call()), {"look_up": tool})
    assert tool.runs == [({"order": 7}, "call_test-1")]
    assert outcome.talk == [(USER, "where is my order"), (AGENT, "Let me see."), (AGENT, "It says shipped.")]
    (used,) = outcome.tool_calls
    assert (used.name, used.arguments, used.result, used.is_error, used.turn) == (
        "look_up",
        '{"order": 7}',
        "shipped",
        False,
        1,
    )
    assert used.duration_ms == pytest.approx(500, abs=1)
    assert outcome.latencies("tool:look_up")[1] == used.duration_ms
    first, second = (one for one in outcome.messages if one.role is Role.AGENT)
    assert first.start_s < first.end_s <= second.start_s < second.end_s
    assert second.start_s >= used.start_s + 0.5
    assert outcome.tasks_left == 0
    last = outcome.scene.llm.requests[-1]
    assert [(one.role, one.content) for one in last[1:]] == [
        ("user", "where is my order"),
        ("assistant", "Let me see."),
        ("tool", "shipped"),
    ]


def test_the_event_comes_as_the_tool_begins_and_as_it_ends() -> None:
    outcome = play(asking("where", call()), {"look_up": FakeTool(takes_s=0.5)})
    told = [event.result for event in outcome.events if isinstance(event, ToolCalled)]
    assert told == [None, "done"]


def test_a_reply_prepared_on_words_that_go_on_never_acts() -> None:
    """The caller pauses long enough for a reply to be prepared, and then goes on: no tool runs for the first half."""

    async def script(caller: Caller) -> None:
        await caller.say("please cancel my order")
        await caller.pause(0.45)
        await caller.say("no do not cancel it")
        await caller.hear_out(quiet_s=2.0)
        caller.hang_up()

    tool = FakeTool()

    def answer(said: str) -> Sequence[ReplyPart] | str:
        return [call("cancel")] if said.endswith("my order") else "Fine, nothing is cancelled."

    outcome = play(answer, {"cancel": tool}, script, turns=TurnSpec(responsiveness=0.4, silence_timeout_s=20.0))
    assert len(outcome.scene.llm.requests) == 2, "a reply to the first half was prepared"
    assert tool.runs == []
    assert outcome.tool_calls == []
    assert outcome.said_by(Role.AGENT) == ["Fine, nothing is cancelled."]


@pytest.mark.parametrize("gap_s", [0.5, 0.55, 0.6, 0.65, 0.7])
def test_a_decision_that_is_taken_back_at_once_has_not_acted(gap_s: float) -> None:
    """The turn is decided after 0.49 s of silence; tools wait for as long as the caller may take it back."""

    async def script(caller: Caller) -> None:
        await caller.say("please cancel my order")
        await caller.pause(gap_s)
        await caller.say("no do not cancel it")
        await caller.hear_out(quiet_s=2.0)
        caller.hang_up()

    tool = FakeTool()

    def answer(said: str) -> Sequence[ReplyPart] | str:
        return [call("cancel")] if said.endswith("my order") else "Fine, nothing is cancelled."

    llm, tools = FakeLlm(answer, first_s=0.02), FakeTools({"cancel": tool})
    outcome = converse(Scene(script, llm=llm, stt=FakeStt(final_s=0.1), tools=tools))
    assert tool.runs == []
    assert outcome.said_by(Role.USER) == ["please cancel my order no do not cancel it"]


def test_something_is_said_while_a_tool_runs() -> None:
    tool = FakeTool(takes_s=3.0, result="shipped", speaks=True)
    outcome = play(asking("where", call()), {"look_up": tool})
    (filler, answer) = outcome.said_by(Role.AGENT)
    assert answer == "It says shipped."
    first = next(one for one in outcome.messages if one.content == filler)
    assert first.start_s < outcome.tool_calls[0].start_s + 0.3


def test_tools_run_side_by_side() -> None:
    tools = {"look_up": FakeTool(takes_s=1.0, result="a"), "weigh": FakeTool(takes_s=1.0, result="b")}
    parts = (call(), call("weigh", "{}", "2"))
    outcome = play(asking("where", *parts, then="Both are done."), tools)
    begun = [tool.begun[0] for tool in tools.values()]
    assert abs(begun[0] - begun[1]) < 0.01
    results = [one.content for one in outcome.scene.llm.requests[-1] if one.role == "tool"]
    assert results == ["a", "b"]


def test_a_tool_in_the_background_is_not_waited_for() -> None:
    tool = FakeTool(takes_s=6.0, result="sent", in_background=True)

    async def script(caller: Caller) -> None:
        await caller.say("where is my order")
        await caller.hear_out(quiet_s=1.0)
        await caller.pause(6)
        await caller.say("thanks")
        await caller.hear_out()
        caller.hang_up()

    outcome = play(asking("where", call(), then="I am on it."), {"look_up": tool}, script)
    second, third = outcome.scene.llm.requests[-2:]
    assert second[-1].content == RUNS_IN_BACKGROUND
    assert [one.content for one in third if one.role == "tool"] == ["sent"]
    assert outcome.tool_calls[0].result == "sent"
    assert outcome.latencies("tool:look_up") == {}, "nobody waited for it"


def test_what_was_said_with_a_background_tool_is_answer_enough() -> None:
    tool = FakeTool(in_background=True)
    outcome = play(asking("where", TextDelta("I will send it to you."), call()), {"look_up": tool})
    assert len(tool.runs) == 1
    assert outcome.said_by(Role.AGENT) == ["I will send it to you."]


def test_a_tool_goes_on_when_the_caller_interrupts_and_its_result_is_kept() -> None:
    tool = FakeTool(takes_s=4.0, result="shipped")

    async def script(caller: Caller) -> None:
        await caller.say("where is my order")
        await caller.hear_begin(after_s=1.0)
        await caller.say("by the way what are your hours")
        await caller.hear_out(quiet_s=1.0)
        await caller.pause(2)
        await caller.say("and now")
        await caller.hear_out()
        caller.hang_up()

    def answer(said: str) -> Sequence[ReplyPart] | str:
        return [TextDelta(LONG), call()] if "where" in said else "We open at nine." if "hours" in said else "Well."

    outcome = play(answer, {"look_up": tool}, script)
    assert len(tool.runs) == len(tool.ended) == 1
    requests = outcome.scene.llm.requests
    about_hours = next(one for one in requests if "hours" in one[-1].content)
    assert [one.content for one in about_hours if one.role == "tool"] == [STILL_RUNS]
    cut = next(one for one in about_hours if one.tool_calls)
    assert LONG.startswith(cut.content)
    assert len(cut.content) < len(LONG), "the history holds what was heard"
    assert [one.content for one in requests[-1] if one.role == "tool"] == ["shipped"]
    assert [one.result for one in outcome.tool_calls] == ["shipped"]


def test_rounds_have_an_end() -> None:
    """A model that asks for tools for ever is told to answer, and if it does not, the caller hears an apology."""
    tool = FakeTool(result="again")
    outcome = play(lambda _: [call()], {"look_up": tool})
    assert len(tool.runs) == MOST_ROUNDS
    assert outcome.said_by(Role.AGENT) == [ENGLISH.fillers[0], ENGLISH.apology]
    assert outcome.faults == [("llm", "protocol")]
    tool = FakeTool(result="again")
    obeys = play(lambda said: "Enough." if said.startswith("Not done") else [call()], {"look_up": tool})
    assert len(tool.runs) == MOST_ROUNDS
    assert obeys.said_by(Role.AGENT) == [ENGLISH.fillers[0], "Enough."]


@pytest.mark.parametrize(
    ("asked", "tool", "told"),
    [
        (call("nonsense"), FakeTool(), "There is no tool 'nonsense'."),
        (call(arguments="[1]"), FakeTool(), "The arguments are not a JSON object."),
        (call(), FakeTool(bug=True), "The tool failed."),
        (call(), FakeTool(result="HTTP 500", is_error=True), "HTTP 500"),
    ],
)
def test_a_failure_is_told_to_the_model(asked: ToolCall, tool: FakeTool, told: str) -> None:
    outcome = play(asking("where", asked, then="I could not find it."), {"look_up": tool})
    assert outcome.scene.llm.requests[-1][-1].content == told
    assert outcome.said_by(Role.AGENT) == ["I could not find it."]
    assert [(one.result, one.is_error) for one in outcome.tool_calls] == [(told, True)]
    assert outcome.faults == []


def test_a_second_round_that_fails_does_not_run_the_tool_again() -> None:
    tool = FakeTool(result="shipped")
    llm = FakeLlm(asking("where", call()), faults=[None, Fault(), None])
    outcome = converse(Scene(ask, llm=llm, tools=FakeTools({"look_up": tool})))
    assert len(tool.runs) == 1
    assert outcome.said_by(Role.AGENT) == ["It says shipped."]


def test_a_goodbye_that_is_interrupted_does_not_end_the_call() -> None:
    async def script(caller: Caller) -> None:
        await caller.say("that is all")
        await caller.hear_begin(after_s=1.5)
        await caller.say("oh wait one more thing")
        await caller.hear_out()
        caller.hang_up()

    def answer(said: str) -> Sequence[ReplyPart] | str:
        return [TextDelta(LONG), call("finish", "{}")] if "all" in said else "Of course."

    outcome = play(answer, {"finish": FakeTool(ends_call=True)}, script)
    assert outcome.reason is EndReason.USER_HANGUP
    assert outcome.talk[-1] == (AGENT, "Of course.")


def test_a_call_that_ends_gives_its_tools_a_moment() -> None:
    async def script(caller: Caller) -> None:
        await caller.say("where is my order")
        await caller.pause(2)
        caller.hang_up()

    quick, slow = FakeTool(takes_s=2.5), FakeTool(takes_s=60.0)
    parts = (call("quick"), call("slow", "{}", "2"))
    outcome = play(asking("where", *parts), {"quick": quick, "slow": slow}, script)
    results = {one.name: (one.result, one.is_error) for one in outcome.tool_calls}
    assert results["quick"] == ("done", False)
    assert results["slow"] == ("The call ended before this was done.", True)
    assert outcome.tasks_left == 0


def test_the_state_shows_the_agent_thinking_while_a_tool_runs() -> None:
    tool = FakeTool(takes_s=3.0, result="shipped")
    outcome = play(asking("where", TextDelta("Let me see."), call()), {"look_up": tool})
    shown = outcome.page.states
    assert shown == ["initializing", "listening", "thinking", "speaking", "thinking", "speaking", "listening"]


def test_without_a_first_message_only_the_greeting_line_says_initializing() -> None:
    outcome = converse(Scene(ask, first_message="Hello there."))
    assert outcome.page.states[:2] == ["initializing", "thinking"]
    assert "speaking" in outcome.page.states


# ---- whatever happens, the history is valid -----------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(1, 5)),
        st.tuples(st.just("cough"), st.floats(0.05, 1.0)),
        st.tuples(st.just("type"), st.integers(1, 3)),
        st.tuples(st.just("pause"), st.floats(0.05, 4.0)),
        st.tuples(st.just("hear_begin"), st.floats(0.0, 2.0)),
    ),
    min_size=2,
    max_size=12,
)
ROUND = st.lists(st.sampled_from(["text", "quick", "slow", "background", "broken", "nonsense", "speaks"]), max_size=4)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, rounds=st.lists(ROUND, min_size=1, max_size=12), first_s=st.floats(0.01, 1.0))
def test_every_request_is_valid_whatever_happens(
    steps: list[tuple[str, float]], rounds: list[list[str]], first_s: float
) -> None:
    asked = iter(range(10_000))

    def answer(_: str) -> list[ReplyPart]:
        kinds = rounds[next(asked) % len(rounds)] or ["text"]
        # some servers give every call the same id
        return [TextDelta("Just a moment. ") if one == "text" else call(one, "{}", "x") for one in kinds]

    async def script(caller: Caller) -> None:
        for step, size in steps:
            if step == "say":
                await caller.say(" ".join(["word"] * int(size)))
            elif step == "cough":
                await caller.make_sound(size)
            elif step == "type":
                caller.type(" ".join(["typed"] * int(size)))
            elif step == "pause":
                await caller.pause(size)
            else:
                await caller.hear_begin(after_s=size, limit_s=8)
        caller.hang_up()

    tools = {
        "quick": FakeTool(takes_s=0.1),
        "slow": FakeTool(takes_s=2.5),
        "background": FakeTool(takes_s=1.0, in_background=True),
        "broken": FakeTool(bug=True),
        "speaks": FakeTool(takes_s=1.0, speaks=True),
    }
    outcome = converse(Scene(script, llm=FakeLlm(answer, first_s=first_s), tools=FakeTools(tools)))
    for request in outcome.scene.llm.requests:
        assert_valid(request)
    assert {kind for _, kind in outcome.faults} <= {"protocol"}
    assert outcome.reason is not EndReason.INTERNAL_ERROR
    assert outcome.tasks_left == 0
    assert all(one.result is not None for one in outcome.tool_calls), "each call has one result"
    keys = [key for tool in tools.values() for _, key in tool.runs]
    assert len(set(keys)) == len(keys)
    # a farewell goes on over what the caller says or types meanwhile
    added = [event for event in outcome.events if isinstance(event, MessageAdded)]
    messages = [message for message in added if message.content not in LINES[Line.FAREWELL]]
    assert all(one.turn <= other.turn for one, other in pairwise(messages))
