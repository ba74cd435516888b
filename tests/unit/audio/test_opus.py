import gc

import pytest

from oneinbox.live.audio.opus import (
    SILENCE_20_MS,
    OpusDecoder,
    OpusEncoder,
    OpusError,
    find_library,
    library_version,
    packet_samples,
)
from tests.support.media_signal import babble, likeness, peak_hz, rms, samples, tone


def encode_all(pcm: bytes, encoder: OpusEncoder, frame_bytes: int = 960) -> list[bytes]:
    return [encoder.encode(pcm[at : at + frame_bytes]) for at in range(0, len(pcm) - frame_bytes + 1, frame_bytes)]


def test_the_library_is_found_and_is_libopus():
    assert "opus" in find_library()
    assert library_version().startswith("libopus")


def test_speech_survives_the_round_trip_from_24_to_16_khz():
    source = babble(3, 48_000)
    spoken, heard = samples(source)[::2].astype("<i2").tobytes(), samples(source)[::3]
    decoder = OpusDecoder(16_000)
    decoded = b"".join(decoder.decode(packet) for packet in encode_all(spoken, OpusEncoder(24_000)))
    assert len(decoded) == 3 * 16_000 * 2
    assert likeness(decoded, heard[: 2 * 16_000]) > 0.95


def test_a_tone_keeps_its_pitch_and_its_level():
    decoder = OpusDecoder(16_000)
    decoded = samples(b"".join(map(decoder.decode, encode_all(tone(440, 2, 24_000), OpusEncoder()))))[8000:]
    assert peak_hz(decoded, 16_000) == pytest.approx(440, abs=2)
    assert rms(decoded) == pytest.approx(8000 / 2**0.5, rel=0.1)


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60])
def test_packets_of_any_length_are_decoded_whole(frame_ms: int):
    frame_bytes = 24 * frame_ms * 2
    packets = encode_all(tone(300, 1.2, 24_000), OpusEncoder(), frame_bytes)
    assert {packet_samples(packet, 16_000) for packet in packets} == {16 * frame_ms}
    decoder = OpusDecoder(16_000)
    assert {len(decoder.decode(packet)) for packet in packets} == {16 * frame_ms * 2}


def test_a_lost_packet_is_carried_on_and_not_cut_out():
    packets = encode_all(tone(300, 1, 24_000), OpusEncoder())
    decoder = OpusDecoder(16_000)
    for packet in packets[:20]:
        decoder.decode(packet)
    concealed = decoder.conceal(320)
    assert len(concealed) == 640
    assert rms(samples(concealed)) > 2000


def test_a_lost_packet_is_recovered_from_the_next_one_where_that_carries_a_copy():
    source = babble(2, 24_000)
    packets = encode_all(source, OpusEncoder(expected_loss_pct=30, bitrate_bps=40_000))
    recovering, whole, inventing = OpusDecoder(), OpusDecoder(), OpusDecoder()
    for packet in packets[:40]:
        for decoder in (recovering, whole, inventing):
            decoder.decode(packet)
    truth = samples(whole.decode(packets[40]))
    recovered = samples(recovering.recover(packets[41], 320))
    invented = samples(inventing.conceal(320))
    assert abs(recovered - truth).mean() < 0.7 * abs(invented - truth).mean()


def test_the_packet_of_silence_is_20_ms_of_silence():
    assert packet_samples(SILENCE_20_MS, 16_000) == 320
    assert OpusDecoder().decode(SILENCE_20_MS) == bytes(640)


def test_what_is_not_opus_is_refused():
    decoder = OpusDecoder()
    with pytest.raises(OpusError):
        decoder.decode(b"\xff\xff\xff\xff\xff")
    with pytest.raises(OpusError):
        packet_samples(b"", 16_000)


@pytest.mark.parametrize(
    "make", [lambda: OpusEncoder(12_345), lambda: OpusDecoder(1), lambda: OpusEncoder(complexity=11)]
)
def test_a_setting_that_libopus_does_not_know_is_refused(make):
    with pytest.raises(OpusError):
        make()


def test_a_frame_of_a_length_that_opus_does_not_have_is_refused():
    with pytest.raises(OpusError, match="962 bytes"):
        OpusEncoder().encode(bytes(962))


def test_a_closed_codec_says_so_and_closing_twice_is_harmless():
    encoder, decoder = OpusEncoder(), OpusDecoder()
    for codec in (encoder, decoder):
        codec.close()
        codec.close()
    with pytest.raises(OpusError, match="closed"):
        encoder.encode(bytes(960))
    with pytest.raises(OpusError, match="closed"):
        decoder.conceal(320)


def test_what_is_dropped_is_freed():
    decoder = OpusDecoder()
    finalizer = decoder._free
    del decoder
    gc.collect()
    assert not finalizer.alive
