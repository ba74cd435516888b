"""Kept speech: sent as it was encoded once, counted like any other, and left wherever it has to sound otherwise."""

import numpy as np
import pytest
from aiortc.rtp import RtpPacket

from oneinbox.live.audio.clips import FRAME_BYTES, ClipShelf, PreparedFrame, make_clip
from oneinbox.live.audio.opus import SILENCE_20_MS, OpusDecoder, OpusEncoder
from oneinbox.live.audio.playout import FRAME_SAMPLES, PlayoutQueue
from oneinbox.live.media.embedded.sender import AudioSender
from tests.support.media_signal import babble, likeness, samples, tone

SPEECH = babble(2, 24_000, seed=9)


class CountingEncoder:
    """Counts what is encoded."""

    def __init__(self, encoder: OpusEncoder) -> None:
        self.encoder, self.encoded = encoder, 0

    def encode(self, pcm: bytes) -> bytes:
        self.encoded += 1
        return self.encoder.encode(pcm)


class Wire:
    """A queue and its sender; ``send`` is a tick."""

    def __init__(self) -> None:
        self.queue, self.sender = PlayoutQueue(), AudioSender("PA_1")
        self.encoder = CountingEncoder(self.sender._encoder)
        self.sender._encoder = self.encoder  # type: ignore[assignment]  # only encode() is asked of it
        self.heard: list[int] = []
        self.queue.on_frame(lambda: self.heard.append(self.queue.played_samples))

    def send(self, ticks: int) -> list[bytes]:
        payloads: list[bytes] = []
        for _ in range(ticks):
            payloads.append(RtpPacket.parse(self.sender.next_packet(self.queue.pull())).payload)
            self.queue.frame_sent()
        return payloads


def decode(payloads: list[bytes]) -> np.ndarray:
    decoder = OpusDecoder(24_000)
    return samples(b"".join(map(decoder.decode, payloads)))


def test_a_clip_is_its_speech_in_whole_frames():
    clip = make_clip(SPEECH[:1001])
    assert clip == SPEECH[:1001].ljust(2 * FRAME_BYTES, b"\0")
    assert [bytes(frame) for frame in clip.frames] == [clip[:FRAME_BYTES], clip[FRAME_BYTES:]]
    assert len(clip.frames[0].packet) > 3


def test_a_clip_goes_out_without_the_encoder_and_every_sample_counts():
    wire, clip = Wire(), make_clip(SPEECH)
    wire.queue.write(clip)
    assert wire.queue.queued_samples == len(SPEECH) // 2
    sent = wire.send(100)
    assert wire.encoder.encoded == 0
    assert sent == [frame.packet for frame in clip.frames]
    assert wire.heard == [FRAME_SAMPLES * (n + 1) for n in range(100)]
    assert wire.queue.queued_samples == 0
    assert likeness(decode(sent), samples(SPEECH)[2400:40_000]) > 0.9


def test_its_end_fades_as_the_encoder_means_it_to():
    wire = Wire()
    wire.queue.write(make_clip(SPEECH[: 10 * FRAME_BYTES]))
    tail = wire.send(16)[10:]
    assert tail[2:] == [SILENCE_20_MS] * 4
    assert SILENCE_20_MS not in tail[:2]


def test_clear_in_the_middle_is_heard_within_one_frame():
    wire = Wire()
    wire.queue.write(make_clip(SPEECH))
    wire.send(30)
    wire.queue.clear()
    assert wire.queue.played_samples == 30 * FRAME_SAMPLES
    rest = decode(wire.send(30))[-29 * FRAME_SAMPLES :]
    assert wire.queue.played_samples == 30 * FRAME_SAMPLES
    assert len(wire.heard) == 30
    assert abs(rest[FRAME_SAMPLES:]).max() < 400  # the decoder's own fading


@pytest.mark.parametrize("gain", [0.2, 1.5])
def test_another_loudness_is_encoded_and_the_rest_is_as_prepared_again(gain: float):
    wire, clip = Wire(), make_clip(SPEECH)
    wire.queue.write(clip)
    before = wire.send(20)
    wire.queue.set_gain(gain)
    other = wire.send(20)
    wire.queue.set_gain(1.0)
    after = wire.send(60)
    assert 20 <= wire.encoder.encoded <= 20 + 1 + 2 + 2  # the ramp back up, and twice the frames that lead in
    assert before + after[1:] == [frame.packet for frame in (*clip.frames[:20], *clip.frames[41:])]
    assert wire.queue.played_samples == 100 * FRAME_SAMPLES
    heard = decode([*before, *other, *after])
    loud = np.sqrt((heard[25 * 480 : 38 * 480] ** 2).mean()) / np.sqrt(
        (samples(SPEECH)[25 * 480 : 38 * 480] ** 2).mean()
    )
    assert loud == pytest.approx(gain, rel=0.2)


def test_going_over_to_the_encoder_makes_no_worse_a_step_than_speech():
    sound = tone(220, 1, 24_000)
    wire = Wire()
    wire.queue.write(make_clip(sound[: 25 * FRAME_BYTES]))
    wire.queue.write(sound[25 * FRAME_BYTES :])
    heard = decode(wire.send(50))
    edge = heard[24 * 480 : 28 * 480]
    assert abs(np.diff(edge)).max() < 2.5 * abs(np.diff(heard[10 * 480 : 20 * 480])).max()
    assert np.sqrt((edge**2).mean()) == pytest.approx(8000 / 2**0.5, rel=0.15)


def test_a_pause_and_its_ramp_are_encoded_and_then_it_goes_on_as_prepared():
    wire, clip = Wire(), make_clip(SPEECH)
    wire.queue.write(clip)
    wire.send(10)
    wire.queue.pause()
    wire.send(5)
    wire.queue.resume()
    after = wire.send(90)
    assert after[1:] == [frame.packet for frame in clip.frames[11:]]
    assert wire.queue.played_samples == 100 * FRAME_SAMPLES


def test_behind_speech_that_ends_within_a_frame_it_is_encoded_like_that():
    wire = Wire()
    wire.queue.write(SPEECH[:500])
    wire.queue.write(make_clip(SPEECH))
    wire.send(102)
    assert wire.queue.played_samples == 250 + len(SPEECH) // 2
    assert wire.encoder.encoded >= 100


def test_two_clips_in_a_row_are_both_sent_as_prepared():
    wire, one, two = Wire(), make_clip(SPEECH[:5000]), make_clip(SPEECH[5000:20_000])
    wire.queue.write(one)
    wire.queue.write(two)
    frames = [*one.frames, *two.frames]
    assert wire.send(len(frames)) == [frame.packet for frame in frames]
    assert wire.encoder.encoded == 0
    assert isinstance(frames[0], PreparedFrame)


def test_the_shelf_is_bounded_and_drops_what_was_not_asked_for():
    clips = [make_clip(bytes([n]) * FRAME_BYTES * 10) for n in range(20)]
    shelf = ClipShelf(max_bytes=10 * 2 * FRAME_BYTES * 11)
    for n, clip in enumerate(clips):
        shelf.put(bytes([n]), clip)
        assert shelf.get(b"\0") is clips[0]
        assert shelf.size_bytes <= 10 * 2 * FRAME_BYTES * 11
    assert shelf.get(b"\1") is None
    assert shelf.get(bytes([19])) is clips[19]
    shelf.put(b"huge", make_clip(bytes(FRAME_BYTES * 40)))
    assert shelf.get(b"huge") is None
