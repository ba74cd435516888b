"""What a browser finds when it looks for the media: ICE checks to every address that an answer names, TURN allocations.

The other side of :mod:`embedded.ice`: it answers checks, this sends them (RFC 8445, 7.2), over UDP and, framed by RFC 4571, over
TCP. Nothing is connected: an address that answers an authentic check is one that a call could use.
"""

import asyncio
import os
import re
import secrets
import time
from collections.abc import Sequence
from typing import NamedTuple

from aioice import stun, turn

_TRIES, _WAIT_S = 4, 0.6
_TCP_LIMIT_S = 3.0
_TURN_LIMIT_S = 5.0
_CANDIDATE = re.compile(r"^a=candidate:\S+ 1 (udp|tcp) \d+ (\S+) (\d+) typ host", re.MULTILINE | re.IGNORECASE)

OFFER = """v=0
o=- 1 1 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0 1
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=mid:0
a=recvonly
a=rtcp-mux
a=rtpmap:111 opus/48000/2
{transport}
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:1
a=sctp-port:5000
{transport}
"""


class Candidate(NamedTuple):
    """One address that clients are told of."""

    transport: str
    address: str
    port: int


class Answer(NamedTuple):
    """What is needed of an SDP answer in order to check its candidates."""

    ufrag: str
    password: str
    candidates: tuple[Candidate, ...]


class Finding(NamedTuple):
    """What became of a check: ``took_s`` where it was answered, else ``why`` not."""

    took_s: float | None
    why: str = ""


def new_offer(ufrag: str) -> str:
    """Return an offer as a browser would write it, good for asking and for nothing else."""
    digest = ":".join(f"{byte:02X}" for byte in secrets.token_bytes(32))
    lines = [
        f"a=ice-ufrag:{ufrag}",
        f"a=ice-pwd:{secrets.token_hex(12)}",
        f"a=fingerprint:sha-256 {digest}",
        "a=setup:actpass",
    ]
    return OFFER.format(transport="\n".join(lines)).replace("\n", "\r\n")


def read_answer(sdp: str) -> Answer:
    """Return what an answer says; raises ``ValueError`` where it is none."""
    ufrag, password = (re.search(rf"^a=ice-{name}:(\S+)", sdp, re.MULTILINE) for name in ("ufrag", "pwd"))
    if ufrag is None or password is None:
        raise ValueError("an answer without ICE credentials")
    found = [Candidate(kind.lower(), address, int(port)) for kind, address, port in _CANDIDATE.findall(sdp)]
    return Answer(ufrag[1], password[1], tuple(found))


async def check_all(answer: Answer, our_ufrag: str) -> list[tuple[Candidate, Finding]]:
    """Check every candidate, all at once."""
    findings = await asyncio.gather(*(_check(candidate, answer, our_ufrag) for candidate in answer.candidates))
    return list(zip(answer.candidates, findings, strict=True))


async def _check(candidate: Candidate, answer: Answer, our_ufrag: str) -> Finding:
    ask = _ask_udp if candidate.transport == "udp" else _ask_tcp
    try:
        return await ask(candidate, answer, our_ufrag)
    except OSError as error:
        # asyncio words some of them itself, and leaves out what went wrong
        return Finding(None, os.strerror(error.errno) if error.errno else str(error))


def _new_check(answer: Answer, our_ufrag: str) -> stun.Message:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{answer.ufrag}:{our_ufrag}"
    message.attributes["PRIORITY"] = 1
    message.attributes["ICE-CONTROLLING"] = secrets.randbits(64)
    message.add_message_integrity(answer.password.encode())
    message.add_fingerprint()
    return message


def _is_answer(data: bytes, check: stun.Message, answer: Answer) -> bool:
    try:
        read = stun.parse_message(data)
    except ValueError:
        return False
    if not read.check_message_integrity(answer.password.encode()):
        return False
    return read.transaction_id == check.transaction_id and read.message_class == stun.Class.RESPONSE


class _Ear(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes | OSError] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        del addr  # the socket is connected: only one can answer
        self.heard.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        if isinstance(exc, OSError):
            self.heard.put_nowait(exc)


async def _ask_udp(candidate: Candidate, answer: Answer, our_ufrag: str) -> Finding:
    loop = asyncio.get_running_loop()
    transport, ear = await loop.create_datagram_endpoint(_Ear, remote_addr=(candidate.address, candidate.port))
    try:
        why = "no answer"
        for _ in range(_TRIES):
            check, began_s = _new_check(answer, our_ufrag), loop.time()
            transport.sendto(bytes(check))
            try:
                async with asyncio.timeout(_WAIT_S):
                    while True:
                        heard = await ear.heard.get()
                        if isinstance(heard, OSError):
                            why = heard.strerror or str(heard)
                        elif _is_answer(heard, check, answer):
                            return Finding(loop.time() - began_s)
            except TimeoutError:
                continue
        return Finding(None, why)
    finally:
        transport.close()


async def _ask_tcp(candidate: Candidate, answer: Answer, our_ufrag: str) -> Finding:
    loop, writer = asyncio.get_running_loop(), None
    try:
        async with asyncio.timeout(_TCP_LIMIT_S):
            reader, writer = await asyncio.open_connection(candidate.address, candidate.port)
            check, began_s = _new_check(answer, our_ufrag), loop.time()
            data = bytes(check)
            writer.write(len(data).to_bytes(2, "big") + data)
            length = int.from_bytes(await reader.readexactly(2), "big")
            if _is_answer(await reader.readexactly(length), check, answer):
                return Finding(loop.time() - began_s)
        return Finding(None, "something else answers there")
    except TimeoutError:
        return Finding(None, "no answer")
    except asyncio.IncompleteReadError:
        return Finding(None, "the connection was closed: something else listens there, or a proxy does not pass it on")
    finally:
        if writer is not None:
            writer.transport.abort()


async def check_turn(url: str, username: str, credential: str) -> Finding:
    """Ask a TURN server for a relay and give it back."""
    split = re.fullmatch(r"(turns?):(\[[^\]]+\]|[^:?]+)(?::(\d+))?(?:\?transport=(udp|tcp))?", url)
    if split is None:
        return Finding(None, "an address that cannot be read")
    secure, transport = split[1] == "turns", split[4] or ("tcp" if split[1] == "turns" else "udp")
    address = (split[2].strip("[]"), int(split[3] or (5349 if secure else 3478)))
    began_s = time.monotonic()
    try:
        async with asyncio.timeout(_TURN_LIMIT_S):
            relay, _ = await turn.create_turn_endpoint(
                asyncio.DatagramProtocol,
                server_addr=address,
                username=username,
                password=credential,
                ssl=secure,
                transport=transport,
            )
    except TimeoutError:
        return Finding(None, "no answer")
    except stun.TransactionFailed as error:
        return Finding(None, f"refused: {error}")
    except (OSError, ConnectionError, stun.TransactionError) as error:
        return Finding(None, str(error) or type(error).__name__)
    relay.close()
    return Finding(time.monotonic() - began_s)


def addresses(candidates: Sequence[Candidate]) -> list[str]:
    """Return the different addresses of ``candidates``, in their order."""
    return list(dict.fromkeys(candidate.address for candidate in candidates))
