"""Random calls, by seed: whatever the caller does and whichever provider fails, the laws of a conversation hold.

A failing seed is in the test's name; ``converse(random_scene(SEED))`` plays it again.
"""

import random

import pytest

from oneinbox.core.errors import ProviderErrorKind
from oneinbox.core.events import EndReason, Role
from oneinbox.core.spec import TurnSpec
from oneinbox.live.engine.barge_in import BargeIn
from oneinbox.live.engine.lines import LINES
from oneinbox.live.engine.ports import HangUp, ReplyPart, TextDelta
from oneinbox.live.engine.turn_events import Line
from tests.support.conversation import OWN_LINES, Caller, Outcome, Scene, Script, converse
from tests.support.scripted import FakeLlm, FakeStt, FakeTts, Fault

SEEDS = range(160)

WORDS = (
    "table",
    "people",
    "tonight",
    "tomorrow",
    "window",
    "garden",
    "please",
    "parking",
    "lunch",
    "dinner",
    "early",
    "late",
    "music",
    "price",
)
REPLIES = (
    "Sure.",
    "Of course, I can do that for you. Would you like anything else with it?",
    "We open at nine. The kitchen closes at 22.30, so please come early. Mr. Smith will be there to greet you at the door.",
    "One long answer without any stop that goes on and on until everybody has forgotten what the question was about",
    "",
)


def _fault(dice: random.Random) -> Fault:
    kinds = [ProviderErrorKind.SERVER, ProviderErrorKind.CONNECTION, ProviderErrorKind.PROTOCOL]
    return Fault(
        kind=dice.choice(kinds), after=dice.choice([0, 0, 3, 12]), hang=dice.random() < 0.2, bug=dice.random() < 0.1
    )


def _faults(dice: random.Random, share: float) -> list[Fault | None]:
    return [_fault(dice) if dice.random() < share else None for _ in range(30)]


def _script(dice: random.Random) -> Script:
    steps = [dice.choices(
        ["say", "cough", "click", "type", "hear_out", "hear_begin", "pause", "short_pause"],
        [6, 2, 1, 1, 5, 4, 2, 4],
    )[0] for _ in range(dice.randint(2, 14))]  # fmt: skip

    async def script(caller: Caller) -> None:
        for step in steps:
            if step == "say":
                await caller.say(" ".join(dice.choice(WORDS) for _ in range(dice.randint(1, 8))))
            elif step == "cough":
                await caller.make_sound(dice.uniform(0.15, 1.2))
            elif step == "click":
                await caller.make_sound(dice.uniform(0.02, 0.1))
            elif step == "type":
                caller.type(" ".join(dice.choice(WORDS) for _ in range(dice.randint(1, 4))))
            elif step == "hear_out":
                await caller.hear_out(limit_s=12)
            elif step == "hear_begin":
                await caller.hear_begin(after_s=dice.uniform(0, 3), limit_s=12)
            elif step == "pause":
                await caller.pause(dice.uniform(1, 7))
            else:
                await caller.pause(dice.uniform(0.1, 1.0))
        if dice.random() < 0.6:
            caller.hang_up()

    return script


