"""Offers as browsers write them."""

AUDIO = """m={kind} 9 UDP/TLS/RTP/SAVPF {formats}
c=IN IP4 0.0.0.0
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 AA:BB:CC:DD
a=setup:actpass
a=mid:{mid}
a={direction}
a=rtcp-mux
{codecs}
"""
OPUS = "a=rtpmap:111 opus/48000/2\na=fmtp:111 minptime=10\na=rtpmap:63 red/48000/2"
DATA = """m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 AA:BB:CC:DD
a=setup:actpass
a=mid:{mid}
a=sctp-port:5000
a=max-message-size:262144
"""


def audio(mid: str, direction: str) -> str:
    return AUDIO.format(kind="audio", formats="63 111", mid=mid, direction=direction, codecs=OPUS)


def video(mid: str) -> str:
    return AUDIO.format(
        kind="video",
        formats="96 97",
        mid=mid,
        direction="recvonly",
        codecs="a=rtpmap:96 VP8/90000\na=rtpmap:97 rtx/90000",
    )


def offer(*sections: str) -> str:
    return "v=0\no=- 1 2 IN IP4 127.0.0.1\ns=-\nt=0 0\na=group:BUNDLE 0 1\n".replace("\n", "\r\n") + "".join(
        sections
    ).replace("\n", "\r\n")


FULL = offer(audio("0", "recvonly"), audio("1", "recvonly"), video("2"), DATA.format(mid="3"), audio("4", "sendonly"))

PUBLISHED = offer(audio("0", "sendonly"), DATA.format(mid="1"))
"""What a client with two PeerConnections offers for its microphone."""
ANSWER = offer(audio("0", "recvonly"), DATA.format(mid="1")).replace("actpass", "active")
"""What it answers to our offer."""
