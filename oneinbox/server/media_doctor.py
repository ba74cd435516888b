"""``oneinbox doctor --media``: whether browsers can reach the media, by which way, and what mends it where they cannot.

It joins a room made for it (:mod:`live.media.probe`) as a browser does, is told the same addresses, and sends each of them what
a browser would send. Run on the server it sees what the server sees; ``--at`` and ``--token`` run it from anywhere else.
"""

import asyncio
import base64
import ipaddress
import secrets
import socket
from collections.abc import Iterable, Sequence
from urllib.parse import quote, urlsplit

from livekit.protocol import rtc
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, WebSocketException

from oneinbox.core.tokens import mint_participant_token
from oneinbox.live.media import reach
from oneinbox.server.settings import Settings, load_secrets
from oneinbox.server.up import public_address
from oneinbox.server.worker_configuration import TOKEN_ISSUER

Finding = tuple[str, str]
"""``ok``, ``note`` or ``bad``, and what was found."""

TOKEN_TTL_S = 900.0
_SIGNAL_LIMIT_S = 8.0
_MEND_ADDRESS = "set ONEINBOX_ANNOUNCED_ADDRESSES to the address at which browsers reach this machine"


class ProbeError(Exception):
    """The server could not be asked; the message says why and what mends it."""


def server_url_of(address: str) -> str:
    """Return where LiveKit's clients connect, for the pages' address."""
    return address.rstrip("/").replace("http", "ws", 1) if address.startswith("http") else address.rstrip("/")


def probe_token(settings: Settings, worker: int) -> str:
    """Return a token that leads into a probe's room of one worker."""
    return mint_participant_token(
        secret=load_secrets(settings.data_path).participant_tokens,
        issuer=TOKEN_ISSUER,
        room_name=f"probe-{worker}-{secrets.token_hex(6)}",
        identity="doctor",
        ttl_s=TOKEN_TTL_S,
        probe=True,
    )


async def look_at_media(settings: Settings) -> list[Finding]:
    """Check the way to every worker of the server that these settings describe."""
    address = public_address(settings)
    findings: list[Finding] = []
    for worker in range(settings.worker_count):
        findings += await look_from_here(server_url_of(address), probe_token(settings, worker), f"worker {worker}: ")
    elsewhere = f"oneinbox doctor --media --at {server_url_of(address)} --token {probe_token(settings, 0)}"
    findings.append(("note", f"the same from another machine, within {TOKEN_TTL_S / 60:.0f} minutes: {elsewhere}"))
    return findings


async def look_from_here(server_url: str, token: str, about: str = "") -> list[Finding]:
    """Check the way from this machine to the media of the server at ``server_url`` (``ws://`` or ``wss://``)."""
    try:
        found, turn, ufrag = await _ask(server_url, token)
    except ProbeError as error:
        return [("bad", f"{about}{error}")]
    checks = await reach.check_all(found, ufrag)
    relays = [(url, await reach.check_turn(url, user, word)) for url, user, word in turn]
    return [
        (state, about + text)
        for state, text in [
            ("ok", f"signalling answers at {server_url}"),
            *judge_addresses(reach.addresses(found.candidates), await _addresses_of(server_url)),
            *judge_checks(checks, relays),
        ]
    ]


async def _ask(server_url: str, token: str) -> tuple[reach.Answer, list[tuple[str, str, str]], str]:
    """Join as a browser does; return the answer, the TURN servers that clients are told of, and our name in checks."""
    ufrag = secrets.token_hex(4)
    offer = rtc.SessionDescription(type="offer", sdp=reach.new_offer(ufrag), id=1)
    wrapped = rtc.WrappedJoinRequest(join_request=rtc.JoinRequest(publisher_offer=offer).SerializeToString())
    packed = base64.urlsafe_b64encode(wrapped.SerializeToString()).decode().rstrip("=")
    turn: list[tuple[str, str, str]] = []
    try:
        async with asyncio.timeout(_SIGNAL_LIMIT_S):
            url = f"{server_url}/rtc/v1?access_token={quote(token)}&join_request={packed}"
            async with connect(url, ping_interval=None) as wire:
                async for message in wire:
                    response = rtc.SignalResponse.FromString(
                        message if isinstance(message, bytes) else message.encode()
                    )
                    for server in response.join.ice_servers if response.HasField("join") else ():
                        turn += [(u, server.username, server.credential) for u in server.urls if u.startswith("turn")]
                    if response.HasField("answer"):
                        # the socket may go: the room keeps answering checks for some seconds
                        return reach.read_answer(response.answer.sdp), turn, ufrag
    except InvalidStatus as error:
        why = error.response.body.decode(errors="replace") if error.response.body else ""
        raise ProbeError(_refused(server_url, error.response.status_code, why)) from None
    except (OSError, WebSocketException, TimeoutError) as error:
        why = str(error) or "no answer"
        raise ProbeError(f"no WebSocket at {server_url}/rtc ({why}): is the server running, at this address?") from None
    raise ProbeError(f"{server_url} ended the probe without an answer")


