# ruff: noqa: RUF001 - characters that look like others are what this is about
"""URLs that users give: what must never be connected to, written in every way that is known to have worked somewhere."""

import ipaddress

import pytest

from oneinbox.core.outbound import AddressPolicy, UrlRefusedError, is_public, read_outbound_url

_FORBIDDEN_V4 = (
    "0.0.0.0", "0.0.0.1", "0.255.255.255", "10.0.0.0", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200",
    "100.127.255.254", "127.0.0.1", "127.0.1.1", "127.255.255.254", "168.63.129.16", "169.254.0.1",
    "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.254", "192.0.0.1", "192.0.0.170", "192.0.0.192",
    "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.0.1", "192.168.255.255", "192.175.48.1",
    "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.7", "224.0.0.1", "224.0.0.251", "239.255.255.250",
    "240.0.0.1", "254.1.1.1", "255.255.255.255",
)  # fmt: skip
_FORBIDDEN_V6 = (
    "::", "::1", "::2", "0:0:0:0:0:0:0:1", "::127.0.0.1", "::169.254.169.254", "::8.8.8.8",
    "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe",
    "::ffff:8.8.8.8", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::8.8.8.8",
    "64:ff9b:1::10.0.0.1", "100::1", "2001::1", "2001:0:53aa:64c:0:0:0:1", "2001:2::1", "2001:10::1", "2001:20::1",
    "2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::", "2002:a00:1::1", "2002:808:808::1", "2620:4f:8000::1",
    "3ffe::1", "3fff::1", "4000::1", "5f00::1", "fc00::1", "fd00::1", "fd00:ec2::254", "fdff:ffff::1",
    "fe80::1", "fe80::a9fe:a9fe", "febf::1", "fec0::1", "ff01::1", "ff02::1", "ff02::fb", "ff0e::1",
    "2606:4700::5efe:127.0.0.1", "2606:4700::200:5efe:10.0.0.1",
)  # fmt: skip
_SAME_ADDRESS_WRITTEN_OTHERWISE = (
    "http://2130706433/", "http://2852039166/", "http://0x7f000001/", "http://0X7F000001/", "http://0x7f.0.0.1/",
    "http://0x7f.1/", "http://017700000001/", "http://0177.0.0.1/", "http://0177.0.0.0x1/", "http://127.1/",
    "http://127.0.1/", "http://127.000.000.001/", "http://127.0.0.01/", "http://10.1/", "http://0/", "http://00/",
    "http://0x0/", "http://169.254.43518/", "http://0xa9fea9fe/", "http://0251.0376.0251.0376/",
    "http://169.254.169.254./", "http://127.0.0.1./", "http://127.0.0.1.:80/", "http://127.0.0.256/",
    "http://1.2.3.4.5/", "http://4294967297/", "http://340282366920938463463374607431768211457/", "http://0x/",
    "http://１２７.0.0.1/", "http://127。0。0。1/", "http://①②⑦.⓪.⓪.①/", "http://127．0．0．1/", "http://⑯⑨.254.169.254/",
    "http://[::1/", "http://::1/", "http://[::1]x/", "http://[::1]:/", "http://[[::1]]/", "http://[]/",
    "http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/", "http://[127.0.0.1]/", "http://[::ffff:127.0.0.1%1]/",
    "http://[v1.fe80]/", "http://[0x7f::1]/", "http://[1:2:3:4:5:6:7:8:9]/", "http://[::1::]/",
)  # fmt: skip
_NOT_ONE_READING = (
    "", " ", "http", "http:", "http:/", "http://", "http:///", "http:///path", "//example.com/", "/path", "example.com",
    "example.com:80", "http:example.com", "http:/example.com", "http:\\\\example.com", "http://example.com\\@127.0.0.1/",
    "http://127.0.0.1\\.example.com/", "http://user@example.com/", "http://user:pass@127.0.0.1/",
    "http://example.com@127.0.0.1/", "http://127.0.0.1@example.com/", "http://example.com:80@127.0.0.1/",
    "http://@127.0.0.1/", "http://a@b@example.com/", " http://example.com/", "http://example.com/ ", "http://exa mple.com/",
    "http://example.com/a b", "http://example.com/\r\nHost: 127.0.0.1", "http://example.com\n.evil.com/", "http://exam\tple.com/",
    "http://example.com/\x00", "http://\x00example.com/", "http://example.com\x7f/", "http://example.com/\u2028x",
    "http://example.com/\u200bx", "http://exam\u00a0ple.com/", "http://%31%32%37.0.0.1/", "http://127.0.0.1%00.example.com/",
    "http://example.com%2eevil.com/", "http://ex%61mple.com/", "http://example..com/", "http://.example.com/",
    "http://example.com./", "http://-example.com/", "http://example-.com/", "http://exam!ple.com/", "http://exam$ple/",
    "http://example.com:/", "http://example.com:0/", "http://example.com:65536/", "http://example.com:99999/",
    "http://example.com:080/", "http://example.com:+80/", "http://example.com:-1/", "http://example.com:8 0/",
    "http://example.com:80:80/", "http://example.com:http/", "http://example.com:８０/", "http://{{host}}/",
    "ftp://example.com/", "file:///etc/passwd", "file://localhost/etc/passwd", "gopher://127.0.0.1:6379/_INFO",
    "dict://127.0.0.1:11211/", "ldap://example.com/", "data:text/plain,hi", "javascript:alert(1)", "jar:http://x!/",
    "unix:/var/run/docker.sock", "http+unix://%2Fvar%2Frun%2Fdocker.sock/", "ws://example.com/", "tftp://example.com/",
    "http://example.com:22/", "http://example.com:25/", "http://example.com:53/", "http://example.com:110/",
    "http://example.com:445/", "http://example.com:587/", "http://example.com:993/", "http://example.com:2049/",
    "http://example.com:5060/", "http://example.com:6000/", "http://example.com:6667/", "http://example.com:10080/",
    "http://xn--/", "http://xn--a/", "http://xn--0.example/", "http://xn--a/\u0000", "http://" + "a" * 64 + ".com/", "http://" + "a." * 130 + "com/",
    "http://example.com/" + "a" * 2048,
)  # fmt: skip
_LOCAL_NAMES = ("http://localhost/", "http://LOCALHOST:8080/", "https://a.localhost/", "http://x.y.localhost:9999/")

