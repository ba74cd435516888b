"""What holds in every call. ``check(outcome)`` asserts all of it."""

from itertools import pairwise

from oneinbox.core.events import EndReason, Role, ToolCalled
from oneinbox.live.engine.barge_in import BargeIn, Remark
from oneinbox.live.engine.tool_runs import END_GRACE_S
from oneinbox.live.engine.turn_events import Line
from tests.simulate.callers import HANG_UPS, REPLIES
from tests.support.conversation import FILLERS, LINES, OWN_LINES, Outcome
from tests.support.scripted import heard_right

_FAILURES = {EndReason.STT_FAILED: "stt", EndReason.LLM_FAILED: "llm", EndReason.TTS_FAILED: "tts"}


_HEARD_S = 0.1
"""A shorter sound may fall between two windows of the VAD."""
MOST_SILENCE_S = 5.1
"""Of an agent that is about to say something: 5 s, and what its voice takes to begin."""


def check(outcome: Outcome) -> None:
    """Assert every law."""
    assert outcome.tasks_left == 0
    check_end(outcome)
    check_no_speaking_over_the_caller(outcome)
    check_nothing_answered_but_words(outcome)
    check_heard_truth(outcome)
    check_stopped_by_words_alone(outcome)
    check_no_turn_lost(outcome)
    check_one_truth(outcome)
    check_times(outcome)
    check_no_long_silence(outcome)
    check_no_dead_air(outcome)
    check_the_page(outcome)
    check_tools(outcome)


def check_end(outcome: Outcome) -> None:
    """The call ends once, for a reason that was there."""
    turns, reason = outcome.scene.turns, outcome.reason
    lasted_s = outcome.decided_s - outcome.started_s
    assert lasted_s <= turns.max_duration_s + 0.1
    assert outcome.ended_s - outcome.decided_s <= (END_GRACE_S if outcome.scene.tools else 0.0) + 0.1
    match reason:
        case EndReason.SILENCE_TIMEOUT:
            sounds = [
                *(end for start, end in outcome.caller.voiced if end - start > _HEARD_S),
                *(at_s for at_s, _ in outcome.caller.typed),
            ]

            reminders = {at + 1 for at, text in enumerate(outcome.scene.tts.sentences) if text == LINES[Line.REMINDER]}
            sounds += [frame[0] for frame in outcome.playout.frames if frame[1] not in reminders][-1:]
            quiet_s = outcome.decided_s - max([s for s in sounds if s <= outcome.decided_s], default=outcome.started_s)
            assert quiet_s >= min(turns.silence_timeout_s, lasted_s) - 0.3, quiet_s
        case EndReason.MAX_DURATION:
            assert lasted_s >= turns.max_duration_s - 0.1
        case EndReason.END_CALL_PHRASE:
            assert turns.end_call_phrases
        case EndReason.AGENT_HANGUP | EndReason.STT_FAILED | EndReason.LLM_FAILED | EndReason.TTS_FAILED:
            stage = _FAILURES.get(reason)
            assert stage is None or stage in {fault for fault, _ in outcome.faults}
        case _:
            assert reason in HANG_UPS
            assert reason is outcome.caller.ended_as


def check_no_speaking_over_the_caller(outcome: Outcome) -> None:
    confirm_s = BargeIn.from_sensitivity(outcome.scene.turns.interruption_sensitivity).confirm_s
    stop_s = confirm_s + 0.12  # two windows of the VAD, rounded to frames
    unstoppable = LINES[Line.FAREWELL]
    if not outcome.scene.turns.first_message_interruptible:
        unstoppable += outcome.scene.first_message or ""
    own = {at + 1 for at, text in enumerate(outcome.scene.tts.sentences) if text in unstoppable}
    for start_s, end_s in outcome.caller.voiced:
        over = [f for f in outcome.frames_between(start_s + stop_s, end_s) if f[1] not in own]
        assert not over, (start_s, over[0])


def check_nothing_answered_but_words(outcome: Outcome) -> None:
    said = {text for _, text in outcome.caller.typed}
    words = {word for text in said for word in text.split()} | {word for _, word in outcome.caller.words}
    for request in outcome.scene.llm.requests:
        asked = [message.content for message in request if message.role == "user"]
        assert {heard_right(word) for word in asked[-1].split()} <= words
    replies = [message for message in outcome.messages if message.role is Role.AGENT]
    answered = {message.turn for message in outcome.messages if message.role is Role.USER}
    for reply in replies:
        own = reply.turn == 0 or any(reply.content in line or line in reply.content for line in OWN_LINES)
        assert own or reply.turn in answered, reply


