"""Random callers, and the providers they get: ``random_scene(seed)`` is the same call every time."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

from oneinbox.core.errors import ProviderErrorKind
from oneinbox.core.events import EndReason
from oneinbox.core.spec import TurnSpec
from oneinbox.live.engine.faults import Patience
from oneinbox.live.engine.ports import HangUp, ReplyPart, Suggestions, TextDelta, ToolCall
from tests.support.conversation import Caller, Scene, Script
from tests.support.scripted import FakeLlm, FakeStt, FakeTts, Fault
from tests.support.scripted_tools import FakeTool, FakeTools

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
BACK_CHANNELS = ("okay", "yeah", "right", "mm-hm")
REPLIES = (
    "Sure.",
    "Of course, I can do that for you. Would you like anything else with it?",
    "We open at nine. The kitchen closes at 22.30, so please come early. Mr. Smith will be there to greet you at the door.",
    "One long answer without any stop that goes on and on until everybody has forgotten what the question was about",
    "¿Para cuántas personas? Tenemos una mesa libre a las ocho.",
    "हम रविवार को भी खुले हैं। क्या मैं आपके लिए मेज़ रखूँ?",
    "…",
    "",
)
RESULT = "what the tool found"
HANG_UPS = (EndReason.USER_HANGUP, EndReason.USER_DISCONNECTED, EndReason.API_STOP, EndReason.SERVER_SHUTDOWN)

Step = Callable[[Caller, random.Random], Coroutine[Any, Any, None]]

# ---- what callers do --------------------------------------------------------------------------------------------


def _sentence(dice: random.Random, most: int = 8) -> str:
    return " ".join(dice.choice(WORDS) for _ in range(dice.randint(1, most)))


async def _say(caller: Caller, dice: random.Random) -> None:
    await caller.say(_sentence(dice))


async def _hesitate(caller: Caller, dice: random.Random) -> None:
    """Say a sentence with pauses in it: some too short to end a turn, some long enough to be answered into."""
    for _ in range(dice.randint(2, 4)):
        await caller.say(_sentence(dice, 3))
        await caller.pause(dice.uniform(0.1, 1.4))


async def _interrupt(caller: Caller, dice: random.Random) -> None:
    await caller.hear_begin(after_s=dice.uniform(0, 3), limit_s=12)
    await caller.say(dice.choice(("stop", "wait", "no")) + " " + _sentence(dice, 4))


async def _overlap(caller: Caller, dice: random.Random) -> None:
    """Speak at the very moment at which the agent does, or 300 ms later, when its reply has just settled."""
    await caller.hear_begin(after_s=dice.choice((0.0, 0.02, 0.28, 0.3, 0.32)), limit_s=12)
    await caller.say(_sentence(dice, 5))


async def _agree(caller: Caller, dice: random.Random) -> None:
    await caller.hear_begin(after_s=dice.uniform(0.2, 2), limit_s=12)
    await caller.say(dice.choice(BACK_CHANNELS))


async def _cough(caller: Caller, dice: random.Random) -> None:
    await caller.make_sound(dice.uniform(0.15, 1.2))


async def _cough_over(caller: Caller, dice: random.Random) -> None:
    await caller.hear_begin(after_s=dice.uniform(0, 2), limit_s=12)
    await caller.make_sound(dice.uniform(0.05, 0.9))


async def _click(caller: Caller, dice: random.Random) -> None:
    await caller.make_sound(dice.uniform(0.02, 0.1))


async def _noise(caller: Caller, dice: random.Random) -> None:
    """A street, a machine: bursts of sound for seconds."""
    for _ in range(dice.randint(3, 10)):
        await caller.make_sound(dice.uniform(0.05, 1.5))
        await caller.pause(dice.uniform(0.03, 0.6))


async def _whisper(caller: Caller, dice: random.Random) -> None:
    await caller.whisper(_sentence(dice, 4))


async def _type(caller: Caller, dice: random.Random) -> None:
    caller.type(_sentence(dice, 4))


async def _type_while_speaking(caller: Caller, dice: random.Random) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(caller.say(_sentence(dice)))
        await caller.pause(dice.uniform(0, 1.5))
        caller.type(_sentence(dice, 3))


async def _hear_out(caller: Caller, dice: random.Random) -> None:
    await caller.hear_out(limit_s=12)


async def _hear_begin(caller: Caller, dice: random.Random) -> None:
    await caller.hear_begin(after_s=dice.uniform(0, 3), limit_s=12)


async def _pause(caller: Caller, dice: random.Random) -> None:
    await caller.pause(dice.uniform(1, 7))


async def _short_pause(caller: Caller, dice: random.Random) -> None:
    await caller.pause(dice.uniform(0.1, 1.0))


async def _think_long(caller: Caller, dice: random.Random) -> None:
    await caller.pause(dice.uniform(8, 25))


STEPS: dict[Step, int] = {
    _say: 6,
    _hesitate: 3,
    _interrupt: 2,
    _overlap: 2,
    _agree: 2,
    _cough: 1,
    _cough_over: 2,
    _click: 1,
    _noise: 1,
    _whisper: 1,
    _type: 1,
    _type_while_speaking: 1,
    _hear_out: 5,
    _hear_begin: 3,
    _pause: 2,
    _short_pause: 4,
    _think_long: 1,
}


def _script(dice: random.Random, steps: list[Step]) -> Script:
    hangs_up = dice.random() < 0.6
    cut_off_s = dice.uniform(0.5, 40) if dice.random() < 0.25 else None
    reason = dice.choice(HANG_UPS)

    async def script(caller: Caller) -> None:
        if cut_off_s is not None:
            asyncio.get_running_loop().call_later(cut_off_s, caller.end, reason)
        for step in steps:
            await step(caller, dice)
        if hangs_up:
            caller.hang_up()

    return script


# ---- what providers do ------------------------------------------------------------------------------------------


def _fault(dice: random.Random) -> Fault:
    kinds = [ProviderErrorKind.SERVER, ProviderErrorKind.CONNECTION, ProviderErrorKind.PROTOCOL]
    kind = ProviderErrorKind.AUTH if dice.random() < 0.05 else dice.choice(kinds)
    return Fault(kind=kind, after=dice.choice([0, 0, 3, 12]), hang=dice.random() < 0.2, bug=dice.random() < 0.1)


def _faults(dice: random.Random, share: float) -> list[Fault | None]:
    return [_fault(dice) if dice.random() < share else None for _ in range(30)]


def _tools(dice: random.Random) -> dict[str, FakeTool]:
    return {
        "quick": FakeTool(takes_s=dice.uniform(0, 0.5), result=RESULT),
        "slow": FakeTool(takes_s=dice.uniform(1, 12), result=RESULT, speaks=dice.random() < 0.5),
        "background": FakeTool(takes_s=dice.uniform(0, 8), result=RESULT, in_background=True),
        "failing": FakeTool(takes_s=dice.uniform(0, 2), result=RESULT, is_error=True),
        "broken": FakeTool(takes_s=dice.uniform(0, 2), bug=True),
        "last": FakeTool(takes_s=dice.uniform(0, 1), result=RESULT, ends_call=True),
    }


def random_scene(seed: int) -> Scene:
    """Return the call of this seed."""
    dice = random.Random(seed)
    faulty = dice.random() < 0.4

    tools = _tools(dice) if dice.random() < 0.4 else {}

    def answer(said: str) -> list[ReplyPart]:
        text = dice.choice(REPLIES)
        parts: list[ReplyPart] = [TextDelta(f"{word} ") for word in text.split()]
        if dice.random() < 0.1:
            parts.insert(dice.randint(0, len(parts)), Suggestions(("Yes", "No")))
        if tools and dice.random() < 0.4:
            for number in range(dice.choice((1, 1, 2, 3))):
                name = dice.choice((*tools, "no_such_tool"))
                arguments = dice.choice(('{"order": 7}', "{}", "{broken"))
                parts.append(ToolCall(call_id=f"{number}", name=name, arguments=arguments))
        return [*parts, HangUp()] if dice.random() < 0.05 else parts

    final_s = dice.uniform(0.03, 0.9) if dice.random() < 0.85 else dice.uniform(0.9, 1.8)
    steps = dice.choices(list(STEPS), list(STEPS.values()), k=dice.randint(2, 14))
    return Scene(
        _script(dice, steps),
        first_message=dice.choice([None, "Hello there. How can I help you today?"]),
        turns=TurnSpec(
            silence_timeout_s=dice.choice([0.0, 5.0, 10.0]),
            max_duration_s=dice.choice([40.0, 90.0]),
            interruption_sensitivity=dice.random(),
            responsiveness=dice.random(),
            end_call_phrases=dice.choice([(), ("price",)]),
            reminder_count=dice.choice([0, 0, 1, 2]),
            first_message_interruptible=dice.random() < 0.8,
        ),
        llm=FakeLlm(
            answer,
            first_s=dice.uniform(0.02, 1.5),
            token_s=dice.uniform(0.005, 0.05),
            faults=_faults(dice, 0.25) if faulty else (),
        ),
        stt=FakeStt(
            final_s=final_s,
            partial_s=dice.choice([None, 0.1, 0.3]),
            faults={number: _fault(dice) for number in range(1, 30) if faulty and dice.random() < 0.1},
            mute=[number for number in range(1, 30) if faulty and dice.random() < 0.1],
            mishears=dice.random() < 0.3,
        ),
        tools=FakeTools(tools) if tools else None,
        tts=FakeTts(
            first_s=dice.uniform(0.02, 0.8),
            pace=dice.uniform(1.2, 30),
            faults=_faults(dice, 0.1) if faulty else (),
        ),
        patience=dice.choice([Patience(), Patience(first_token_s=2.0, first_audio_s=1.5, stall_s=1.0, prepare_s=0.5)]),
        prepared=dice.random() < 0.8,
    )
