"""Where requests to users' URLs really go: a resolver that changes its mind, redirects, several addresses."""

from collections.abc import Callable, Sequence

import httpx
import pytest

from oneinbox.core.outbound import AddressPolicy, UrlRefusedError
from oneinbox.net.outbound import OutboundGuard
from tests.unit.core.test_outbound import HOSTILE

PUBLIC, OTHER_PUBLIC = "93.184.215.14", "93.184.215.15"


class Resolver:
    """Answers each look-up of a name with the next of its answers; the last one stays."""

    def __init__(self, **names: Sequence[Sequence[str]]) -> None:
        self._names = {name.replace("_", "."): list(answers) for name, answers in names.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answers = self._names.get(host)
        if answers is None:
            raise OSError("no such host")
        return answers.pop(0) if len(answers) > 1 else answers[0]


def _hello(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, text="hello")


class Network(httpx.AsyncBaseTransport):
    """Writes down every connection that is tried, and answers by a rule."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response] | None = None) -> None:
        self._answer = answer or _hello
        self.connected: list[str] = []
        self.requests: list[httpx.Request] = []
        self.closed_addresses: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.connected.append(request.url.host)
        if request.url.host in self.closed_addresses:
            raise httpx.ConnectError("refused", request=request)
        self.requests.append(request)
        return self._answer(request)


async def test_the_address_that_was_judged_is_the_one_connected_to() -> None:
    resolver, network = Resolver(example_com=[[PUBLIC], ["127.0.0.1"]]), Network()
    guard = OutboundGuard(resolver=resolver, transport=network)
    async with guard.open_client() as client:
        answer = await client.get("https://example.com/path?q=1", headers={"X-Own": "1"})
        assert answer.text == "hello"
        assert str(answer.request.url) == "https://example.com/path?q=1"
        sent = network.requests[0]
        assert (sent.url.host, sent.headers["host"], sent.url.raw_path) == (PUBLIC, "example.com", b"/path?q=1")
        assert sent.extensions["sni_hostname"] == "example.com"
        assert sent.headers["x-own"] == "1"
        # The second look-up turns inwards: refused, and nothing is connected to.
        with pytest.raises(UrlRefusedError):
            await client.get("https://example.com/path")
    assert network.connected == [PUBLIC]
    assert resolver.asked == ["example.com", "example.com"]  # once for each request: no second look-up to be fooled by


@pytest.mark.parametrize(
    "answers",
    [
        ["10.0.0.1"],
        ["127.0.0.1", PUBLIC],
        [PUBLIC, "169.254.169.254"],
        [PUBLIC, "::1"],
        ["fe80::1%eth0"],
        ["64:ff9b::7f00:1"],
        ["::ffff:127.0.0.1"],
        ["2002:7f00:1::"],
        ["100.64.0.1"],
        ["0.0.0.0"],
        [],
        ["nonsense"],
    ],
)
async def test_a_name_with_one_bad_address_is_refused_whole(answers: list[str]) -> None:
    network = Network()
    guard = OutboundGuard(resolver=Resolver(example_com=[answers]), transport=network)
    async with guard.open_client() as client:
        with pytest.raises(UrlRefusedError) as refusal:
            await client.get("http://example.com/")
    assert network.connected == []
    assert not any(address in str(refusal.value) for address in answers if address)


async def test_a_redirect_inwards_is_refused_at_its_hop() -> None:
    def lead_on(request: httpx.Request) -> httpx.Response:
        ways = {
            "/literal": "http://169.254.169.254/latest/meta-data/",
            "/name": "https://inside.example/",
            "/scheme": "file:///etc/passwd",
            "/decimal": "http://2130706433/",
            "/ok": "https://example.com/end",
        }
        where = ways.get(request.url.path)
        return httpx.Response(302, headers={"Location": where}) if where else httpx.Response(200, text="end")

    for path in ("/literal", "/name", "/scheme", "/decimal"):
        network = Network(lead_on)
        guard = OutboundGuard(
            resolver=Resolver(example_com=[[PUBLIC]], inside_example=[["192.168.1.1"]]), transport=network
        )
        async with guard.open_client(follow_redirects=True) as client:
            with pytest.raises((UrlRefusedError, httpx.UnsupportedProtocol)):
                await client.get(f"https://example.com{path}")
        assert network.connected == [PUBLIC], path
    network = Network(lead_on)
    guard = OutboundGuard(resolver=Resolver(example_com=[[PUBLIC], [OTHER_PUBLIC]]), transport=network)
    async with guard.open_client(follow_redirects=True) as client:
        assert (await client.get("https://example.com/ok")).text == "end"
    assert network.connected == [PUBLIC, OTHER_PUBLIC]


async def test_redirects_end_after_three_and_are_not_followed_unasked() -> None:
    network = Network(lambda _: httpx.Response(302, headers={"Location": "https://example.com/again"}))
    guard = OutboundGuard(resolver=Resolver(example_com=[[PUBLIC]]), transport=network)
    async with guard.open_client(follow_redirects=True) as client:
        with pytest.raises(httpx.TooManyRedirects):
            await client.get("https://example.com/")
    assert len(network.connected) == 4
    async with guard.open_client() as client:
        assert (await client.get("https://example.com/")).status_code == 302


async def test_the_next_address_is_tried_where_one_does_not_connect() -> None:
    network = Network()
    network.closed_addresses = {PUBLIC}
    guard = OutboundGuard(resolver=Resolver(example_com=[[PUBLIC, OTHER_PUBLIC]]), transport=network)
    async with guard.open_client() as client:
        assert (await client.post("https://example.com/", content=b"x")).status_code == 200
        network.closed_addresses = {PUBLIC, OTHER_PUBLIC}
        with pytest.raises(httpx.ConnectError):
            await client.get("https://example.com/")
    assert network.connected == [PUBLIC, OTHER_PUBLIC, PUBLIC, OTHER_PUBLIC]


async def test_no_hostile_url_leads_to_a_connection() -> None:
    """Even where every name resolves to a public address: what is hostile is how they are written."""

    async def generous(host: str, port: int) -> Sequence[str]:
        return [PUBLIC]

    network = Network()
    guard = OutboundGuard(resolver=generous, transport=network)
    for url in HOSTILE:
        with pytest.raises(UrlRefusedError):
            await guard.check(url)
    async with guard.open_client(follow_redirects=True) as client:
        for url in HOSTILE:
            try:
                await client.get(url)
            except (UrlRefusedError, httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError):
                continue
    # What httpx itself could read in one way only is normalised by it: nothing but public names may be left of it.
    assert set(network.connected) <= {PUBLIC}


async def test_ports_literals_and_ipv6_keep_their_form() -> None:
    network = Network()
    guard = OutboundGuard(
        AddressPolicy.allowing(["127.0.0.0/8"]),
        resolver=Resolver(example_com=[["2606:4700::1111"]]),
        transport=network,
    )
    async with guard.open_client() as client:
        await client.get("http://example.com:8080/x")
        await client.get("http://127.0.0.1:9009/")
    assert [str(request.url) for request in network.requests] == [
        "http://[2606:4700::1111]:8080/x",
        "http://127.0.0.1:9009/",
    ]
    assert [request.headers["host"] for request in network.requests] == ["example.com:8080", "127.0.0.1:9009"]