def check_heard_truth(outcome: Outcome) -> None:
    """The agent's record is what was played; at each cut a word may hang on either side."""
    played = outcome.words_played()
    recorded = " ".join(outcome.said_by(Role.AGENT)).split()
    parts = sum(
        1 for number, samples in outcome.playout.heard.items() if samples < outcome.scene.tts.lengths[number - 1]
    )
    tts = outcome.scene.tts
    broken = sum(1 for fault in tts.faults[: len(tts.sentences)] if fault)  # the length of what broke off is estimated
    assert abs(len(played) - len(recorded)) <= 2 * (parts + broken), (played, recorded)
    if not parts and not broken:
        assert recorded == played


def check_stopped_by_words_alone(outcome: Outcome) -> None:
    """Only words stop the agent for good; what is not stopped is said to its end, once."""
    finals = [(at_s, caption.text) for at_s, caption in outcome.page.captions if caption.from_agent and caption.final]
    whole = [*(" ".join(reply.split()) for reply in REPLIES), *OWN_LINES, outcome.scene.first_message or ""]
    last = max((at for at, message in enumerate(outcome.messages) if message.role is Role.AGENT), default=0)
    for at, message in enumerate(outcome.messages):
        if message.role is Role.USER:
            continue
        if message.interrupted:
            cut_s = next(at_s for at_s, text in reversed(finals) if message.content in text) - outcome.started_s
            words = outcome.messages[at + 1 :][:1]
            by_words = any(one.role is Role.USER and one.start_s <= cut_s + 0.1 for one in words)
            assert by_words or any(stage == "stt" for stage, _ in outcome.faults), message
        elif not outcome.faults and at != last:
            said = _without_fillers(message.content)
            assert not said or any(text and said.endswith(text) for text in whole), message


def _without_fillers(text: str) -> str:
    """Return what is left without the lines that were put in, between the sentences of a slow reply, too."""
    for filler in FILLERS:
        text = text.replace(filler, " ")
    return " ".join(text.split())


def check_no_turn_lost(outcome: Outcome) -> None:
    """Every word that the recogniser told of is on record, in order, once; and as its final had it, if there was one.

    Not for a recogniser that fails: what it has heard, the next one never tells.
    """
    stt, ended_s = outcome.scene.stt, outcome.decided_s
    if stt.faults or stt.mute:
        return
    told, confirmed = (
        max((count for at_s, count in counted if at_s < ended_s - 0.01), default=0)
        for counted in (stt.told, stt.confirmed)
    )
    said = [word for _, word in outcome.caller.words]
    recorded = [
        word
        for message in outcome.messages
        if message.role is Role.USER and not message.typed
        for word in message.content.split()
    ]
    understood = [heard_right(word) for word in recorded]
    assert understood[:told] == said[:told], (said, recorded)
    assert understood == said[: len(recorded)], (said, recorded)
    assert recorded[:confirmed] == said[:confirmed], (said, recorded)
    typed = [m.content for m in outcome.messages if m.typed]
    assert typed == [text for _, text in outcome.caller.typed][: len(typed)]
    assert len(typed) >= sum(1 for at_s, _ in outcome.caller.typed if at_s < ended_s - 1e-6)


def check_one_truth(outcome: Outcome) -> None:
    """The caller's words are the same on record and for the language model, but for acknowledgements put aside."""
    told = [word for message in outcome.history if message.role == "user" for word in message.content.split()]
    judge = BargeIn.from_sensitivity(0.5).judge
    known = {
        0
    }  # how many of the words the messages so far may hold: one that acknowledges may have been put aside, or not
    for said in outcome.said_by(Role.USER):
        words = said.split()
        aside = known if judge(said) is Remark.ACKNOWLEDGEMENT else set[int]()
        known = {at + len(words) for at in known if told[at : at + len(words)] == words} | aside
        assert known, (said, told)
    assert len(told) in known, told


def check_times(outcome: Outcome) -> None:
    # a farewell goes on over what the caller says or types meanwhile
    turns = [message.turn for message in outcome.messages if message.content not in LINES[Line.FAREWELL]]
    assert turns == sorted(turns)
    for message in outcome.messages:
        assert -0.001 <= message.start_s <= message.end_s <= outcome.ended_s - outcome.started_s + 0.021, message
        assert message.content.strip()
    agent = [message for message in outcome.messages if message.role is Role.AGENT]
    assert all(one.end_s <= other.start_s + 0.001 for one, other in pairwise(agent))


