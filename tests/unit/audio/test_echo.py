"""The agent's own voice in the microphone: found at any delay and level, and never taken for another voice."""

import numpy as np
import numpy.typing as npt
import pytest
import soxr

from oneinbox.live.audio.echo import EchoGuard
from tests.support.speech import flite, need_flite

AGENT = "We are open every day from nine in the morning until late at night, and on Sundays we open an hour later."
OTHER = "Excuse me, I would rather like to know whether there is a table for two people tonight."
Samples = npt.NDArray[np.float64]


def spoken(text: str, voice: str, rate_hz: int, level: float = 0.5) -> Samples:
    need_flite()
    samples = np.frombuffer(flite(text, voice, rate_hz), np.int16).astype(float)
    return samples / np.abs(samples).max() * level * 32_767


def as_heard(played: Samples, *, delay_s: float, level_db: float) -> Samples:
    heard = np.zeros(len(played) * 2 // 3 + int(16_000 * delay_s) + 8000)
    slow = soxr.resample(played, 24_000, 16_000) * 10 ** (level_db / 20)
    heard[int(16_000 * delay_s) :][: len(slow)] = slow
    return heard


def with_noise(heard: Samples, level_db: float = -60.0) -> Samples:
    return heard + np.random.default_rng(1).standard_normal(len(heard)) * 32_767 * 10 ** (level_db / 20)


def judge(played: Samples, heard: Samples, guard: EchoGuard) -> list[tuple[float, bool]]:
    """Return, every 40 ms in which something loud is heard, whether it is an echo."""
    verdicts: list[tuple[float, bool]] = []
    for number in range(len(heard) // 320):
        at_s = 5.0 + number * 0.02
        out, into = played[number * 480 :][:480], heard[number * 320 :][:320]
        if len(out) == 480:
            guard.played(out.astype("<i2").tobytes(), at_s)
        guard.heard(into.astype("<i2").tobytes())
        if number % 2 == 0 and np.abs(into).max() > 600:
            verdicts.append((number * 0.02, guard.is_echo(at_s + 0.02)))
    return verdicts


@pytest.mark.parametrize("delay_s", [0.02, 0.07, 0.15, 0.3, 0.5])
@pytest.mark.parametrize("level_db", [-6, -12, -20])
def test_an_echo_is_one(delay_s: float, level_db: float) -> None:
    played = spoken(AGENT, "slt", 24_000)
    guard = EchoGuard()
    verdicts = judge(played, with_noise(as_heard(played, delay_s=delay_s, level_db=level_db)), guard)
    wrong = [at_s for at_s, echo in verdicts if not echo]
    assert len(verdicts) > 40
    assert len(wrong) <= 4, "a few at the very beginning, before the delay is known"
    assert all(at_s < delay_s + 0.4 for at_s in wrong), wrong
    assert guard.delay_s == pytest.approx(delay_s, abs=0.025)


@pytest.mark.parametrize("voice", ["rms", "awb", "kal16"])
def test_another_voice_is_none(voice: str) -> None:
    played = spoken(AGENT, "slt", 24_000)
    verdicts = judge(played, with_noise(spoken(OTHER, voice, 16_000)), EchoGuard())
    assert len(verdicts) > 40
    assert not any(echo for _, echo in verdicts)


@pytest.mark.parametrize("voice", ["rms", "awb"])
@pytest.mark.parametrize("level_db", [-30, -20, -12])
def test_a_voice_over_an_echo_is_heard(voice: str, level_db: float) -> None:
    played = spoken(AGENT, "slt", 24_000)
    heard = as_heard(played, delay_s=0.1, level_db=level_db)
    other = spoken(OTHER, voice, 16_000)
    voiced = np.flatnonzero(np.abs(other) > 1500)[0]
    heard[32_000:] += np.pad(other[voiced:], (0, len(heard)))[: len(heard) - 32_000]
    verdicts = judge(played, with_noise(heard), EchoGuard())
    first = next(at_s for at_s, echo in verdicts if at_s >= 2.0 and not echo)
    assert first < 2.15
    over = [echo for at_s, echo in verdicts if 2.1 <= at_s < 4.0]
    assert sum(over) <= 0.5 * len(over), "between its words there is the echo"


def test_silence_is_none() -> None:
    guard = EchoGuard()
    assert not guard.is_echo(1.0)
    guard.heard(bytes(640))
    guard.played(bytes(960), 1.0)
    assert not guard.is_echo(1.02)


def test_what_was_played_long_ago_is_no_echo() -> None:
    played = spoken(AGENT, "slt", 24_000)[:24_000]
    heard = np.concatenate((np.zeros(32_000), soxr.resample(played, 24_000, 16_000)))
    assert not any(echo for _, echo in judge(played, heard, EchoGuard()))


def test_a_pause_of_the_agent_keeps_the_time() -> None:
    """The mouth tells of no silence: the gap is seen by the clock."""
    voice = spoken(AGENT, "slt", 24_000)
    one, other = voice[:48_000], voice[48_000:96_000]
    guard = EchoGuard()
    assert all(e for t, e in judge(one, as_heard(one, delay_s=0.1, level_db=-12), guard) if t > 0.6)
    verdicts = []
    heard = as_heard(other, delay_s=0.1, level_db=-12)
    for number in range(90):
        at_s = 30.0 + number * 0.02
        guard.played(other[number * 480 :][:480].astype("<i2").tobytes(), at_s)
        guard.heard(heard[number * 320 :][:320].astype("<i2").tobytes())
        if number > 10 and np.abs(heard[number * 320 :][:320]).max() > 600:
            verdicts.append(guard.is_echo(at_s + 0.02))
    assert sum(verdicts) >= 0.95 * len(verdicts)
    assert guard.delay_s == pytest.approx(0.1, abs=0.025)
