"""Requests of ours to URLs that users give (tools, webhooks, knowledge sources, model servers).

Each request resolves its host once, judges every address found, and connects to one of those: a name that answers
differently a moment later changes nothing. Redirects are requests again. TLS and ``Host`` keep the name.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import httpx

from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.core.outbound import (
    AddressPolicy,
    IpAddress,
    OutboundUrl,
    UrlRefusedError,
    not_public,
    read_outbound_url,
)

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Looks a host name up: name and port in, addresses out, best first. Raises ``OSError`` where there are none."""

MAX_REDIRECTS = 3
_RESOLVE_LIMIT_S = 5.0


@dataclass(frozen=True, kw_only=True)
class PinnedTarget:
    """Where a request goes: the URL as it was read, and the only addresses that may be connected to for it."""

    url: OutboundUrl
    addresses: tuple[IpAddress, ...]


async def system_resolver(host: str, port: int) -> Sequence[str]:
    """Look a name up as the system does."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class OutboundGuard:
    """Says where we connect to for our users, and makes the clients that keep to it."""

    def __init__(
        self,
        policy: AddressPolicy | None = None,
        *,
        resolver: Resolver = system_resolver,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._policy = policy or AddressPolicy()
        self._resolver = resolver
        self._transport = transport
        """What carries requests once they are pinned; ``None``: the network. Tests hand in their own."""

    @property
    def policy(self) -> AddressPolicy:
        """Which addresses may be connected to."""
        return self._policy

    def read(self, text: str, *, schemes: Sequence[str] = ("http", "https")) -> OutboundUrl:
        """Read a URL and refuse what can be refused without a look-up. Raises ``UrlRefusedError``."""
        url = read_outbound_url(text, schemes=schemes)
        self._policy.check_literal(url)
        return url

    def require(self, text: str, *, param: str, schemes: Sequence[str] = ("http", "https")) -> OutboundUrl:
        """Read a URL that stands in a request's body. Raises ``AppError`` (``url_not_allowed``)."""
        try:
            return self.read(text, schemes=schemes)
        except UrlRefusedError as error:
            raise url_not_allowed(error, param=param) from None

    async def check(self, text: str, *, schemes: Sequence[str] = ("http", "https")) -> PinnedTarget:
        """Return where a request to this URL may go. Raises ``UrlRefusedError``.

        A name with even one address that is not allowed is refused as a whole.
        """
        url = self.read(text, schemes=schemes)
        literal = url.literal
        if literal is not None:
            return PinnedTarget(url=url, addresses=(literal,))
        try:
            async with asyncio.timeout(_RESOLVE_LIMIT_S):
                found = await self._resolver(url.host, url.port)
            addresses = tuple(ipaddress.ip_address(address) for address in found)
        except (OSError, ValueError, UnicodeError):  # a timeout is an OSError too
            addresses = ()
        if not addresses:
            raise UrlRefusedError(f"the host {url.host[:80]!r} cannot be found")
        if not all(self._policy.allows(address) for address in addresses):
            raise not_public(url.host)
        return PinnedTarget(url=url, addresses=addresses)

    def open_client(
        self,
        *,
        timeout_s: float = 10.0,
        follow_redirects: bool = False,
        verify: ssl.SSLContext | None = None,
        keep_alive: bool = False,
    ) -> httpx.AsyncClient:
        """Return a client for users' URLs; close it after use.

        ``verify`` saves making the certificates' store anew. ``keep_alive`` is for a client that asks one host alone.

        Its requests raise ``UrlRefusedError`` where they may not go, beside httpx's own errors. Redirects, where they
        are followed, number three at most. No proxy and no ``.netrc`` of the environment is used.
        """
        carrier = self._transport or httpx.AsyncHTTPTransport(
            verify=True if verify is None else verify,
            # A kept connection is found by its address: another name's request could take it.
            limits=httpx.Limits(max_keepalive_connections=1 if keep_alive else 0),
            trust_env=False,
        )
        return httpx.AsyncClient(
            transport=_PinnedTransport(self, carrier),
            timeout=timeout_s,
            follow_redirects=follow_redirects,
            max_redirects=MAX_REDIRECTS,
            trust_env=False,
            headers={"User-Agent": "OneInbox", "Accept-Encoding": "identity"},
        )


class _PinnedTransport(httpx.AsyncBaseTransport):
    """Checks each request, and sends it to the addresses found and no other."""

    def __init__(self, guard: OutboundGuard, carrier: httpx.AsyncBaseTransport) -> None:
        self._guard = guard
        self._carrier = carrier

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request."""
        target = await self._guard.check(str(request.url))
        headers = request.headers.copy()
        headers["Host"] = target.url.authority
        *others, last = target.addresses
        for address in others:
            try:
                return await self._carrier.handle_async_request(_pinned(request, headers, target, address))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue  # nothing was sent: the next address may answer
        return await self._carrier.handle_async_request(_pinned(request, headers, target, last))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._carrier.aclose()


def _pinned(request: httpx.Request, headers: httpx.Headers, target: PinnedTarget, address: IpAddress) -> httpx.Request:
    extensions = dict(request.extensions)
    if target.url.scheme == "https" and target.url.literal is None:
        extensions["sni_hostname"] = target.url.host  # the certificate is checked against it too
    return httpx.Request(
        request.method,
        request.url.copy_with(host=str(address), port=target.url.port),
        headers=headers,
        stream=request.stream,
        extensions=extensions,
    )


def url_not_allowed(error: UrlRefusedError, *, param: str) -> AppError:
    """Return the error for a URL that we do not connect to."""
    return AppError("url_not_allowed", str(error), ErrorKind.INVALID, param=param)