def check_no_long_silence(outcome: Outcome) -> None:
    """After words the agent is heard within 5 s, as long as its voice works and the model says something."""
    if outcome.scene.tts.faults or any(not reply for reply in _replies(outcome)):
        return
    sounds = [*(start for start, _ in outcome.caller.voiced), outcome.ended_s]
    for _, end_s, _ in outcome.caller.spoken:
        if min(sound for sound in sounds if sound > end_s - 1e-6) - end_s > 6 and not outcome.caller.typed:
            assert outcome.frames_between(end_s, end_s + 5.6), end_s


def check_no_dead_air(outcome: Outcome) -> None:
    """From the moment it thinks until it listens again the agent is heard at least every 5 s, but for the caller's sounds."""
    if outcome.scene.tts.faults:
        return
    frames = [(at_s, at_s + 0.02) for at_s, _, _ in outcome.frames_between(0.0, float("inf"))]
    sounds = sorted([*frames, *outcome.caller.voiced])
    for from_s, to_s in _busy(outcome):
        heard_s = from_s
        for start_s, end_s in sounds:
            if from_s < end_s and start_s < to_s:
                assert start_s - heard_s <= MOST_SILENCE_S, (from_s, heard_s, start_s)
                heard_s = max(heard_s, end_s)
        assert to_s - heard_s <= MOST_SILENCE_S, (from_s, heard_s, to_s)


def _busy(outcome: Outcome) -> list[tuple[float, float]]:
    """Return when the agent was thinking or speaking, from when to when."""
    states = [
        (at_s, values["lk.agent.state"]) for at_s, values in outcome.page.attributes if "lk.agent.state" in values
    ]
    busy: list[tuple[float, float]] = []
    since_s: float | None = None
    end = (outcome.decided_s, "listening")  # tools that run have a little time yet, and nobody is there to hear
    for at_s, state in [*(one for one in states if one < end), end]:
        if state in ("thinking", "speaking"):
            since_s = at_s if since_s is None else since_s
        elif since_s is not None:
            busy.append((since_s, at_s))
            since_s = None
    return busy


def check_the_page(outcome: Outcome) -> None:
    """The page reads what is recorded, by the same ids, and its agent "speaks" whenever it is heard."""
    captions = outcome.page.last_captions()
    captioned = ""
    for message in outcome.messages:
        caption = captions.get(message.message_id)
        if message.role is Role.USER:
            assert caption is not None, message
            assert (caption.text, caption.from_agent, caption.final) == (message.content, False, True), message
        elif caption is None:  # what is said after a tool goes on in the same caption
            assert message.content in captioned, message
        else:
            captioned = caption.text
            assert caption.from_agent
            assert caption.final
            assert captioned.startswith(message.content), message
    for role in Role.USER, Role.AGENT:
        shown = [
            caption.text for caption in outcome.page.last_captions().values() if caption.from_agent is (role is Role.AGENT)
        ]  # fmt: skip
        recorded = outcome.said_by(role)
        # by the word: what is said before and after a tool is one caption and two messages; and lines that could not be
        # said are shown, and on no record
        words = iter(" ".join(shown).split())
        assert all(any(word == one for one in words) for word in " ".join(recorded).split()), (shown, recorded)
    states = [
        (at_s, values["lk.agent.state"]) for at_s, values in outcome.page.attributes if "lk.agent.state" in values
    ]
    ends = [*(at_s for at_s, _ in states[1:]), float("inf")]
    for (from_s, state), to_s in zip(states, ends, strict=True):
        if state != "speaking":
            heard = outcome.frames_between(from_s + 1e-6, to_s - 1e-6)
            assert not heard, (state, from_s, heard[0])


def check_tools(outcome: Outcome) -> None:
    """A tool is run once for each time it is asked for, and only for a turn that is certain."""
    tools = outcome.scene.tools.by_name.values() if outcome.scene.tools is not None else ()
    keys = [key for tool in tools for _, key in tool.runs]
    assert len(keys) == len(set(keys)), keys
    certain = {message.turn for message in outcome.messages if message.role is Role.USER}
    assert {called.turn for called in outcome.tool_calls} <= certain | {0}
    assert len(keys) <= len(outcome.tool_calls)
    told = [event for event in outcome.events if isinstance(event, ToolCalled)]
    begun = [event.tool_call_id for event in told if event.result is None]
    assert len(begun) == len(set(begun)), begun


def _replies(outcome: Outcome) -> list[str]:
    own = LINES[Line.REMINDER]
    said = [(m.turn, _without_fillers(m.content)) for m in outcome.messages if m.role is Role.AGENT]
    answered = {turn for turn, text in said if text and not own.startswith(text)}
    return ["x" if message.turn in answered else "" for message in outcome.messages if message.role is Role.USER]
