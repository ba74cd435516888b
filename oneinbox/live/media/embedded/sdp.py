"""SDP as browsers write it (RFC 8866, 8829, 8843): an offer taken apart and answered; an offer of our own.

Only what a call needs: one agent's voice one way, one microphone the other, data channels, all in one bundle. Every
video section is answered ``inactive``. An offer that cannot be a call is :class:`BadOfferError`, never another exception.
"""

import ipaddress
import re
from collections.abc import Sequence
from typing import NamedTuple

MAX_OFFER_BYTES = 64 * 1024
MAX_DATA_MESSAGE_BYTES = 64 * 1024
_MAX_SECTIONS = 32
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_TOKEN = re.compile(r"[\w.+/=-]{1,256}\Z", re.ASCII)
_OPUS = re.compile(r"opus/48000/2\Z", re.IGNORECASE)
_DEFAULT_SCTP_PORT = 5000


class BadOfferError(ValueError):
    """The client's SDP cannot be used: an offer, or an answer to ours."""


class Fingerprint(NamedTuple):
    """The hash of a DTLS certificate."""

    algorithm: str
    value: str


class MediaSection(NamedTuple):
    """One ``m=`` section of an offer."""

    kind: str
    mid: str
    direction: str
    profile: str
    formats: tuple[str, ...]
    codecs: dict[str, str]
    """What each payload type is: ``{"111": "opus/48000/2"}``."""
    sctp_port: int
    rejected: bool

    @property
    def sends(self) -> bool:
        """Whether the client sends in this section."""
        return not self.rejected and self.direction in ("sendrecv", "sendonly")

    @property
    def receives(self) -> bool:
        """Whether the client receives in this section."""
        return not self.rejected and self.direction in ("sendrecv", "recvonly")

    @property
    def opus(self) -> int | None:
        """The payload type of Opus, where it is offered."""
        found = next((pt for pt, name in self.codecs.items() if _OPUS.match(name) and pt in self.formats), None)
        return None if found is None else int(found)


class Offer(NamedTuple):
    """What a client proposes, or agrees to."""

    ufrag: str
    fingerprints: tuple[Fingerprint, ...]
    setup: str
    sections: tuple[MediaSection, ...]


class LocalSide(NamedTuple):
    """What an answer says of our side."""

    ufrag: str
    password: str
    fingerprints: tuple[Fingerprint, ...]
    setup: str
    candidates: tuple[str, ...]
    """Lines without ``a=``."""


class AgentVoice(NamedTuple):
    """The agent's stream: where it stands in the answer, and what it is called."""

    mid: str
    ssrc: int
    stream_id: str
    track_id: str
    cname: str


VOICE_MID = "0"
_DATA_MID = "1"
_OFFERED = Offer(
    ufrag="",
    fingerprints=(),
    setup="actpass",
    sections=(
        MediaSection(
            "audio", VOICE_MID, "recvonly", "UDP/TLS/RTP/SAVPF", ("111",), {"111": "opus/48000/2"}, 0, rejected=False
        ),
        MediaSection(
            "application",
            _DATA_MID,
            "sendrecv",
            "UDP/DTLS/SCTP",
            ("webrtc-datachannel",),
            {},
            _DEFAULT_SCTP_PORT,
            rejected=False,
        ),
    ),
)
"""What we offer ourselves, as the client would have offered it: so one writer serves both."""


def parse_offer(text: str) -> Offer:
    """Take an offer apart; raises :class:`BadOfferError`."""
    if len(text) > MAX_OFFER_BYTES:
        raise BadOfferError(f"an offer of {len(text)} characters")
    head, *bodies = re.split(r"^m=", text.replace("\r\n", "\n"), flags=re.MULTILINE)
    if not 0 < len(bodies) <= _MAX_SECTIONS:
        raise BadOfferError(f"an offer of {len(bodies)} media sections")
    session = _attributes(head)
    sections = [_parse_section(body) for body in bodies]
    mids = [section.mid for section in sections]
    if len(set(mids)) != len(mids):
        raise BadOfferError("two sections of the same name")
    bundled = [dict(_attributes(body)) for body in bodies]
    everything = [*session, *(pair for body in bodies for pair in _attributes(body))]
    ufrag = next((found["ice-ufrag"] for found in bundled if found.get("ice-ufrag")), dict(session).get("ice-ufrag"))
    setup = next((found["setup"] for found in bundled if found.get("setup")), dict(session).get("setup"))
    fingerprints = dict.fromkeys(_parse_fingerprint(value) for key, value in everything if key == "fingerprint")
    if ufrag is None or not fingerprints or setup not in ("actpass", "active", "passive"):
        raise BadOfferError("an offer without ICE or DTLS parameters")
    return Offer(_token(ufrag), tuple(fingerprints), setup, tuple(sections))


