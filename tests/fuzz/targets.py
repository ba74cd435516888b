"""What is fuzzed: each target takes any bytes, and raises only where a parser broke its word.

A parser's word: any input gives a result or the parser's own error, in time and memory that the input's length bounds.
"""

import base64
import gzip
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from aiortc.rtcsctptransport import parse_packet
from livekit.protocol import models, rtc

from oneinbox.core.tokens import InvalidTokenError, mint_participant_token, read_participant_token
from oneinbox.live.audio.opus import OpusDecoder, OpusEncoder, OpusError
from oneinbox.live.media.embedded import rtp, sdp, stun
from oneinbox.live.media.embedded.data import Inbox
from oneinbox.live.media.embedded.receiver import AudioReceiver
from oneinbox.live.media.embedded.signalling import BadSignalError, parse_flat_join, parse_join_request, parse_request
from tests.support.media_offers import DATA, FULL, PUBLISHED, audio, offer, video

_SECRET = "s" * 48
_FRAME_BYTES = 640
_LOCAL = sdp.LocalSide("ours", "p" * 24, (sdp.Fingerprint("sha-256", "11:22"),), "active", ())
_VOICE = sdp.AgentVoice("0", 4321, "PA_a|TR_a", "TR_a", "PA_a")


class Target(NamedTuple):
    """A parser, and examples of what it is made for."""

    take: Callable[[bytes], None]
    seeds: Sequence[bytes]


def _take_stun(data: bytes) -> None:
    with suppress(stun.MalformedStunError):
        request = stun.parse_binding_request(data)
        if request is not None:
            request.is_authentic("p" * 24)


def _take_rtp(data: bytes) -> None:
    with suppress(rtp.MalformedPacketError):
        rtp.parse_rtp(data)


def _take_rtcp(data: bytes) -> None:
    with suppress(rtp.MalformedPacketError):
        _, reports = rtp.parse_rtcp(data)
        for report in reports:
            rtp.round_trip_s(report)


def _take_sdp(data: bytes) -> None:
    text = data.decode(errors="replace")
    with suppress(sdp.BadOfferError):
        read = sdp.parse_offer(text)
        microphone = sdp.microphone_section(read)
        voice = _VOICE._replace(mid=sdp.agent_section(read, None) or "0")
        written = sdp.write_answer(read, _LOCAL, voice, None if microphone is None else microphone.mid)
        if len(written) > 20 * len(text) + 4_000:
            raise AssertionError(f"{len(text)} characters were answered with {len(written)}")
        sdp.parse_offer(written)  # nothing of the offer could break out of its line
    with suppress(sdp.BadOfferError):
        sdp.parse_answer(text)


def _take_signal(data: bytes) -> None:
    with suppress(BadSignalError):
        parse_request(data)


def _take_join(data: bytes) -> None:
    for said in (data.decode(errors="replace"), base64.urlsafe_b64encode(data).decode()):
        with suppress(BadSignalError):
            parse_join_request({"join_request": said})
        parse_flat_join({"version": said, "reconnect": said, "sid": said})


def _take_gzipped_join(data: bytes) -> None:
    wrapped = rtc.WrappedJoinRequest(compression=rtc.WrappedJoinRequest.GZIP, join_request=data)
    with suppress(BadSignalError):
        parse_join_request({"join_request": base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()})


def _take_opus(data: bytes) -> None:
    decoder = OpusDecoder()
    for packet in _divided(data):
        for decode in (decoder.decode, lambda payload: decoder.recover(payload, 320)):
            with suppress(OpusError):
                decode(packet)
        decoder.conceal(320)
    decoder.close()


def _take_audio(data: bytes) -> None:
    """Take packets of a stream: each piece is a step of the number, one of the time, and a payload."""
    heard = 0

    def hear(pcm: bytes) -> None:
        nonlocal heard
        if len(pcm) != _FRAME_BYTES:
            raise AssertionError(f"a frame of {len(pcm)} bytes")
        heard += 1

    receiver = AudioReceiver(111, hear)
    sequence, timestamp, now_s = 0, 0, 0.0
    for piece in _divided(data):
        if len(piece) < 6:
            continue
        step, jump = struct.unpack_from("!hi", piece)
        sequence, timestamp, now_s = (sequence + step) & 0xFFFF, (timestamp + jump) & 0xFFFFFFFF, now_s + 0.02
        packet = rtp.build_rtp(
            piece[6:] or b"\xf8\xff\xfe", payload_type=111, marker=False, sequence=sequence, timestamp=timestamp, ssrc=7
        )
        receiver.receive(rtp.parse_rtp(packet), now_s)
        receiver.tick(now_s)
        receiver.report(now_s)
    receiver.close()
    if heard > 60 * (len(data) + 10):
        raise AssertionError(f"{len(data)} bytes became {heard} frames")


def _take_data(data: bytes) -> None:
    inbox = Inbox()
    for packet in _divided(data):
        inbox.receive(packet)


def _take_sctp(data: bytes) -> None:
    with suppress(ValueError):  # what aiortc catches
        parse_packet(data)


def _take_token(data: bytes) -> None:
    with suppress(InvalidTokenError):
        read_participant_token(data.decode(errors="replace"), secret=_SECRET, issuer="oneinbox")


def _divided(data: bytes) -> list[bytes]:
    """Return the pieces of ``data``, each behind its length in two bytes."""
    pieces: list[bytes] = []
    at = 0
    while at + 2 <= len(data):
        (length,) = struct.unpack_from("!H", data, at)
        pieces.append(data[at + 2 : at + 2 + length])
        at += 2 + length
    return pieces