HOSTILE = (
    *(f"http://{address}/" for address in _FORBIDDEN_V4),
    *(f"https://[{address}]:8443/x" for address in _FORBIDDEN_V6),
    *_SAME_ADDRESS_WRITTEN_OTHERWISE,
    *_NOT_ONE_READING,
    *_LOCAL_NAMES,
)


def test_there_are_enough_of_them() -> None:
    assert len(set(HOSTILE)) == len(HOSTILE)
    assert len(HOSTILE) >= 150


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_url_is_refused_before_any_look_up(url: str) -> None:
    with pytest.raises(UrlRefusedError):
        AddressPolicy().check_literal(read_outbound_url(url))


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://EXAMPLE.com:443/A?b=C#d", "https://example.com/A?b=C"),
        ("http://example.com:8080?x", "http://example.com:8080/?x"),
        ("http://münchen.example/ü", "http://xn--mnchen-3ya.example/ü"),
        ("https://a_b.example.com/", "https://a_b.example.com/"),
        ("https://8.8.8.8/dns-query", "https://8.8.8.8/dns-query"),
        ("https://[2606:4700:4700:0:0:0:0:1111]/", "https://[2606:4700:4700::1111]/"),
        ("http://model-server:11434/v1", "http://model-server:11434/v1"),
        ("https://example.com/{{order}}", "https://example.com/{{order}}"),
        ("https://1.example.com/", "https://1.example.com/"),
        ("https://example.0x7/", None),
    ],
)
def test_what_is_taken_is_written_in_one_way(given: str, read: str | None) -> None:
    if read is None:
        with pytest.raises(UrlRefusedError):
            read_outbound_url(given)
        return
    url = read_outbound_url(given)
    AddressPolicy().check_literal(url)
    assert str(url) == read
    assert read_outbound_url(str(url)) == url


@pytest.mark.parametrize("address", [*_FORBIDDEN_V4, *_FORBIDDEN_V6])
def test_no_special_address_is_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1",
     "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255",
     "198.20.0.0", "223.255.255.255", "2606:4700::1111", "2a00:1450::1", "2001:200::1", "2001:4860:4860::8888"],
)  # fmt: skip
def test_their_neighbours_are(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_an_operator_allows_networks_and_nothing_beside_them() -> None:
    policy = AddressPolicy.allowing(["192.168.7.0/24", "fd00:7::/64", "0.0.0.0/0", "::/0"])
    narrow = AddressPolicy.allowing(["192.168.7.0/24"])
    assert narrow.allows(ipaddress.ip_address("192.168.7.9"))
    for address in ("192.168.8.1", "127.0.0.1", "::ffff:192.168.7.9"):
        assert not narrow.allows(ipaddress.ip_address(address))
    for address in ("0.0.0.0", "::", "224.0.0.1", "ff02::1", "fe80::1%eth0"):
        assert not policy.allows(ipaddress.ip_address(address)), address
    narrow.check_literal(read_outbound_url("http://192.168.7.9:11434/v1"))
    with pytest.raises(UrlRefusedError):
        narrow.check_literal(read_outbound_url("http://localhost:11434/v1"))
    AddressPolicy.allowing(["127.0.0.0/8"]).check_literal(read_outbound_url("http://localhost:11434/v1"))
    with pytest.raises(ValueError, match="not-a-network"):
        AddressPolicy.allowing(["not-a-network"])


def test_a_refusal_names_no_address_of_ours() -> None:
    with pytest.raises(UrlRefusedError) as refusal:
        AddressPolicy().check_literal(read_outbound_url("http://localhost/"))
    assert "127" not in str(refusal.value)
