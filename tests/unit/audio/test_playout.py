import numpy as np
import pytest

from oneinbox.live.audio.playout import FRAME_BYTES, FRAME_SAMPLES, PlayoutQueue
from tests.support.media_signal import samples, tone


def constant(count: int, value: int = 1000) -> bytes:
    return np.full(count, value, dtype="<i2").tobytes()


def drain(queue: PlayoutQueue, ticks: int) -> list[bytes | None]:
    pulled = []
    for _ in range(ticks):
        pulled.append(queue.pull())
        queue.frame_sent()
    return pulled


def test_what_is_written_comes_out_unchanged_and_is_counted_to_the_sample():
    queue, pcm = PlayoutQueue(), tone(440, 0.5, 24_000)
    for at in range(0, len(pcm), 1234):
        queue.write(pcm[at : at + 1234])
    assert queue.queued_samples == 12_000
    assert queue.played_samples == 0
    frames = drain(queue, 25)
    assert b"".join(frames) == pcm
    assert queue.played_samples == 12_000
    assert queue.queued_samples == 0
    assert queue.pull() is None


def test_the_end_is_padded_and_only_real_samples_count():
    queue = PlayoutQueue()
    queue.write(constant(FRAME_SAMPLES + 100))
    assert drain(queue, 1) == [constant(FRAME_SAMPLES)]
    last = drain(queue, 1)[0]  # nobody wrote since: it does not wait
    assert last == constant(100).ljust(FRAME_BYTES, b"\0")
    assert queue.played_samples == FRAME_SAMPLES + 100


def test_a_partial_frame_waits_for_a_writer_that_is_at_work():
    queue = PlayoutQueue()
    queue.write(constant(300))
    assert queue.pull() is None
    queue.write(constant(300))
    assert queue.pull() == constant(FRAME_SAMPLES)
    assert queue.played_samples == FRAME_SAMPLES


def test_a_partial_frame_waits_two_ticks_at_most():
    queue, waited = PlayoutQueue(), 0
    queue.write(constant(10))
    while queue.pull() is None:
        waited += 1
        queue.write(constant(1))
        assert waited < 10
    assert waited == 2
    assert queue.played_samples == 12


def test_clear_drops_everything_and_fades_within_5_ms():
    queue = PlayoutQueue()
    queue.write(constant(FRAME_SAMPLES * 10))
    drain(queue, 2)
    queue.clear()
    assert queue.queued_samples == 0
    fade = samples(queue.pull())
    assert fade[0] == 1000
    assert (np.diff(fade[:120]) <= 0).all()
    assert not fade[120:].any()
    assert queue.pull() is None
    assert queue.played_samples == 2 * FRAME_SAMPLES


def test_clear_before_anything_sounded_is_silent():
    queue = PlayoutQueue()
    queue.write(constant(FRAME_SAMPLES * 10))
    queue.clear()
    assert drain(queue, 3) == [None, None, None]


def test_what_never_began_to_sound_is_not_faded_out():
    queue = PlayoutQueue()
    queue.write(constant(FRAME_SAMPLES))
    drain(queue, 3)
    queue.write(constant(FRAME_SAMPLES * 4))
    queue.clear()
    assert drain(queue, 2) == [None, None]


def test_a_pause_followed_by_a_clear_fades_once():
    queue = PlayoutQueue()
    queue.write(constant(FRAME_SAMPLES * 4))
    drain(queue, 1)
    queue.pause()
    assert queue.pull() is not None
    queue.clear()
    queue.resume()
    assert drain(queue, 2) == [None, None]


def test_clear_leaves_what_is_written_afterwards():
    queue = PlayoutQueue()
    queue.write(constant(1000))
    queue.clear()
    queue.write(constant(FRAME_SAMPLES, 7))
    assert queue.pull() == constant(FRAME_SAMPLES, 7)


def test_pause_keeps_the_queue_and_resume_plays_every_sample_of_it():
    queue = PlayoutQueue()
    queue.write(constant(FRAME_SAMPLES * 4))
    drain(queue, 1)
    queue.pause()
    assert queue.queued_samples == FRAME_SAMPLES * 3
    queue.pull()  # the fade
    assert drain(queue, 5) == [None] * 5
    assert queue.played_samples == FRAME_SAMPLES
    queue.resume()
    first, *rest = drain(queue, 3)
    assert samples(first)[0] == 0
    assert (samples(first)[120:] == 1000).all()
    assert rest == [constant(FRAME_SAMPLES)] * 2
    assert queue.played_samples == FRAME_SAMPLES * 4


def test_gain_is_ramped_to_and_back_without_a_step():
    queue = PlayoutQueue()
    queue.write(constant(FRAME_SAMPLES * 4, 10_000))
    drain(queue, 1)
    queue.set_gain(0.2)
    down, ducked = drain(queue, 2)
    queue.set_gain(1.0)
    up = samples(drain(queue, 1)[0])
    assert samples(down)[0] == 10_000
    assert abs(np.diff(samples(down))).max() < 100
    assert (samples(ducked) == 2000).all()
    assert up[0] == 2000
    assert up[-1] == 10_000


def test_too_loud_is_clipped_and_not_wrapped():
    queue = PlayoutQueue()
    queue.write(constant(FRAME_SAMPLES * 2, 20_000))
    queue.set_gain(4)
    drain(queue, 1)
    assert (samples(queue.pull()) == 32_767).all()


def test_the_callback_comes_after_each_frame_of_written_audio_and_no_other():
    queue, heard = PlayoutQueue(), []
    queue.on_frame(lambda: heard.append((queue.played_samples, queue.queued_samples)))
    queue.write(constant(FRAME_SAMPLES * 2 + 20))
    drain(queue, 6)
    assert heard == [(480, 500), (960, 20), (980, 0)]
    queue.write(constant(FRAME_SAMPLES * 5))
    drain(queue, 1)
    heard.clear()
    queue.clear()
    drain(queue, 3)  # the fade is nobody's frame
    assert heard == []
    queue.on_frame(None)
    queue.write(constant(FRAME_SAMPLES))
    drain(queue, 1)
    assert heard == []


def test_half_samples_and_mad_gains_are_refused():
    queue = PlayoutQueue()
    with pytest.raises(ValueError, match="whole samples"):
        queue.write(b"abc")
    with pytest.raises(ValueError, match="gain"):
        queue.set_gain(-1)