def _joined(*pieces: bytes) -> bytes:
    return b"".join(struct.pack("!H", len(piece)) + piece for piece in pieces)


def _opus_packets() -> list[bytes]:
    encoder = OpusEncoder(24_000)
    packets = [encoder.encode(bytes(range(256)) * 3 + bytes(192)), encoder.encode(bytes(960))]
    encoder.close()
    return packets


def _data_packets() -> list[bytes]:
    header = models.DataStream.Header(
        stream_id="s1", topic="lk.chat", text_header=models.DataStream.TextHeader(), total_length=5
    )
    said = (
        models.DataPacket(user=models.UserPacket(payload=b"hello", topic="lk.chat")),
        models.DataPacket(stream_header=header),
        models.DataPacket(stream_chunk=models.DataStream.Chunk(stream_id="s1", content=b"hello")),
        models.DataPacket(stream_trailer=models.DataStream.Trailer(stream_id="s1")),
        models.DataPacket(sip_dtmf=models.SipDTMF(code=5, digit="5")),
        models.DataPacket(sequence=3, rpc_request=models.RpcRequest(id="r", method="m", payload="{}")),
        models.DataPacket(rpc_ack=models.RpcAck(request_id="r")),
    )
    return [one.SerializeToString() for one in said]


def _signals() -> list[bytes]:
    said = (
        rtc.SignalRequest(offer=rtc.SessionDescription(type="offer", sdp=FULL, id=1)),
        rtc.SignalRequest(add_track=rtc.AddTrackRequest(cid="c", name="mic", type=models.AUDIO)),
        rtc.SignalRequest(trickle=rtc.TrickleRequest(candidateInit='{"candidate":""}')),
        rtc.SignalRequest(mute=rtc.MuteTrackRequest(sid="TR_1", muted=True)),
        rtc.SignalRequest(ping_req=rtc.Ping(timestamp=1, rtt=2)),
        rtc.SignalRequest(update_metadata=rtc.UpdateParticipantMetadata(name="Jo", attributes={"a": "b"})),
        rtc.SignalRequest(leave=rtc.LeaveRequest(action=rtc.LeaveRequest.DISCONNECT)),
    )
    return [one.SerializeToString() for one in said]


def _join() -> bytes:
    return rtc.JoinRequest(
        client_info=models.ClientInfo(sdk=models.ClientInfo.JS, version="2.23.0"),
        publisher_offer=rtc.SessionDescription(type="offer", sdp=FULL, id=1),
    ).SerializeToString()


def _checks() -> list[bytes]:
    """Return checks as a browser sends them: signed, with a fingerprint."""
    username = b"ours:abcd"
    attributes = struct.pack("!HH", 0x0006, len(username)) + username + bytes(-len(username) % 4)
    attributes += struct.pack("!HHI", 0x0024, 4, 1845501695) + struct.pack("!HHQ", 0x802A, 8, 77)
    attributes += struct.pack("!HH", 0x0025, 0)
    attributes += struct.pack("!HH", 0x0008, 20) + bytes(20)
    return [struct.pack("!HHI", 0x0001, len(attributes), 0x2112A442) + bytes(12) + attributes]


def _reports() -> list[bytes]:
    report = rtp.ReceptionReport(7, 3, 12, 4711, 80, 0, 0)
    return [
        rtp.build_receiver_report(ssrc=9, cname="c", report=report),
        rtp.build_sender_report(ssrc=9, cname="c", ntp=1 << 40, timestamp=480, packets=10, octets=1000, report=report),
        rtp.build_bye(9),
    ]


def _streams() -> list[bytes]:
    loud, soft = _opus_packets()
    steady = _joined(*(struct.pack("!hi", 1, 960) + payload for payload in (loud, soft, loud, soft)))
    lossy = _joined(*(struct.pack("!hi", step, 960 * step) + loud for step in (1, 3, -1, 2, 40, 1)))
    return [steady, lossy]


def _sctp_packets() -> list[bytes]:
    init = struct.pack("!BBHIIHHI", 1, 0, 20, 1, 131072, 65535, 65535, 2)
    data = struct.pack("!BBHIHHI", 0, 3, 21, 3, 0, 0, 51) + b"hello" + bytes(3)
    return [struct.pack("!HHII", 5000, 5000, 0, 0) + chunk for chunk in (init, data)]


def _make_targets() -> dict[str, Target]:
    sdps = [FULL, PUBLISHED, offer(audio("0", "sendrecv"), video("1"), DATA.format(mid="2"))]
    token = mint_participant_token(room_name="web-1", identity="u", ttl_s=10**9, secret=_SECRET, issuer="oneinbox")
    voice = [rtp.build_rtp(p, payload_type=111, marker=True, sequence=1, timestamp=2, ssrc=3) for p in _opus_packets()]
    return {
        "stun": Target(_take_stun, _checks()),
        "rtp": Target(_take_rtp, voice),
        "rtcp": Target(_take_rtcp, _reports()),
        "sdp": Target(_take_sdp, [text.encode() for text in sdps]),
        "signal": Target(_take_signal, _signals()),
        "join": Target(_take_join, [rtc.WrappedJoinRequest(join_request=_join()).SerializeToString()]),
        "gzipped_join": Target(_take_gzipped_join, [gzip.compress(_join())]),
        "opus": Target(_take_opus, [_joined(*_opus_packets())]),
        "audio": Target(_take_audio, _streams()),
        "data": Target(_take_data, [_joined(*_data_packets())]),
        "sctp": Target(_take_sctp, _sctp_packets()),
        "token": Target(_take_token, [token.encode()]),
    }


TARGETS = _make_targets()
