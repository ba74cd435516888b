import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st

from oneinbox.live.media.embedded import sdp
from tests.support.media_offers import AUDIO, DATA, FULL, audio, offer

LOCAL = sdp.LocalSide(
    "ours", "p" * 24, (sdp.Fingerprint("sha-256", "11:22"),), "active", ("candidate:1 1 udp 1 192.0.2.1 7882 typ host",)
)
VOICE = sdp.AgentVoice("0", 4321, "PA_a|TR_a", "TR_a", "PA_a")


def test_an_offer_is_taken_apart():
    read = sdp.parse_offer(FULL)
    assert read.ufrag == "abcd"
    assert read.setup == "actpass"
    assert read.fingerprints == (sdp.Fingerprint("sha-256", "AA:BB:CC:DD"),)
    assert [(s.kind, s.mid, s.sends, s.receives, s.opus) for s in read.sections] == [
        ("audio", "0", False, True, 111),
        ("audio", "1", False, True, 111),
        ("video", "2", False, True, None),
        ("application", "3", True, True, None),
        ("audio", "4", True, False, 111),
    ]
    assert sdp.agent_section(read, None) == "0"
    assert sdp.agent_section(read, "1") == "1"
    assert sdp.microphone_section(read).mid == "4"


def test_the_answer_gives_each_section_its_part_and_an_independent_reader_agrees():
    text = sdp.write_answer(sdp.parse_offer(FULL), LOCAL, VOICE, "4")
    read = SessionDescription.parse(text)
    assert [(media.kind, media.rtp.muxId, media.direction) for media in read.media] == [
        ("audio", "0", "sendonly"),
        ("audio", "1", "inactive"),
        ("video", "2", "inactive"),
        ("application", "3", None),
        ("audio", "4", "recvonly"),
    ]
    voice, *others = read.media
    assert voice.msid == "PA_a|TR_a TR_a"
    assert voice.ssrc[0].ssrc == 4321
    assert [codec.payloadType for codec in voice.rtp.codecs] == [111]
    assert len(voice.ice_candidates) == 1
    assert voice.ice_candidates_complete
    assert all(media.ice.usernameFragment == "ours" and media.dtls.role == "client" for media in read.media)
    assert read.media[0].ice.iceLite
    assert read.group[0].items == ["0", "1", "2", "3", "4"]
    assert not any(media.ssrc for media in others)


def test_a_section_both_ways_stays_both_ways():
    read = sdp.parse_offer(offer(audio("0", "sendrecv")))
    assert "a=sendrecv" in sdp.write_answer(read, LOCAL, VOICE, "0")


def test_a_rejected_section_stays_rejected_and_out_of_the_bundle():
    rejected = audio("1", "inactive").replace("m=audio 9", "m=audio 0")
    text = sdp.write_answer(sdp.parse_offer(offer(audio("0", "sendrecv"), rejected)), LOCAL, VOICE, "0")
    assert "m=audio 0 UDP" in text
    assert "a=group:BUNDLE 0\r\n" in text


def test_a_section_without_opus_is_inactive():
    strange = AUDIO.format(kind="audio", formats="0", mid="0", direction="sendrecv", codecs="a=rtpmap:0 PCMU/8000")
    read = sdp.parse_offer(offer(strange))
    assert sdp.agent_section(read, None) is None
    assert sdp.microphone_section(read) is None
    assert "a=inactive" in sdp.write_answer(read, LOCAL, VOICE, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=0\r\n",
        offer("m=audio\n"),
        offer("m=audio x RTP 111\na=mid:0\n"),
        offer(audio("0", "recvonly").replace("a=mid:0", "a=nothing")),
        offer(audio("0", "recvonly"), audio("0", "recvonly")),
        offer(audio("0", "recvonly").replace("a=ice-ufrag:abcd\n", "")),
        offer(audio("0", "recvonly").replace("AA:BB:CC:DD", "nonsense")),
        offer(audio("0", "recvonly").replace("actpass", "holdconn")),
        offer(audio("0", "recvonly").replace("a=mid:0", "a=mid:0 a=x")),
        offer(audio("0", "recvonly").replace("63 111", "63 999")),
        offer(DATA.format(mid="0").replace("5000", "99999")),
        offer(*[audio(str(number), "recvonly") for number in range(40)]),
        "x" * 100_000,
    ],
)
def test_what_cannot_be_a_call_is_refused(text: str):
    with pytest.raises(sdp.BadOfferError):
        sdp.parse_offer(text)


@given(st.data())
def test_a_spoilt_offer_is_refused_or_answered_and_nothing_else(data):
    text = list(FULL)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at] = data.draw(st.sampled_from("\r\n:= 09az\u0661\u00e9"))
    try:
        read = sdp.parse_offer("".join(text))
    except sdp.BadOfferError:
        return
    sdp.write_answer(read, LOCAL, VOICE, None)


def test_udp_is_preferred_and_the_first_address_before_the_second():
    lines = [line.split() for line in sdp.host_candidates(["192.0.2.1", "2001:db8::1"], 7882, udp=True, tcp=True)]
    by_priority = sorted(lines, key=lambda line: -int(line[3]))
    assert [(line[2], line[4]) for line in by_priority] == [
        ("udp", "192.0.2.1"),
        ("udp", "2001:db8::1"),
        ("tcp", "192.0.2.1"),
        ("tcp", "2001:db8::1"),
    ]
    assert all(int(line[3]) < 2**31 for line in lines)
    assert sdp.host_candidates(["192.0.2.1"], 1, udp=False, tcp=False) == ()
