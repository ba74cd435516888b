"""Which part of the path a line of code belongs to: what the profile of the measured process is told by."""

_BY_LINE = (
    ("SRTP", ("protect(", "protect_rtcp(")),
    ("the kernel's sockets", ("recvfrom(", "sendto(", "recv_into(")),
)
_BY_FILE = (
    ("SRTP", ("pylibsrtp",)),
    ("Opus", ("live/audio/opus", "aiortc/codecs")),
    ("recording", ("live/audio/tape", "core/ogg", "embedded/sound")),
    ("playout", ("live/audio/playout", "live/audio/clips")),
    ("RTP: in", ("embedded/receiver", "aiortc/rtcrtpreceiver", "aiortc/jitterbuffer")),
    ("RTP: out", ("embedded/sender", "aiortc/rtcrtpsender")),
    ("RTP: bytes", ("embedded/rtp", "aiortc/rtp", "aiortc/utils", "aiortc/clock")),
    (
        "ICE, who a packet is for",
        ("embedded/port", "embedded/ice", "embedded/stun", "aioice/", "aiortc/rtcicetransport"),
    ),
    ("peer, leg, clock", ("embedded/peer", "embedded/leg", "embedded/ticker", "embedded/pair", "embedded/attendance")),
    ("counting, line quality", ("embedded/line", "embedded/quality", "core/load", "aiortc/stats")),
    ("STUN's addresses", ("ipaddress.py", "hmac.py")),
    ("DTLS, SCTP", ("aiortc/rtcdtlstransport", "aiortc/rtcsctptransport", "embedded/aiortc_private")),
    ("tracks, frames", ("aiortc/mediastreams", "aiortc/contrib", "/av/", "bench/media/stock")),
    ("signalling", ("websockets/", "embedded/session", "embedded/signalling", "embedded/page", "media_server")),
    ("event loop, timers", ("asyncio/", "selectors.py", "uvloop", "concurrent/futures", "/threading.py", "/queue.py")),
)


def part_of(path: str, line: str) -> str:
    """Return the name of the part."""
    path = path.replace("\\", "/")
    by_line = next((part for part, words in _BY_LINE if any(word in line for word in words)), None)
    return by_line or next((part for part, files in _BY_FILE if any(file in path for file in files)), "the rest")
