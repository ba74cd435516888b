"""Which web pages may use a publishable key: origins, read by the URL standard's rules and compared as tuples.

An origin is (scheme, host, port) (RFC 6454, https://url.spec.whatwg.org/#origin). Hosts are compared as lower-case
A-labels, ports with the scheme's default filled in. Nothing is compared by suffix or pattern: an entry
``https://*.example.com`` admits hosts of which ``example.com`` is a true parent domain, and not ``example.com`` itself.

This lock stops other web sites from using a key. It is no authentication: a program can send any ``Origin``.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

ANY = "*"
MAX_ORIGIN_BYTES = 255
_DEFAULT_PORTS = {"http": 80, "https": 443}
_SPLIT = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*)://(?P<rest>.*)", re.DOTALL)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_\-]{0,61}[a-z0-9_])?")
_PORT = re.compile(r"[0-9]{1,5}")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

# Second-level names below which registries sell domains (co.uk, com.au), and hosts that give a subdomain to anyone: a
# wildcard over them would admit strangers. Not the whole public-suffix list: a guard against the likely mistakes.
_REGISTRY_LABELS = frozenset({"ac", "co", "com", "edu", "go", "gob", "gov", "gv", "ne", "net", "nom", "or", "org"})
_SHARED_HOSTS = frozenset(
    {
        "amplifyapp.com",
        "appspot.com",
        "azurewebsites.net",
        "azurestaticapps.net",
        "blogspot.com",
        "cloudfront.net",
        "deno.dev",
        "firebaseapp.com",
        "fly.dev",
        "github.io",
        "gitlab.io",
        "glitch.me",
        "herokuapp.com",
        "myshopify.com",
        "netlify.app",
        "ngrok.app",
        "ngrok.io",
        "onrender.com",
        "pages.dev",
        "railway.app",
        "repl.co",
        "surge.sh",
        "trycloudflare.com",
        "vercel.app",
        "web.app",
        "webflow.io",
        "workers.dev",
    }
)


class OriginError(ValueError):
    """This is no origin that can be used. The message says what is wrong and how to write it."""


@dataclass(frozen=True)
class Origin:
    """Where a page comes from."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"

    @property
    def is_this_machine(self) -> bool:
        """Whether browsers hold the host for their own machine (and its pages for trustworthy without TLS)."""
        if self.host.split(".")[-1] == "localhost":
            return True
        address = _address(self.host)
        return address is not None and address.is_loopback


@dataclass(frozen=True)
class OriginEntry:
    """One entry of a key's list: an origin, or with ``wildcard`` every deeper subdomain of it."""

    origin: Origin
    wildcard: bool

    def __str__(self) -> str:
        text = str(self.origin)
        return text.replace("://", "://*.", 1) if self.wildcard else text


class OriginList:
    """A key's list, ready to be asked. ``entries`` are canonical, as :func:`canonical_origins` returns them."""

    def __init__(self, entries: Sequence[str]) -> None:
        self._any = ANY in entries
        parsed = [_parse_entry(entry) for entry in entries if entry != ANY]
        self._exact = frozenset(entry.origin for entry in parsed if not entry.wildcard)
        self._parents = frozenset(entry.origin for entry in parsed if entry.wildcard)

    def allows(self, origin: Origin) -> bool:
        """Whether a page of this origin may use the key."""
        if self._any or origin in self._exact:
            return True
        if not self._parents or _address(origin.host) is not None:
            return False
        labels = origin.host.split(".")
        parents = (".".join(labels[depth:]) for depth in range(1, len(labels)))
        return any(Origin(origin.scheme, parent, origin.port) in self._parents for parent in parents)


@lru_cache(maxsize=1024)
def origin_list(entries: tuple[str, ...]) -> OriginList:
    """Return the list of these canonical entries: busy keys ask for the same one with every request."""
    return OriginList(entries)


def parse_sent_origin(values: Sequence[str]) -> Origin | None:
    """Read the ``Origin`` headers of a request; ``None`` where there is not exactly one that is an http(s) origin.

    ``null`` is no origin: sandboxed frames, files and anybody's data URLs share it.
    """
    if len(values) != 1 or not values[0].isascii() or len(values[0]) > MAX_ORIGIN_BYTES:
        return None
    return _origin_of(values[0])


@lru_cache(maxsize=4096)
def _origin_of(text: str) -> Origin | None:
    try:
        return _parse(text)
    except OriginError:
        return None


def canonical_origins(entries: Sequence[str], *, allow_insecure: bool = False) -> list[str]:
    """Check a new list and write it as it is kept: canonical, without repeats, in the order given.

    Raises :class:`OriginError` naming the entry and the mend.
    """
    if not entries:
        raise OriginError('at least one origin is needed, such as https://example.com ("*" admits every page)')
    if ANY in entries:
        if len(set(entries)) > 1:
            raise OriginError('"*" admits every page: list it alone, or leave it out')
        return [ANY]
    kept: dict[str, None] = {}
    for text in entries:
        entry = _parse_entry(text)
        if entry.origin.scheme == "http" and not entry.origin.is_this_machine and not allow_insecure:
            raise OriginError(
                f"{_quoted(text)}: use https:// (browsers give http pages no microphone, except on localhost)"
            )
        if entry.wildcard:
            _check_wildcard(text, entry.origin)
        kept[str(entry)] = None
    return list(kept)


