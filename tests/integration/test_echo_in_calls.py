"""Calls in virtual time with real sound and the real VAD: the agent's echo does not stop it, a caller does."""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from oneinbox.live.engine.ports import Vad
from oneinbox.live.speech.silero import SileroVad
from tests.support.acoustics import Room
from tests.support.speech import need_flite, need_prompts, prompt
from tests.support.tools import missing
from tests.support.virtual_time import run_virtually

MODEL = Path(sys.prefix) / "share" / "oneinbox" / "models" / "silero_vad.onnx"
TEXT = (
    "We are open every day from nine in the morning until late at night. On Sundays we open an hour later. "
    "The kitchen closes thirty minutes before we do, so please come early."
)


def vad() -> Vad:
    return SileroVad(MODEL)


@pytest.fixture(autouse=True)
def tools() -> None:
    need_flite()
    need_prompts()
    if not MODEL.is_file():
        missing(f"the model {MODEL}")


def human(name: str) -> bytes:
    """A human prompt from its first sound on, at half of full scale."""
    samples = np.frombuffer(prompt(name), np.int16).astype(float)
    samples = samples[np.flatnonzero(np.abs(samples) > 600)[0] :]
    return (samples / np.abs(samples).max() * 0.5 * 32_767).astype(np.int16).tobytes()


@pytest.mark.parametrize(("delay_s", "level_db"), [(0.02, -6), (0.1, -6), (0.2, -12), (0.3, -20), (0.1, -30)])
def test_its_own_echo_does_not_stop_the_agent(delay_s: float, level_db: float) -> None:
    room = Room(vad, TEXT, delay_s=delay_s, level_db=level_db, seconds=13)
    run_virtually(room.call)
    assert [message.content for message in room.messages] == [TEXT]
    times = [at_s for at_s, _ in room.heard]
    assert max(b - a for a, b in pairwise(times)) < 0.3, "it may catch its breath before it knows the echo"


def test_without_the_guard_it_would() -> None:
    room = Room(vad, TEXT, delay_s=0.1, level_db=-6, seconds=13, guarded=False)
    run_virtually(room.call)
    times = [at_s for at_s, _ in room.heard]
    assert max(b - a for a, b in pairwise(times)) > 0.5


@pytest.mark.parametrize("name", ["vm-intro", "conf-onlyperson", "invalid", "ss-noservice", "vm-goodbye"])
@pytest.mark.parametrize("level_db", [None, -20])
def test_a_human_over_it_stops_it(name: str, level_db: float | None) -> None:
    room = Room(vad, TEXT, level_db=level_db, voice=human(name), seconds=6)
    run_virtually(room.call)
    over = [(at_s - 3.0, level) for at_s, level in room.heard if 3.0 <= at_s < 3.8]
    # two frames more than with a VAD that knows at once
    assert over[-1][0] <= 0.24, over[-1]
    assert room.messages[0].interrupted
