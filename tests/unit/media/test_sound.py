"""A microphone that delivers nothing: noticed after 3 s of zeros, taken back at the first sound, never said of a muted one."""

import numpy as np
import pytest

from oneinbox.live.audio.opus import OpusDecoder, OpusEncoder
from oneinbox.live.audio.tape import Heard
from oneinbox.live.media.embedded.sound import SILENT_AFTER_S, SoundLine
from tests.support.media_server import RecordingListener
from tests.support.media_signal import babble

FRAMES_UNTIL_SILENT = round(SILENT_AFTER_S / 0.02)
NOISE = np.random.default_rng(1).integers(-3, 4, 320).astype("<i2").tobytes()


class Listener(RecordingListener):
    def __init__(self) -> None:
        super().__init__()
        self.told: list[bool] = []

    def on_microphone(self, *, silent: bool) -> None:
        self.told.append(silent)


class Line:
    def __init__(self) -> None:
        self.listener = Listener()
        self.line = SoundLine(self.listener)

    def hear(self, pcm: bytes, frames: int = 1, *, muted: bool = False) -> list[bool]:
        for _ in range(frames):
            self.line.heard(Heard(pcm, 0, self, 0.0), muted=muted)
        return self.listener.told


def test_zeros_for_three_seconds_are_told_once():
    line = Line()
    assert line.hear(bytes(640), FRAMES_UNTIL_SILENT - 1) == []
    assert line.hear(bytes(640)) == [True]
    assert line.hear(bytes(640), 10_000) == [True]


def test_sound_takes_it_back_once_and_then_silence_is_nobody_s_fault():
    line = Line()
    line.hear(bytes(640), FRAMES_UNTIL_SILENT)
    assert line.hear(NOISE) == [True, False]
    assert line.hear(bytes(640), 10_000) == [True, False]


def test_the_faintest_noise_is_a_living_microphone():
    line = Line()
    for _ in range(100):
        line.hear(bytes(640))
        line.hear(NOISE)
    assert line.hear(bytes(640), 10_000) == []


def test_what_is_muted_is_not_dead():
    line = Line()
    assert line.hear(bytes(640), 10_000, muted=True) == []
    assert line.hear(bytes(640), FRAMES_UNTIL_SILENT) == [True]


def test_another_microphone_is_another_chance():
    line = Line()
    line.hear(NOISE)
    line.line.begin_microphone()
    assert line.hear(bytes(640), FRAMES_UNTIL_SILENT) == [True]


@pytest.mark.parametrize("pcm", [b"\x01\x01" * 320, b"\xff\x01" * 320, b"\x00\x01" * 320])
def test_bytes_that_look_small_are_not_taken_for_small_samples(pcm: bytes):
    line = Line()
    assert line.hear(pcm, 1000) == []


@pytest.mark.parametrize("rate_hz", [16_000, 24_000, 48_000])
def test_zeros_that_went_through_opus_are_still_noticed_and_speech_is_not(rate_hz: int):
    size = rate_hz // 50 * 2
    for pcm, told in ((bytes(size * 200), [True]), (babble(4, rate_hz), [])):
        line, encoder, decoder = Line(), OpusEncoder(rate_hz), OpusDecoder()
        for at in range(0, len(pcm), size):
            line.hear(decoder.decode(encoder.encode(pcm[at : at + size])))
        assert line.listener.told == told


def test_a_listener_that_does_not_care_is_not_told():
    line = SoundLine(RecordingListener())
    for _ in range(FRAMES_UNTIL_SILENT + 1):
        line.heard(Heard(bytes(640), 0, None, 0.0), muted=False)