def random_scene(seed: int) -> Scene:
    dice = random.Random(seed)

    def answer(said: str) -> list[ReplyPart]:
        text = dice.choice(REPLIES)
        parts: list[ReplyPart] = [TextDelta(f"{word} ") for word in text.split()]
        return [*parts, HangUp()] if dice.random() < 0.05 else parts

    faulty = dice.random() < 0.4
    return Scene(
        _script(dice),
        first_message=dice.choice([None, "Hello there. How can I help you today?"]),
        turns=TurnSpec(
            silence_timeout_s=dice.choice([0.0, 5.0, 10.0]),
            max_duration_s=dice.choice([40.0, 90.0]),
            interruption_sensitivity=dice.random(),
            responsiveness=dice.random(),
            end_call_phrases=dice.choice([(), ("price",)]),
        ),
        llm=FakeLlm(
            answer,
            first_s=dice.uniform(0.02, 1.5),
            token_s=dice.uniform(0.005, 0.05),
            faults=_faults(dice, 0.25) if faulty else (),
        ),
        stt=FakeStt(
            final_s=dice.uniform(0.03, 1.2),
            partial_s=dice.choice([None, 0.1, 0.3]),
            faults={number: _fault(dice) for number in range(1, 30) if faulty and dice.random() < 0.1},
            mute=[number for number in range(1, 30) if faulty and dice.random() < 0.1],
        ),
        tts=FakeTts(
            first_s=dice.uniform(0.02, 0.8),
            pace=dice.uniform(1.2, 30),
            faults=_faults(dice, 0.1) if faulty else (),
        ),
        prepared=dice.random() < 0.8,
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_the_laws_hold(seed: int) -> None:
    check(converse(random_scene(seed)))


def check(outcome: Outcome) -> None:
    assert outcome.reason is not EndReason.INTERNAL_ERROR
    assert outcome.tasks_left == 0
    check_no_speaking_over_the_caller(outcome)
    check_nothing_answered_but_words(outcome)
    check_heard_truth(outcome)
    check_no_turn_lost(outcome)
    check_times(outcome)
    check_no_long_silence(outcome)


def check_no_speaking_over_the_caller(outcome: Outcome) -> None:
    confirm_s = BargeIn.from_sensitivity(outcome.scene.turns.interruption_sensitivity).confirm_s
    stop_s = confirm_s + 0.12  # two windows of the VAD, rounded to frames
    farewell = {at + 1 for at, text in enumerate(outcome.scene.tts.sentences) if text in LINES[Line.FAREWELL]}
    for start_s, end_s in outcome.caller.voiced:
        over = [f for f in outcome.frames_between(start_s + stop_s, end_s) if f[1] not in farewell]
        assert not over, (start_s, over[0])


def check_nothing_answered_but_words(outcome: Outcome) -> None:
    said = {*(text for _, _, text in outcome.caller.spoken), *(text for _, text in outcome.caller.typed)}
    words = {word for text in said for word in text.split()}
    words |= {word for _, word in outcome.caller.words}
    for request in outcome.scene.llm.requests:
        assert set(request[-1].content.split()) <= words
    replies = [message for message in outcome.messages if message.role is Role.AGENT]
    answered = {message.turn for message in outcome.messages if message.role is Role.USER}
    for reply in replies:
        own = reply.turn == 0 or any(reply.content in line or line in reply.content for line in OWN_LINES)
        own = own or any(line.startswith(reply.content) for line in OWN_LINES)
        assert own or reply.turn in answered, reply


def check_heard_truth(outcome: Outcome) -> None:
    """The agent's record is what was played; at each cut a word may hang on either side."""
    played = outcome.words_played()
    recorded = " ".join(outcome.said_by(Role.AGENT)).split()
    parts = sum(
        1 for number, samples in outcome.playout.heard.items() if samples < outcome.scene.tts.lengths[number - 1]
    )
    broken = sum(1 for stage, _ in outcome.faults if stage == "tts")  # the length of what broke off is estimated
    assert abs(len(played) - len(recorded)) <= 2 * (parts + broken), (played, recorded)
    if not parts and not broken:
        assert recorded == played


def check_no_turn_lost(outcome: Outcome) -> None:
    """Every word that the recogniser told of is on record, in order, once."""
    if outcome.scene.stt.faults or outcome.scene.stt.mute:
        return
    told = max((count for at_s, count in outcome.scene.stt.told if at_s < outcome.ended_s - 0.01), default=0)
    sure = [word for _, word in outcome.caller.words][:told]
    recorded = [word for m in outcome.messages if m.role is Role.USER and not m.typed for word in m.content.split()]
    everything = [word for _, word in outcome.caller.words]
    assert recorded[: len(sure)] == sure, (sure, recorded)
    assert recorded == everything[: len(recorded)], (everything, recorded)
    typed = [m.content for m in outcome.messages if m.typed]
    assert typed == [text for _, text in outcome.caller.typed][: len(typed)]
    assert len(typed) >= sum(1 for at_s, _ in outcome.caller.typed if at_s < outcome.ended_s - 1e-6)


def check_times(outcome: Outcome) -> None:
    turns = [message.turn for message in outcome.messages]
    assert turns == sorted(turns)
    for message in outcome.messages:
        assert -0.001 <= message.start_s <= message.end_s <= outcome.ended_s - outcome.started_s + 0.021, message
        assert message.content.strip()


def check_no_long_silence(outcome: Outcome) -> None:
    """After words the agent is heard within 5 s, as long as its voice works and the model says something."""
    if outcome.scene.tts.faults or any(not reply for reply in _replies(outcome)):
        return
    sounds = [*(start for start, _ in outcome.caller.voiced), outcome.ended_s]
    for _, end_s, _ in outcome.caller.spoken:
        if min(sound for sound in sounds if sound > end_s - 1e-6) - end_s > 6 and not outcome.caller.typed:
            assert outcome.frames_between(end_s, end_s + 5.6), end_s


def _replies(outcome: Outcome) -> list[str]:
    answered = {message.turn for message in outcome.messages if message.role is Role.AGENT}
    return ["x" if message.turn in answered else "" for message in outcome.messages if message.role is Role.USER]