def parse_answer(text: str) -> Offer:
    """Take apart the answer to :func:`write_offer`; raises :class:`BadOfferError`."""
    answer = parse_offer(text)
    if answer.setup == "actpass" or [section.mid for section in answer.sections] != [VOICE_MID, _DATA_MID]:
        raise BadOfferError("an answer to something else than was offered")
    return answer


def write_offer(local: LocalSide, voice: AgentVoice, version: int) -> str:
    """Return our own offer: the agent's voice in ``VOICE_MID``, and data channels. ``version`` counts up."""
    return write_answer(_OFFERED, local, voice, None, version)


def write_answer(
    offer: Offer, local: LocalSide, voice: AgentVoice, microphone_mid: str | None, version: int = 1
) -> str:
    """Return the answer: the agent's voice in ``voice.mid``, the microphone from ``microphone_mid``, no video."""
    kept = [section.mid for section in offer.sections if not section.rejected]
    lines = [
        "v=0",
        f"o=- 1 {version} IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=ice-lite",
        f"a=group:BUNDLE {' '.join(kept)}",
        "a=msid-semantic: WMS *",
    ]
    for section in offer.sections:
        if section.kind == "application":
            lines += _write_data(section)
        elif section.kind == "audio" and section.opus is not None:
            lines += _write_audio(section, voice, microphone_mid)
        else:
            lines += _write_inactive(section)
        if not section.rejected:
            lines += _write_transport(local, with_candidates=section.mid == kept[0])
    return "\r\n".join(lines) + "\r\n"


def agent_section(offer: Offer, previous_mid: str | None) -> str | None:
    """Return the section that carries the agent's voice: the one it had, else the first that can."""
    able = [s.mid for s in offer.sections if s.kind == "audio" and s.receives and s.opus is not None]
    return previous_mid if previous_mid in able else next(iter(able), None)


def microphone_section(offer: Offer) -> MediaSection | None:
    """Return the section of the client's microphone: the last one in which it sends Opus."""
    able = [s for s in offer.sections if s.kind == "audio" and s.sends and s.opus is not None]
    return able[-1] if able else None


def host_candidates(addresses: Sequence[str], port: int, *, udp: bool, tcp: bool) -> tuple[str, ...]:
    """Return a candidate line for each address and transport (RFC 8839, 5.1; RFC 6544, 4.5), UDP preferred."""
    lines: list[str] = []
    for index, address in enumerate(addresses):
        local_preference = 65_535 - index
        if udp:
            priority = (126 << 24) + (local_preference << 8) + 255
            lines.append(f"candidate:{2 * index + 1} 1 udp {priority} {address} {port} typ host")
        if tcp:
            # passive: direction preference 2 of 7 in the top three bits (RFC 6544, 4.2), and after every UDP one
            priority = (90 << 24) + ((2 << 13 | local_preference & 0x1FFF) << 8) + 255
            lines.append(f"candidate:{2 * index + 2} 1 tcp {priority} {address} {port} typ host tcptype passive")
    return tuple(lines)


# ---- reading


def _attributes(block: str) -> list[tuple[str, str]]:
    pairs = [line[2:].strip().partition(":") for line in block.split("\n") if line.startswith("a=")]
    return [(key, value) for key, _, value in pairs]