def _parse_entry(text: str) -> OriginEntry:
    scheme, separator, rest = text.partition("://")
    wildcard = bool(separator) and rest.startswith("*.")
    if wildcard:
        rest = rest[2:]
    if "*" in rest:
        raise OriginError(f"{_quoted(text)}: one * is understood, as the first label: https://*.example.com")
    try:
        return OriginEntry(_parse(f"{scheme}{separator}{rest}"), wildcard)
    except OriginError as error:
        raise OriginError(f"{_quoted(text)}: {error}") from None


def _check_wildcard(text: str, base: Origin) -> None:
    if _address(base.host) is not None:
        raise OriginError(f"{_quoted(text)}: an IP address has no subdomains; write it without *.")
    labels = base.host.split(".")
    if base.host == "localhost":
        return
    sold_below = len(labels) == 2 and len(labels[1]) == 2 and labels[0] in _REGISTRY_LABELS
    if len(labels) == 1 or sold_below or base.host in _SHARED_HOSTS:
        raise OriginError(
            f"{_quoted(text)}: anybody can have a name below {base.host}; name a domain of your own, "
            f"such as https://*.example.{base.host}"
        )


def _parse(text: str) -> Origin:
    if len(text.encode()) > MAX_ORIGIN_BYTES:
        raise OriginError(f"longer than {MAX_ORIGIN_BYTES} bytes")
    if text == "null":
        raise OriginError("null is what pages without an origin send; it cannot be told whose they are")
    split = _SPLIT.fullmatch(text)
    if split is None:
        raise OriginError("write it with its scheme, such as https://example.com")
    scheme = split["scheme"].lower()
    if scheme not in _DEFAULT_PORTS:
        raise OriginError("only https:// (and http:// on localhost) pages can call")
    rest = split["rest"]
    for mark, what in (("/", "a path or trailing slash"), ("\\", "a backslash"), ("?", "a query"), ("#", "a fragment")):
        if mark in rest:
            raise OriginError(f"leave out {what}: an origin is scheme, host and port only")
    if "@" in rest:
        raise OriginError("leave out the user name: an origin is scheme, host and port only")
    host, port = _split_port(rest)
    return Origin(scheme, _host(host), _DEFAULT_PORTS[scheme] if port is None else port)


def _split_port(rest: str) -> tuple[str, int | None]:
    host, colon, port = rest, "", ""
    if rest.startswith("["):
        inside, bracket, behind = rest.partition("]")
        if not bracket or (behind and not behind.startswith(":")):
            raise OriginError("the address in brackets is not closed")
        host, colon, port = inside + bracket, behind[:1], behind[1:]
    elif ":" in rest:
        host, colon, port = rest.partition(":")
    if not colon:
        return host, None
    if not _PORT.fullmatch(port) or not 0 < int(port) <= 65535:
        raise OriginError("the port has to be a number from 1 to 65535")
    return host, int(port)


def _host(text: str) -> str:
    if text.startswith("["):
        try:
            address = ipaddress.IPv6Address(text[1:-1])
        except ValueError:
            raise OriginError("the address in brackets is not an IPv6 address") from None
        if address.scope_id is not None:
            raise OriginError("leave out the zone of the address")
        return f"[{address.compressed}]"
    host = _a_labels(text)
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise OriginError("write the IPv4 address as four decimal numbers, such as 127.0.0.1") from None
    if host.endswith("."):
        raise OriginError("leave out the dot at the end of the host")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise OriginError("the host is not a valid name")
    return host


def _a_labels(host: str) -> str:
    """Lower-case the host and turn what is not ASCII into A-labels (UTS 46, as browsers do)."""
    if host.isascii():
        lowered = host.lower()
        if "xn--" not in lowered:
            return lowered
    import idna  # noqa: PLC0415 - its tables take memory, and hardly any list needs them

    try:
        mapped = idna.uts46_remap(host, std3_rules=False, transitional=False)
        labels = [label if label.isascii() else idna.alabel(label).decode("ascii") for label in mapped.split(".")]
        for label in labels:
            if label.startswith("xn--"):
                idna.ulabel(label)
    except (idna.IDNAError, UnicodeError):
        raise OriginError("the host is not a valid international name") from None
    return ".".join(labels)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if host.startswith("["):
        return ipaddress.IPv6Address(host[1:-1])
    if host.rpartition(".")[2].isdecimal():
        return ipaddress.IPv4Address(host)
    return None


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:80] + "…")
