"""Addresses that users give us to connect to: which are taken, and which could reach what only we can reach.

A URL is read strictly (one reading, or refused), and what its host resolves to is judged address by address. IPv4 is
judged against the special-purpose blocks of RFC 6890 and its registry, IPv6 by what is left: global unicast
(``2000::/3``) without the ranges that carry an IPv4 address or lead elsewhere. Nothing here opens a socket.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from oneinbox.core.errors import OneInboxError

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_URL_LENGTH = 2048
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)((?:/[^?#]*)?(?:\?[^#]*)?)(?:#.*)?")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"[1-9][0-9]{0,4}")

_MAIL_CHAT_AND_FILES = frozenset(
    {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, *range(6665, 6670), 6679, 6697, 10080}
)
"""Above 1023, the ports that the Fetch standard refuses: services that a request could speak to by accident."""

_SPECIAL_V4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT, and some clouds' metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's host agent, on an address that looks public
        "169.254.0.0/16",  # link-local: the metadata services
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_SPECIAL_V6 = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # Teredo, ORCHID, benchmarks
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address inside
        "2620:4f:8000::/48",
        "3ffe::/16",  # the former 6bone
        "3fff::/20",
    )
)
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})


class UrlRefusedError(OneInboxError):
    """We do not connect there. The message may be shown to whoever gave the URL: it names no address of ours."""


@dataclass(frozen=True, kw_only=True)
class OutboundUrl:
    """A URL that can be read in one way only."""

    scheme: str
    host: str
    """In lower case and ASCII; an IPv6 address without its brackets."""
    port: int
    target: str
    """Path and query."""

    @property
    def literal(self) -> IpAddress | None:
        """The address, where the host is one and no name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    @property
    def authority(self) -> str:
        """Host and port as a ``Host`` header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


@dataclass(frozen=True)
class AddressPolicy:
    """Which addresses may be connected to: the public ones, and the networks that the operator allows."""

    allowed_networks: tuple[IpNetwork, ...] = ()

    @classmethod
    def allowing(cls, networks: Iterable[str]) -> "AddressPolicy":
        """Return the policy that allows these networks (CIDR). Raises ``ValueError`` for what is none."""
        return cls(tuple(ipaddress.ip_network(network) for network in networks))

    def allows(self, address: IpAddress) -> bool:
        """Whether we connect to ``address``."""
        if address.is_multicast or address.is_unspecified or getattr(address, "scope_id", None) is not None:
            return False
        return self.is_operators(address) or is_public(address)

    def is_operators(self, address: IpAddress) -> bool:
        """Whether the operator named a network that holds ``address``."""
        return any(address.version == network.version and address in network for network in self.allowed_networks)

    def names(self, text: str) -> bool:
        """Whether ``text`` is an address in a network that the operator named."""
        return self.is_operators(ipaddress.ip_address(text))

    def check_literal(self, url: OutboundUrl) -> None:
        """Refuse a URL that needs no look-up to be refused. Raises :class:`UrlRefusedError`."""
        address = url.literal
        if address is None and (url.host == "localhost" or url.host.endswith(".localhost")):
            address = ipaddress.IPv4Address("127.0.0.1")
        if address is not None and not self.allows(address):
            raise not_public(url.host)


def is_public(address: IpAddress) -> bool:
    """Whether ``address`` is one that the whole internet reaches in the same way."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _SPECIAL_V4)
    if address.scope_id is not None or address not in _GLOBAL_V6:
        return False
    isatap = (int(address) >> 32) & 0xFFFFFFFF in _ISATAP
    return not isatap and not any(address in network for network in _SPECIAL_V6)


def not_public(host: str) -> UrlRefusedError:
    """Return the refusal of a host whose address is not public."""
    return UrlRefusedError(
        f"{host[:80]!r} is not on the public internet; the operator of this server can allow its network "
        "(ONEINBOX_ALLOWED_PRIVATE_NETWORKS)"
    )


def read_outbound_url(text: str, *, schemes: Iterable[str] = ("http", "https")) -> OutboundUrl:
    """Read a URL that somebody gave us. Raises :class:`UrlRefusedError` for whatever two programs could read differently."""
    if len(text) > MAX_URL_LENGTH:
        raise UrlRefusedError(f"the URL is longer than {MAX_URL_LENGTH} characters")
    if not text.isprintable() or any(char.isspace() or char == "\\" for char in text):
        raise UrlRefusedError("the URL holds a space, a backslash or a control character")
    found = _URL.fullmatch(text)
    if found is None:
        raise UrlRefusedError("this is no URL: write it out, such as https://example.com/path")
    scheme, authority, target = found[1].lower(), found[2], found[3]
    wanted = tuple(schemes)
    if scheme not in wanted or scheme not in _DEFAULT_PORTS:
        raise UrlRefusedError(f"the URL has to begin with {' or '.join(f'{one}://' for one in wanted)}")
    if "@" in authority:
        raise UrlRefusedError("the URL holds a user name: send credentials in a field meant for them")
    host, port = _host_and_port(authority, _DEFAULT_PORTS[scheme])
    if port not in (80, 443) and (port < 1024 or port in _MAIL_CHAT_AND_FILES):
        raise UrlRefusedError(f"port {port} is not for the web: 80, 443 and most above 1023 are")
    if not target.startswith("/"):
        target = f"/{target}"
    return OutboundUrl(scheme=scheme, host=host, port=port, target=target)


def _host_and_port(authority: str, default_port: int) -> tuple[str, int]:
    if authority.startswith("["):
        inside, bracket, rest = authority[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise UrlRefusedError("the host of the URL is not one")
        try:
            host = str(ipaddress.IPv6Address(inside)) if "%" not in inside else ""
        except ValueError:
            host = ""
        if not host:
            raise UrlRefusedError("the host of the URL is no IPv6 address")
        return host, _port(rest, default_port)
    name, colon, _ = authority.partition(":")
    return _name(name), _port(authority[len(name) :] if colon else "", default_port)


def _port(text: str, default: int) -> int:
    if not text:
        return default
    if not _PORT.fullmatch(text[1:]) or int(text[1:]) > 65535:
        raise UrlRefusedError("the port of the URL is not one")
    return int(text[1:])


def _name(text: str) -> str:
    if not text:
        raise UrlRefusedError("the URL has no host")
    host = text.lower() if text.isascii() else _ascii_name(text)
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise UrlRefusedError("the host of the URL is no host name")
    if text.isascii() and any(label.startswith("xn--") for label in labels):
        _check_punycode(host)
    if _NUMBER.fullmatch(labels[-1]):
        # Decimal, octal, hexadecimal and short forms mean different addresses to different programs.
        try:
            return str(ipaddress.IPv4Address(host)) if text.isascii() else _refuse_number()
        except ValueError:
            _refuse_number()
    return host


def _refuse_number() -> str:
    raise UrlRefusedError("the host of the URL is a number: write an IPv4 address as four plain decimal numbers")


def _ascii_name(text: str) -> str:
    import idna  # noqa: PLC0415 - large tables, for the few hosts that need them

    try:
        return idna.encode(text, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise UrlRefusedError("the host of the URL is no host name") from None


def _check_punycode(host: str) -> None:
    """Refuse what looks like an international name and is none: HTTP clients fail on it in their own ways."""
    import idna  # noqa: PLC0415 - as above

    try:
        idna.decode(host)
    except (idna.IDNAError, UnicodeError):
        raise UrlRefusedError("the host of the URL is no host name") from None
