"""Tapes: where each side's sound stands on them, to the sample, whatever the network does."""

import asyncio
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
import soxr

from oneinbox.core import ogg
from oneinbox.live.audio.opus import OpusEncoder
from oneinbox.live.audio.tape import Heard, Tape, TapeEnd
from tests.support.media_signal import Samples, babble, samples

STARTED_S = 1000.0
SECONDS = 6
AGENT, CALLER = babble(SECONDS, 24_000, seed=3), babble(SECONDS, 16_000, seed=4)


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def agent_packets() -> list[bytes]:
    encoder = OpusEncoder()
    return [encoder.encode(AGENT[at : at + 960]) for at in range(0, len(AGENT), 960)]


def spoken(delay_s: list[float] | float = 0.0, *, lost: frozenset[int] = frozenset()) -> list[Heard]:
    """The caller's frames: the nth is recorded from 20 n ms on and arrives with a delay, in the order of arrival."""
    stream = object()
    frames: list[Heard] = []
    for n in range(SECONDS * 50):
        delay = delay_s if isinstance(delay_s, float) else delay_s[n]
        if n not in lost:
            pcm = CALLER[640 * n : 640 * n + 640]
            frames.append(Heard(pcm, 5_000_000_000 + 960 * n & 0xFFFFFFFF, stream, STARTED_S + 0.02 * (n + 1) + delay))
    return sorted(frames, key=lambda frame: frame.at_s)


async def record(
    path: Path, thread: ThreadPoolExecutor, heard: list[Heard], *, phase_s: float = 0.007, duration_s: float = SECONDS
) -> TapeEnd:
    tape = Tape(path, STARTED_S, thread)
    waiting = list(heard)
    for tick, packet in enumerate(agent_packets()):
        now_s = STARTED_S + phase_s + 0.02 * tick
        while waiting and waiting[0].at_s <= now_s:
            tape.heard(waiting.pop(0))
        tape.played(now_s, 0, packet)
        while tape._waiting > 5:
            await asyncio.sleep(0.001)
    return await tape.finish(duration_s)


def read(path: Path) -> tuple[Samples, Samples]:
    """Return left and right at 48 kHz."""
    with av.open(str(path)) as container:
        both = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    return both[0].astype(np.float64), both[1].astype(np.float64)