def _refused(server_url: str, status: int, why: str) -> str:
    if status == 401:
        return f"{server_url} refuses the probe's token ({why}): is this the server of this data directory?"
    if status == 404 and why:
        return f"no such worker, or it is not ready yet ({why})"
    return f"{server_url}/rtc answers {status}: does a proxy pass WebSockets on? (nginx: proxy_set_header Upgrade)"


async def _addresses_of(server_url: str) -> tuple[str, ...]:
    host = urlsplit(server_url).hostname or ""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(dict.fromkeys(str(one[4][0]).partition("%")[0] for one in found))


def judge_addresses(announced: Sequence[str], pages: Sequence[str]) -> Iterable[Finding]:
    """Judge what is announced beside where the pages are served from: addresses as text."""
    media, web = [[ipaddress.ip_address(one) for one in some] for some in (announced, pages)]
    yield "ok", f"browsers are told of {', '.join(announced)}"
    if not media:
        yield "bad", f"no address is announced: {_MEND_ADDRESS}"
    elif all(one.is_loopback for one in media):
        if any(not one.is_loopback for one in web):
            yield "bad", f"only this machine itself is told of, though the pages are served to others: {_MEND_ADDRESS}"
        else:
            yield "note", "only loopback addresses are announced: Firefox does not use them, and no other machine can"
    elif any(one.is_global for one in web) and not any(one.is_global for one in media):
        told = ", ".join(str(one) for one in web if one.is_global)
        yield (
            "bad",
            f"the pages are served to the internet ({told}), the media only to a private network: {_MEND_ADDRESS}",
        )


def judge_checks(
    checks: Sequence[tuple[reach.Candidate, reach.Finding]], relays: Sequence[tuple[str, reach.Finding]]
) -> Iterable[Finding]:
    """Judge what was found at each address: a call needs one that answers, and UDP is the better one."""
    works = {candidate.transport for candidate, found in checks if found.took_s is not None}
    relay_works = any(found.took_s is not None for _, found in relays)
    for candidate, found in checks:
        where = f"{candidate.transport.upper()} {_with_port(candidate)}"
        if found.took_s is not None:
            yield "ok", f"{where} answers in {found.took_s * 1000:.1f} ms"
        else:
            # one way is enough for a call: what else does not work is worth knowing, not worth an alarm
            yield ("note" if works else "bad"), f"{where}: {found.why}; {_mend(candidate, found)}"
    for url, found in relays:
        if found.took_s is not None:
            yield "ok", f"{url} gives relays, in {found.took_s * 1000:.1f} ms"
        else:
            yield "bad", f"{url}: {found.why}; check its address and its secret (ONEINBOX_ICE_SERVERS)"
    if "udp" in works:
        yield "ok", "a browser here would talk over UDP"
    elif works:
        yield "note", "a browser here would talk over TCP: it works, but lost packets make it stutter; open UDP"
    elif relay_works:
        yield "note", "a browser here could talk through the TURN server only"
    else:
        yield "bad", "a browser here could not talk: calls would ring and stay silent"


def _mend(candidate: reach.Candidate, found: reach.Finding) -> str:
    if "refused" in found.why.lower():
        return f"nothing listens there: is {candidate.address} this server? If not, {_MEND_ADDRESS}"
    if "unreachable" in found.why.lower() or "no route" in found.why.lower():
        return "there is no way from here to that network"
    port = f"{candidate.port}/{candidate.transport}"
    return (
        f"open {port} in the firewall and forward it where there is NAT; or the address is wrong: {_MEND_ADDRESS} "
        "(some routers do not let a machine reach its own public address: then try from elsewhere)"
    )


def _with_port(candidate: reach.Candidate) -> str:
    return (
        f"[{candidate.address}]:{candidate.port}"
        if ":" in candidate.address
        else f"{candidate.address}:{candidate.port}"
    )