def _parse_section(body: str) -> MediaSection:
    first = body.partition("\n")[0].split()
    if len(first) < 4 or not first[1].isascii() or not first[1].isdigit():
        raise BadOfferError("a media line that is not one")
    kind, port, profile, *formats = first
    attributes = _attributes(body)
    found = dict(attributes)
    if "mid" not in found:
        raise BadOfferError("a media section without a name")
    if kind == "application":
        codecs: dict[str, str] = {}
    else:
        codecs = _parse_codecs(attributes)
        if not all(pt.isascii() and pt.isdigit() and int(pt) < 128 for pt in formats):
            raise BadOfferError("a payload type that is not one")
    sctp_port = found.get("sctp-port", str(_DEFAULT_SCTP_PORT))
    if not (sctp_port.isascii() and sctp_port.isdigit() and 0 < int(sctp_port) < 65_536):
        raise BadOfferError("an SCTP port that is not one")
    direction = next((key for key, _ in attributes if key in _DIRECTIONS), "sendrecv")
    rejected = port == "0" and "bundle-only" not in found
    return MediaSection(
        _token(kind),
        _token(found["mid"]),
        direction,
        _token(profile),
        tuple(_token(name) for name in formats),
        codecs,
        int(sctp_port),
        rejected,
    )


def _parse_codecs(attributes: list[tuple[str, str]]) -> dict[str, str]:
    split = [value.split(" ", 1) for key, value in attributes if key == "rtpmap"]
    return {pair[0]: _token(pair[1].strip()) for pair in split if len(pair) == 2}


def _parse_fingerprint(value: str) -> Fingerprint:
    algorithm, _, digest = value.partition(" ")
    if not re.fullmatch(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2})+", digest.strip()):
        raise BadOfferError("a fingerprint that is not one")
    return Fingerprint(_token(algorithm.lower()), digest.strip().upper())


def _token(text: str) -> str:
    """Return ``text`` where it is safe to say back; raises :class:`BadOfferError` where it is not."""
    if not _TOKEN.match(text):
        raise BadOfferError("a word that is not one")
    return text


# ---- writing


def _write_transport(local: LocalSide, *, with_candidates: bool) -> list[str]:
    lines = [f"a=ice-ufrag:{local.ufrag}", f"a=ice-pwd:{local.password}"]
    lines += [f"a=fingerprint:{found.algorithm} {found.value}" for found in local.fingerprints]
    lines.append(f"a=setup:{local.setup}")
    if with_candidates:
        lines += [f"a={candidate}" for candidate in local.candidates]
        lines.append("a=end-of-candidates")
    return lines


def _write_audio(section: MediaSection, voice: AgentVoice, microphone_mid: str | None) -> list[str]:
    sends = section.mid == voice.mid and section.receives
    receives = section.mid == microphone_mid and section.sends
    direction = _DIRECTIONS[(0 if receives else 1) if sends else (2 if receives else 3)]
    opus = section.opus
    lines = [
        f"m=audio {0 if section.rejected else 9} {section.profile} {opus}",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        f"a=mid:{section.mid}",
        f"a={direction}",
        "a=rtcp-mux",
        f"a=rtpmap:{opus} opus/48000/2",
        f"a=fmtp:{opus} minptime=10;useinbandfec=1",
    ]
    if sends:
        lines.append(f"a=msid:{voice.stream_id} {voice.track_id}")
        lines.append(f"a=ssrc:{voice.ssrc} cname:{voice.cname}")
        lines.append(f"a=ssrc:{voice.ssrc} msid:{voice.stream_id} {voice.track_id}")
    return lines


def _write_inactive(section: MediaSection) -> list[str]:
    form = section.formats[0]
    lines = [
        f"m={section.kind} {0 if section.rejected else 9} {section.profile} {form}",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{section.mid}",
        "a=inactive",
        "a=rtcp-mux",
    ]
    if form in section.codecs:
        lines.append(f"a=rtpmap:{form} {section.codecs[form]}")
    return lines


def _write_data(section: MediaSection) -> list[str]:
    return [
        f"m=application {0 if section.rejected else 9} {section.profile} {section.formats[0]}",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{section.mid}",
        f"a=sctp-port:{_DEFAULT_SCTP_PORT}",
        f"a=max-message-size:{MAX_DATA_MESSAGE_BYTES}",
    ]


def is_announceable(address: str) -> bool:
    """Whether ``address`` is an IP address that a candidate line may hold."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True