def shift_s(recorded: Samples, source: bytes, rate_hz: int) -> float:
    """Return by how much later a sound stands in ``recorded`` than in its source."""
    wanted = soxr.resample(samples(source), rate_hz, 48_000)
    size = 1 << (len(recorded) + len(wanted)).bit_length()
    cross = np.fft.irfft(np.fft.rfft(recorded, size) * np.conj(np.fft.rfft(wanted, size)), size)
    at = int(np.argmax(cross))
    return (at if at < size // 2 else at - size) / 48_000


@pytest.mark.parametrize("phase_s", [0.0, 0.001, 0.0123, 0.02])
async def test_both_sides_stand_where_they_were_heard(tmp_path: Path, thread: ThreadPoolExecutor, phase_s: float):
    end = await record(tmp_path / "a.ogg", thread, spoken(0.03), phase_s=phase_s)
    assert end == TapeEnd(SECONDS, (tmp_path / "a.ogg").stat().st_size, None)
    left, right = read(tmp_path / "a.ogg")
    assert len(left) == SECONDS * 48_000
    assert shift_s(right, AGENT, 24_000) == pytest.approx(phase_s, abs=0.0002)
    assert shift_s(left, CALLER, 16_000) == pytest.approx(0.03, abs=0.0002)


async def test_jitter_and_losses_move_nothing(tmp_path: Path, thread: ThreadPoolExecutor):
    rng = random.Random(5)
    delays = [0.02 + rng.choice([0, 0, 0, rng.uniform(0, 0.08)]) for _ in range(SECONDS * 50)]
    delays[0] = 0.02
    lost = frozenset(n for n in range(5, SECONDS * 50) if rng.random() < 0.1)
    await record(tmp_path / "a.ogg", thread, spoken(delays, lost=lost))
    left, _ = read(tmp_path / "a.ogg")
    second = 48_000
    for start in range(0, SECONDS, 2):  # at the end as at the beginning
        stretch = CALLER[start * 32_000 : (start + 2) * 32_000]
        found = shift_s(left[start * second : (start + 2) * second + second // 2], stretch, 16_000)
        assert found == pytest.approx(0.02, abs=0.0005)


async def test_a_first_packet_that_came_late_does_not_delay_the_rest(tmp_path: Path, thread: ThreadPoolExecutor):
    delays = [max(0.02, 0.15 - 0.02 * n) for n in range(SECONDS * 50)]
    await record(tmp_path / "a.ogg", thread, spoken(delays))
    left, _ = read(tmp_path / "a.ogg")
    assert shift_s(left[48_000:], CALLER[32_000:], 16_000) == pytest.approx(0.02, abs=0.021)


async def test_a_new_stream_and_a_path_that_got_longer_are_placed_by_when_they_were_heard(
    tmp_path: Path, thread: ThreadPoolExecutor
):
    before, after = spoken(0.02)[:100], spoken(0.14)[150:]
    other, jump = object(), 123_456_789
    after = [frame._replace(stream=other, timestamp=frame.timestamp + jump & 0xFFFFFFFF) for frame in after]
    await record(tmp_path / "a.ogg", thread, before + after)
    left, _ = read(tmp_path / "a.ogg")
    assert shift_s(left[: 2 * 48_000], CALLER[: 2 * 32_000], 16_000) == pytest.approx(0.02, abs=0.0005)
    assert shift_s(left[3 * 48_000 :], CALLER[3 * 32_000 :], 16_000) == pytest.approx(0.14, abs=0.0005)
    assert not left[int(2.2 * 48_000) : int(3.0 * 48_000)].any()


@pytest.mark.parametrize("drift", [0.01, -0.01])
async def test_a_clock_that_drifts_is_followed(tmp_path: Path, thread: ThreadPoolExecutor, drift: float):
    """1 % is a hundred times what clocks do: what takes an hour, in 20 s."""
    said = babble(20, 16_000, seed=6)
    stream, tape = object(), Tape(tmp_path / "a.ogg", STARTED_S, thread)
    tape.played(STARTED_S, 0, None)
    arrivals = [0.3 + 0.02 * (n + 1) * (1 + drift) for n in range(1000)]
    for n, at_s in enumerate(arrivals):
        for tick in range(round(at_s / 0.02) - tape._handed_over - len(tape._agent) + 1):
            tape.played(STARTED_S + at_s + 0.02 * tick, 0, None)
        tape.heard(Heard(said[640 * n : 640 * n + 640], 960 * n, stream, STARTED_S + at_s))
        while tape._waiting > 5:
            await asyncio.sleep(0.001)
    await tape.finish(21.0)
    left, _ = read(tmp_path / "a.ogg")
    for second in (1, 10, 18):
        word = said[32_000 * second : 32_000 * (second + 1)]
        found = shift_s(left[48_000 * second : 48_000 * (second + 2)], word, 16_000)
        assert found == pytest.approx(0.3 + drift * (second + 0.5), abs=0.075)


@pytest.mark.parametrize("duration_s", [0.0, 0.005, 3.333, 5.9871, SECONDS + 0.5])
async def test_the_file_is_as_long_as_the_call(tmp_path: Path, thread: ThreadPoolExecutor, duration_s: float):
    end = await record(tmp_path / "a.ogg", thread, [], duration_s=duration_s)
    if duration_s > 5:  # shorter ends leave what is written already
        assert end.duration_s == pytest.approx(duration_s, abs=0.001)
        assert ogg.mend(tmp_path / "a.ogg").duration_s == pytest.approx(duration_s, abs=0.001)


async def test_skipped_ticks_are_time_that_passed(tmp_path: Path, thread: ThreadPoolExecutor):
    tape, packets = Tape(tmp_path / "a.ogg", STARTED_S, thread), agent_packets()
    for tick in range(50):
        tape.played(STARTED_S + 0.02 + 0.02 * tick, 0, packets[tick])
    tape.played(STARTED_S + 2.02, 50, packets[100])
    for tick in range(101, 150):
        tape.played(STARTED_S + 0.02 + 0.02 * tick, 0, packets[tick])
    await tape.finish(3.02)
    _, right = read(tmp_path / "a.ogg")
    assert shift_s(right[int(2.1 * 48_000) :], AGENT[int(2.1 * 48_000) : 3 * 48_000], 24_000) == pytest.approx(
        0.02, abs=0.0005
    )


async def test_a_kill_at_any_moment_loses_less_than_a_second(tmp_path: Path, thread: ThreadPoolExecutor):
    path, packets = tmp_path / "a.ogg", agent_packets()
    tape = Tape(path, STARTED_S, thread)
    for tick in range(250):
        tape.played(STARTED_S + 0.02 + 0.02 * tick, 0, packets[tick])
        if tick % 17 == 0 and tick > 60:
            while tape._waiting:
                await asyncio.sleep(0.001)
            copy = tmp_path / "killed.ogg"
            copy.write_bytes(path.read_bytes())
            assert ogg.mend(copy).duration_s > 0.02 * tick - 0.65
    await tape.finish(5.0)


async def test_a_disk_that_refuses_ends_the_recording_and_nothing_else(tmp_path: Path, thread: ThreadPoolExecutor):
    (tmp_path / "file").write_text("in the way")
    end = await record(tmp_path / "file" / "a.ogg", thread, spoken(0.02))
    assert end.duration_s == 0.0
    assert end.error is not None
    assert "Error" in end.error


async def test_finishing_twice_is_harmless_and_nothing_is_taken_behind_the_end(
    tmp_path: Path, thread: ThreadPoolExecutor
):
    tape = Tape(tmp_path / "a.ogg", STARTED_S, thread)
    for tick in range(50):
        tape.played(STARTED_S + 0.02 + 0.02 * tick, 0, None)
    first = await tape.finish(1.0)
    tape.played(STARTED_S + 9, 0, None)
    tape.heard(spoken(0.0)[0])
    assert await tape.finish(5.0)
    assert (tmp_path / "a.ogg").stat().st_size == first.size_bytes
    assert first.duration_s == 1.0
    left, right = read(tmp_path / "a.ogg")
    assert not left.any()
    assert not right.any()
