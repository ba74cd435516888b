"""The end-of-turn model: its front end equals the original's, it hears the end of a sentence, and it stays off the loop."""

import asyncio
import sys
import time
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest

from oneinbox.live.speech import smart_turn
from oneinbox.live.speech.log_mel import log_mel
from oneinbox.live.speech.smart_turn import HEARD_S, SmartTurn, SmartTurnStream
from tests.support.speech import need_prompts, prompt, silence
from tests.support.tools import missing

MODEL = Path(sys.prefix) / "share" / "oneinbox" / "models" / "smart_turn.onnx"


def test_the_front_end_equals_the_original() -> None:
    """Values of transformers 5.23.0's ``WhisperFeatureExtractor(chunk_length=8)`` with ``do_normalize`` for this sound."""
    rng, time_s = np.random.default_rng(1), np.arange(128_000) / 16_000
    swept = 0.4 * np.sin(2 * np.pi * (120 * time_s + 300 * time_s**2)) * (0.5 + 0.5 * np.sin(2 * np.pi * 3 * time_s))
    sound = swept + 0.05 * rng.standard_normal(128_000)
    sound[: 128_000 // 3] = 0
    features = log_mel(sound.astype(np.float32))
    assert features.shape == (80, 800)
    assert features.dtype == np.float32
    assert features.mean() == pytest.approx(0.5152218, abs=1e-5)
    assert features.std() == pytest.approx(0.5448248, abs=1e-5)
    expected = [
        [-0.1458, -0.1458, 0.7399, 1.0776, 0.9928, 1.0381, 0.7944],
        [-0.2427, -0.2427, 0.6070, 0.8673, 0.7691, 0.8032, 0.8725],
        [-0.2427, -0.2427, 0.6501, 1.0567, 0.8132, 0.7380, 0.9400],
        [-0.2427, -0.2427, 1.1386, 1.6082, 0.8417, 1.0497, 0.8699],
        [-0.2427, -0.2427, 0.6198, 0.9002, 0.9690, 0.9352, 0.9528],
        [-0.2427, -0.2427, 0.6457, 0.9003, 0.8557, 0.8482, 0.8877],
    ]
    found = features[np.ix_([0, 3, 17, 40, 63, 79], [0, 100, 266, 267, 300, 533, 799])]
    assert np.abs(found - expected).max() < 1e-4


def test_silence_has_features_too() -> None:
    assert np.isfinite(log_mel(np.zeros(128_000, np.float32))).all()


def plain_log_mel(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The same in one piece, as a product of matrices; the filters by interpolation."""
    edges = np.linspace(0, 15 + 27 * np.log(8) / np.log(6.4), 82)
    hz = np.where(edges < 15, edges * 200 / 3, 1000 * 6.4 ** ((edges - 15) / 27))
    bins = np.arange(201) * 40.0
    filters = np.stack(
        [
            np.interp(bins, hz[band : band + 3], [0, 2 / (hz[band + 2] - hz[band]), 0], left=0, right=0)
            for band in range(80)
        ]
    )
    sound = samples.astype(np.float64)
    sound = np.pad((sound - sound.mean()) / np.sqrt(sound.var() + 1e-7), 200, mode="reflect")
    frames = np.stack([sound[start : start + 400] for start in range(0, len(samples), 160)])
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    bands = np.log10(np.maximum(1e-10, filters @ (np.abs(np.fft.rfft(frames * hann)) ** 2).T))
    return ((np.maximum(bands, bands.max() - 8) + 4) / 4).astype(np.float32)


def padded(sound: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    return np.pad(sound[-128_000:], (max(0, 128_000 - len(sound)), 0)).astype(np.float32) / np.float32(32_768)


def test_the_front_end_leaves_no_threads_turning() -> None:
    """A product of matrices would: BLAS's threads wait for the next one as busily as they work."""
    sound = np.random.default_rng(3).standard_normal(128_000).astype(np.float32)
    log_mel(sound)
    own_s, all_s = time.thread_time(), time.process_time()
    for _ in range(40):
        log_mel(sound)
        time.sleep(0.005)
    own_s, all_s = time.thread_time() - own_s, time.process_time() - all_s
    assert all_s < 1.5 * own_s


@pytest.fixture(scope="module")
def model() -> SmartTurn:
    if not MODEL.is_file():
        missing(f"the model {MODEL} (python scripts/fetch_models.py)")
    return SmartTurn(MODEL)


SENTENCES = ("vm-intro", "conf-onlyperson", "vm-goodbye", "invalid", "ss-noservice", "vm-nobodyavail", "conf-invalid")


def test_it_tells_a_whole_sentence_from_its_beginning(model: SmartTurn) -> None:
    """Human speech, cut in the middle of a word: the model need not be right each time, but mostly."""
    need_prompts()
    whole, cut = [], []
    for name in SENTENCES:
        sound = np.frombuffer(prompt(name), np.int16)
        loud = np.flatnonzero(np.abs(sound) > 300)
        spoken = sound[loud[0] : loud[-1] + 1]
        whole.append(model.probability(spoken.tobytes() + silence(0.2)))
        cut.append(model.probability(spoken[: len(spoken) * 55 // 100].tobytes() + silence(0.2)))
    assert np.mean(np.array(whole) >= 0.5) >= 0.7, whole
    assert np.mean(whole) > np.mean(cut) + 0.2, (whole, cut)


def test_it_judges_as_with_the_plain_front_end(model: SmartTurn, monkeypatch: pytest.MonkeyPatch) -> None:
    need_prompts()
    sounds = [np.frombuffer(prompt(name) + silence(0.2), np.int16) for name in SENTENCES]
    for sound in sounds:
        assert np.abs(log_mel(padded(sound)) - plain_log_mel(padded(sound))).max() < 1e-4
    judged = [model.probability(sound.tobytes()) for sound in sounds]
    monkeypatch.setattr(smart_turn, "log_mel", plain_log_mel)
    plain = [model.probability(sound.tobytes()) for sound in sounds]
    assert judged == pytest.approx(plain, abs=0.02), "the model is quantised: a rounding may turn out otherwise"
    assert np.ptp(judged) > 0.5


def test_only_the_last_eight_seconds_count(model: SmartTurn) -> None:
    noise = (np.random.default_rng(2).standard_normal(200_000) * 3000).astype(np.int16)
    last = noise[-int(HEARD_S * 16_000) :]
    assert model.probability(noise.tobytes()) == model.probability(last.tobytes())


FRAME = bytes(range(256)) * 2 + bytes(128)


async def test_the_answer_comes_with_the_number_of_its_pause(model: SmartTurn) -> None:
    told: list[tuple[int, float]] = []
    done = asyncio.Event()
    stream = model.open(lambda pause, probability: (told.append((pause, probability)), done.set()))
    stream.hear_speech(speech=True)
    for _ in range(600):
        stream.push(FRAME)
    stream.judge(7, 3.0, 0.0)
    assert told == [], "not on the loop"
    await asyncio.wait_for(done.wait(), 60)
    assert [pause for pause, _ in told] == [7]
    assert told[0][1] == pytest.approx(model.probability(FRAME * 150))
    stream.judge(8, 3.0, 0.0)
    stream.close()
    await asyncio.to_thread(model.probability, silence(1))
    await asyncio.sleep(0.05)
    assert len(told) == 1, "closed"


class Submitted:
    """A model that only notes what it is to judge."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def submit(self, heard: bytes) -> None:
        self.heard.append(heard)


def frame(number: int) -> bytes:
    return number.to_bytes(2, "little") * 320


async def test_what_is_judged_is_the_turn_however_late_it_is_asked_for() -> None:
    model = Submitted()
    stream = SmartTurnStream(cast("SmartTurn", model), lambda _, __: None)
    stream.hear_speech(speech=True)
    for number in range(500):
        stream.push(frame(number))
    stream.hear_speech(speech=False)
    stream.judge(1, 1.0, 0.0)
    stream.judge(2, 100.0, 0.0)
    for number in range(500, 525):
        stream.push(frame(number))
    stream.judge(3, 1.0, 0.5)
    stream.judge(4, 100.0, 0.5)
    now, all_now, later, all_later = model.heard
    assert now == later == b"".join(frame(number) for number in range(450, 500))
    assert all_now == all_later == b"".join(frame(number) for number in range(100, 500)), "the last eight seconds"


async def test_between_turns_next_to_nothing_is_kept() -> None:
    model = Submitted()
    stream = SmartTurnStream(cast("SmartTurn", model), lambda _, __: None)
    for number in range(1000):
        stream.push(frame(number))
    stream.hear_speech(speech=True)
    stream.judge(1, 8.0, 0.0)
    stream.push(frame(1000))
    stream.judge(2, 8.0, 0.0)
    before, after = model.heard
    assert before == b"".join(frame(number) for number in range(975, 1000))
    assert after == before + frame(1000), "what came just before the speech was noticed"


async def test_a_model_that_is_behind_answers_no_more(model: SmartTurn) -> None:
    answered: list[int] = []
    done = asyncio.Event()

    def answer(pause: int, _: float) -> None:
        answered.append(pause)
        if len(answered) == 8:
            done.set()

    stream = model.open(answer)
    stream.push(silence(2))
    for pause in range(30):
        stream.judge(pause, 2.0, 0.0)
    await asyncio.wait_for(done.wait(), 60)
    assert sorted(answered) == list(range(8))
    stream.judge(99, 2.0, 0.0)
    done.clear()
    while len(answered) < 9:
        await asyncio.sleep(0.01)
    assert answered[-1] == 99


def test_a_missing_model_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="fetch_models"):
        SmartTurn(tmp_path / "none.onnx")
