import pytest

from oneinbox.live.audio.resample import Resampler
from tests.support.media_signal import peak_hz, rms, samples, tone

RATES = [
    (8_000, 16_000),
    (8_000, 24_000),
    (22_050, 24_000),
    (44_100, 24_000),
    (48_000, 24_000),
    (24_000, 16_000),
    (22_050, 16_000),
]


def run(pcm: bytes, resampler: Resampler, piece: int = 998) -> bytes:
    return b"".join(resampler.push(pcm[at : at + piece]) for at in range(0, len(pcm), piece)) + resampler.flush()


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_a_tone_keeps_pitch_level_and_length(from_hz: int, to_hz: int):
    out = samples(run(tone(1000, 1, from_hz), Resampler(from_hz, to_hz)))
    assert len(out) == pytest.approx(to_hz, abs=2)
    middle = out[to_hz // 10 : -to_hz // 10]
    assert peak_hz(middle, to_hz) == pytest.approx(1000, abs=3)
    assert rms(middle) == pytest.approx(8000 / 2**0.5, rel=0.01)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(24_000, 16_000), (48_000, 24_000), (44_100, 24_000)])
def test_what_the_lower_rate_cannot_hold_is_gone_and_not_folded_down(from_hz: int, to_hz: int):
    out = samples(run(tone(to_hz * 0.7, 1, from_hz), Resampler(from_hz, to_hz)))
    assert rms(out[500:-500]) < 8000 / 1000


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_a_live_stream_is_held_back_by_less_than_2_ms(from_hz: int, to_hz: int):
    resampler, put_in, came_out = Resampler(from_hz, to_hz), 0, 0
    assert resampler.delay_s < 0.002
    for _ in range(50):
        piece = bytes(from_hz // 100 * 2)
        put_in += len(piece) // 2
        came_out += len(resampler.push(piece)) // 2
        assert put_in / from_hz - came_out / to_hz < 0.002


def test_pieces_of_any_length_make_the_same_stream():
    pcm = tone(700, 0.3, 22_050)
    assert run(pcm, Resampler(22_050, 24_000), 1) == run(pcm, Resampler(22_050, 24_000), 4097)


def test_the_same_rate_changes_nothing_but_waits_for_whole_samples():
    resampler = Resampler(24_000, 24_000)
    assert resampler.push(b"\1\2\3") == b"\1\2"
    assert resampler.push(b"\4") == b"\3\4"
    assert resampler.delay_s == 0


def test_impossible_rates_are_refused():
    with pytest.raises(ValueError, match="positive"):
        Resampler(0, 16_000)
