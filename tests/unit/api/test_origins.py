"""Origins: how entries are read, what is refused with which mend, and what an entry admits."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneinbox.api.keys.origins import (
    Origin,
    OriginError,
    OriginList,
    canonical_origins,
    parse_sent_origin,
)

CANONICAL = [
    ("https://example.com", "https://example.com"),
    ("https://example.com:443", "https://example.com"),
    ("https://example.com:8443", "https://example.com:8443"),
    ("HTTPS://EXAMPLE.com", "https://example.com"),
    ("https://a-b.c_d.example.com", "https://a-b.c_d.example.com"),
    ("https://192.168.1.10", "https://192.168.1.10"),
    ("https://[2001:DB8:0:0::1]:8443", "https://[2001:db8::1]:8443"),
    ("https://bücher.example", "https://xn--bcher-kva.example"),
    ("https://BÜCHER.example", "https://xn--bcher-kva.example"),
    ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ("https://例え.テスト", "https://xn--r8jz45g.xn--zckzah"),
    ("https://faß.example", "https://xn--fa-hia.example"),  # not transitional: as browsers do
    ("https://example。com", "https://example.com"),  # an ideographic full stop is a dot
    ("https://example.com\u200b.evil.com", "https://example.com.evil.com"),  # invisible: shown as what it is
    ("http://localhost", "http://localhost"),
    ("http://localhost:80", "http://localhost"),
    ("http://localhost:3000", "http://localhost:3000"),
    ("http://app.localhost:3000", "http://app.localhost:3000"),
    ("http://127.0.0.1:5173", "http://127.0.0.1:5173"),
    ("http://127.9.9.9", "http://127.9.9.9"),
    ("http://[::1]:5173", "http://[::1]:5173"),
    ("https://*.example.com", "https://*.example.com"),
    ("https://*.a.example.com:8443", "https://*.a.example.com:8443"),
    ("https://*.my.vercel.app", "https://*.my.vercel.app"),
    ("http://*.localhost:3000", "http://*.localhost:3000"),
    ("*", "*"),
]

REFUSED = [
    ("", "scheme"),
    ("null", "null"),
    ("example.com", "scheme"),
    ("//example.com", "scheme"),
    ("https:example.com", "scheme"),
    ("https:/example.com", "scheme"),
    ("https://", "not a valid name"),
    ("https:///example.com", "slash"),
    ("https://example.com/", "trailing slash"),
    ("https://example.com/page", "path"),
    ("https://example.com\\", "backslash"),
    ("https://example.com?x=1", "query"),
    ("https://example.com#x", "fragment"),
    ("https://user@example.com", "user name"),
    ("https://user:pw@example.com", "user name"),
    ("https://example.com:", "port"),
    ("https://example.com:0", "port"),
    ("https://example.com:65536", "port"),
    ("https://example.com:99999999999999999999", "port"),
    ("https://example.com:80a", "port"),
    ("https://example.com:-1", "port"),
    ("https://example.com:٤٤٣", "port"),
    ("https://example.com.", "dot at the end"),
    ("https://example..com", "not a valid name"),
    ("https://.example.com", "not a valid name"),
    ("https://-example.com", "not a valid name"),
    ("https://exa mple.com", "not a valid name"),
    ("https://exa\tmple.com", "not a valid name"),
    ("https://example.com\n", "not a valid name"),
    ("\nhttps://example.com", "scheme"),
    (" https://example.com", "scheme"),
    ("https://example.com ", "not a valid name"),
    ("https://example.com\0", "not a valid name"),
    ("https://example.com,https://b.com", "slash"),
    ("https://ex%61mple.com", "not a valid name"),
    ("https://ex\u202eample.com", "international"),
    ("https://xn--a.example", "international"),
    ("https://xn--.example", "international"),
    ("https://" + "a" * 64 + ".com", "not a valid name"),
    ("https://" + "a." * 130 + "com", "255"),
    ("https://1.2.3", "four decimal"),
    ("https://1.2.3.4.5", "four decimal"),
    ("https://256.1.1.1", "four decimal"),
    ("https://0177.0.0.1", "four decimal"),
    ("https://0x7f.0.0.1", "four decimal"),
    ("https://0x7f000001", "four decimal"),
    ("https://2130706433", "four decimal"),
    ("https://127.1", "four decimal"),
    ("https://example.0x1", "four decimal"),
    ("https://[::1", "not closed"),
    ("https://[::1]x", "not closed"),
    ("https://[fe80::1%eth0]", "zone"),
    ("https://[1.2.3.4]", "IPv6"),
    ("https://[]", "IPv6"),
    ("https://::1", "port"),
    ("ftp://example.com", "only https"),
    ("ws://example.com", "only https"),
    ("wss://example.com", "only https"),
    ("file://", "only https"),
    ("chrome-extension://abcdef", "only https"),
    ("capacitor://localhost", "only https"),
    ("javascript:alert(1)", "scheme"),
    ("http://example.com", "use https"),
    ("http://localhost.example.com", "use https"),
    ("http://192.168.1.10", "use https"),
    ("http://128.0.0.1", "use https"),
    ("http://[::2]", "use https"),
    ("https://*", "first label"),
    ("https://*:443", "first label"),
    ("https://*.", ""),
    ("https://*.*", "first label"),
    ("https://*.*.example.com", "first label"),
    ("https://a.*.example.com", "first label"),
    ("https://a*.example.com", "first label"),
    ("https://*example.com", "first label"),
    ("https://example.*", "first label"),
    ("*.example.com", ""),
    ("*://example.com", "scheme"),
    ("https://*.com", "anybody"),
    ("https://*.co.uk", "anybody"),
    ("https://*.com.au", "anybody"),
    ("https://*.github.io", "anybody"),
    ("https://*.vercel.app", "anybody"),
    ("https://*.PAGES.dev", "anybody"),
    ("https://*.127.0.0.1", "IP address"),
    ("https://*.[::1]", "IP address"),
]


@pytest.mark.parametrize(("entry", "expected"), CANONICAL)
def test_an_entry_is_kept_in_its_canonical_form(entry: str, expected: str) -> None:
    assert canonical_origins([entry]) == [expected]
    assert canonical_origins([expected]) == [expected]


@pytest.mark.parametrize(("entry", "mend"), REFUSED)
def test_an_entry_that_is_no_origin_is_refused_with_a_mend(entry: str, mend: str) -> None:
    with pytest.raises(OriginError) as refusal:
        canonical_origins([entry])
    assert mend in str(refusal.value)
    assert len(str(refusal.value)) < 400
    with pytest.raises(OriginError):
        canonical_origins(["https://good.example", entry])


def test_a_list_has_no_repeats_and_keeps_its_order() -> None:
    entries = ["https://b.com", "https://a.com:443", "https://B.com", "https://a.com"]
    assert canonical_origins(entries) == ["https://b.com", "https://a.com"]


def test_an_empty_list_admits_nobody_and_is_refused() -> None:
    with pytest.raises(OriginError, match="at least one"):
        canonical_origins([])
    assert not OriginList([]).allows(Origin("https", "example.com", 443))


def test_the_operator_may_let_http_in() -> None:
    assert canonical_origins(["http://10.0.0.5:8080"], allow_insecure=True) == ["http://10.0.0.5:8080"]


ADMITTED = [
    ("https://example.com", "https://example.com", True),
    ("https://example.com", "https://example.com:443", True),
    ("https://example.com", "https://EXAMPLE.com", True),
    ("https://example.com", "http://example.com", False),
    ("https://example.com", "https://example.com:444", False),
    ("https://example.com", "https://www.example.com", False),
    ("https://example.com", "https://example.com.evil.com", False),
    ("https://example.com", "https://evilexample.com", False),
    ("https://example.com", "https://example-com.evil.com", False),
    ("https://example.com", "https://examplexcom", False),
    ("https://bücher.example", "https://xn--bcher-kva.example", True),
    ("https://example.com", "https://\u0435xample.com", False),  # a Cyrillic letter that looks like e
    ("http://localhost:3000", "http://localhost:3000", True),
    ("http://localhost:3000", "http://localhost:3001", False),
    ("http://localhost:3000", "http://localhost", False),
    ("http://localhost:3000", "https://localhost:3000", False),
    ("http://localhost:3000", "http://127.0.0.1:3000", False),
    ("http://[::1]:3000", "http://[0:0:0:0:0:0:0:1]:3000", True),
    ("https://*.example.com", "https://a.example.com", True),
    ("https://*.example.com", "https://a.b.example.com", True),
    ("https://*.example.com", "https://a_b.example.com", True),
    ("https://*.example.com", "https://example.com", False),
    ("https://*.example.com", "https://.example.com", False),
    ("https://*.example.com", "https://a..example.com", False),
    ("https://*.example.com", "https://evilexample.com", False),
    ("https://*.example.com", "https://a.example.com.evil.com", False),
    ("https://*.example.com", "https://a.evil.com", False),
    ("https://*.example.com", "http://a.example.com", False),
    ("https://*.example.com", "https://a.example.com:8443", False),
    ("https://*.example.com", "https://*.example.com", False),
    ("https://*.example.com:8443", "https://a.example.com:8443", True),
    ("https://*.example.com:8443", "https://a.example.com", False),
    ("https://*.a.example.com", "https://b.example.com", False),
    ("*", "https://anything.example", True),
    ("*", "http://anything.example", True),
    ("*", "null", False),
    ("*", "", False),
    ("*", "file://", False),
    ("*", "https://", False),
    ("https://1.2.3.4", "https://1.2.3.4", True),
    ("https://1.2.3.4", "https://a.1.2.3.4", False),
]


@pytest.mark.parametrize(("entry", "sent", "admitted"), ADMITTED)
def test_what_an_entry_admits(entry: str, sent: str, admitted: bool) -> None:
    allowed = OriginList(canonical_origins([entry]))
    origin = parse_sent_origin([sent])
    assert (origin is not None and allowed.allows(origin)) is admitted


@pytest.mark.parametrize("sent", [[], ["https://a.com", "https://a.com"], ["null"], ["https://" + "a" * 260]])
def test_a_request_has_to_name_one_origin(sent: list[str]) -> None:
    assert parse_sent_origin(sent) is None


LABEL = st.text(alphabet=string.ascii_lowercase + string.digits, min_size=1, max_size=8).filter(
    lambda text: not text[0].isdigit()
)
HOST = st.lists(LABEL, min_size=2, max_size=4).map(".".join)


@given(host=HOST, other=HOST, port=st.none() | st.integers(1, 65535))
def test_only_the_same_triple_is_admitted(host: str, other: str, port: int | None) -> None:
    text = f"https://{host}" + ("" if port is None else f":{port}")
    allowed = OriginList(canonical_origins([text]))
    origin = parse_sent_origin([text])
    assert origin is not None
    assert allowed.allows(origin)
    assert not allowed.allows(Origin("http", origin.host, origin.port))
    assert allowed.allows(Origin("https", other, origin.port)) is (other == host)
    assert not allowed.allows(Origin("https", f"{other}.{host}", origin.port))
    assert not allowed.allows(Origin("https", f"{host}.{other}", origin.port))


@given(parent=HOST, below=HOST)
def test_a_wildcard_admits_true_subdomains_only(parent: str, below: str) -> None:
    allowed = OriginList([f"https://*.{parent}"])
    assert allowed.allows(Origin("https", f"{below}.{parent}", 443))
    assert not allowed.allows(Origin("https", parent, 443))
    assert not allowed.allows(Origin("https", below + parent, 443)) or f".{below}{parent}".endswith(f".{parent}")


@given(st.text(max_size=60) | st.text(alphabet="htps:/.*[]@#?%\\0123a\n", max_size=40))
def test_any_text_is_an_origin_or_refused(text: str) -> None:
    for candidate in (text, f"https://{text}"):
        try:
            canonical = canonical_origins([candidate])
        except OriginError:
            continue
        assert canonical_origins(canonical) == canonical
