import pytest
from aioice import stun as reference
from hypothesis import given
from hypothesis import strategies as st

from oneinbox.live.media.embedded import stun
from oneinbox.live.media.embedded.ice import IceSession
from oneinbox.live.media.embedded.port import MediaPort

# RFC 5769, 2.1 and 2.2: a request signed with this password, and the address in its answer
PASSWORD = "VOkJxbRl1RmTxUk/WvJxBt"
REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae"
    "802200105354554e207465737420636c69656e74"
    "002400046e0001ff80290008932ff9b151263b36"
    "000600096576746a3a68367659202020"
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
    "80280004e57a3bcf"
)
MAPPED = bytes.fromhex("002000080001a147e112a643")


class FakePath:
    def __init__(self, address=("192.0.2.1", 32_853)):
        self.address = address
        self.sent = []
        self.forgotten = False

    def send(self, data):
        self.sent.append(data)

    def forget(self):
        self.forgotten = True


def check(
    session, *, password=None, theirs="abcd", nominate=False, role="ICE-CONTROLLING", username=None
) -> stun.BindingRequest:
    message = reference.Message(reference.Method.BINDING, reference.Class.REQUEST)
    message.attributes["USERNAME"] = username or f"{session.ufrag}:{theirs}"
    message.attributes["PRIORITY"] = 1
    message.attributes[role] = 99
    if nominate:
        message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity((password or session.password).encode())
    return stun.parse_binding_request(bytes(message))


def new_session():
    packets, selected = [], []
    session = IceSession(lambda data, now: packets.append(data), lambda: selected.append(1))
    return session, packets, selected


def test_the_request_of_the_rfc_is_read_and_authentic():
    request = stun.parse_binding_request(REQUEST)
    assert request.username == "evtj:h6vY"
    assert request.claims_controlled
    assert request.is_authentic(PASSWORD)
    assert not request.is_authentic(PASSWORD + "x")


def test_the_answer_is_what_an_independent_reader_expects():
    request = stun.parse_binding_request(REQUEST)
    answer = stun.build_success(request, ("192.0.2.1", 32_853), PASSWORD)
    assert MAPPED in answer  # as in the RFC's own answer
    read = reference.parse_message(answer)
    assert read.message_class == reference.Class.RESPONSE
    assert read.transaction_id == request.transaction
    assert read.attributes["XOR-MAPPED-ADDRESS"] == ("192.0.2.1", 32_853)
    assert read.check_message_integrity(PASSWORD.encode())


@pytest.mark.parametrize(("seen", "told"), [("2001:db8::1", "2001:db8::1"), ("::ffff:192.0.2.9", "192.0.2.9")])
def test_ipv6_addresses_are_told_as_what_they_are(seen, told):
    answer = stun.build_success(stun.parse_binding_request(REQUEST), (seen, 1234), PASSWORD)
    assert reference.parse_message(answer).attributes["XOR-MAPPED-ADDRESS"] == (told, 1234)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1],
        lambda data: data[:19],
        lambda data: data[:4] + b"\0\0\0\0" + data[8:],  # no cookie
        lambda data: data[:-1] + b"\0",  # fingerprint
        lambda data: data[:2] + b"\0\0" + data[4:20],  # no attributes: nobody's check
        lambda data: data[:22] + b"\xff\xff" + data[24:],  # an attribute longer than the message
        lambda data: b"\0" * 2000,
    ],
)
def test_a_spoilt_message_is_refused(spoil):
    with pytest.raises(stun.MalformedStunError):
        assert stun.parse_binding_request(spoil(REQUEST)) is None


def test_other_messages_are_nobody_s_business():
    indication = reference.Message(reference.Method.BINDING, reference.Class.INDICATION)
    assert stun.parse_binding_request(bytes(indication)) is None


@given(
    st.one_of(st.binary(max_size=120), st.binary(min_size=96, max_size=96).map(lambda tail: REQUEST[:20] + tail[:88]))
)
def test_no_bytes_can_do_more_than_be_refused(data):
    try:
        stun.parse_binding_request(data)
    except stun.MalformedStunError:
        pass


def test_a_check_that_knows_the_password_selects_its_path():
    session, _, selected = new_session()
    path = FakePath()
    assert session.check(check(session), path, 1.0)
    assert session.selected is path
    assert selected == [1]
    session.send(b"hello")
    assert path.sent[-1] == b"hello"
    assert session.heard_at_s == 1.0


def test_a_check_that_does_not_is_not_answered():
    session, _, selected = new_session()
    session.remote_ufrag = "abcd"
    path = FakePath()
    assert not session.check(check(session, password="x" * 24), path, 1.0)
    assert not session.check(check(session, theirs="dcba"), path, 1.0)
    assert not session.check(check(session, username="nobody:abcd"), path, 1.0)
    assert path.sent == []
    assert selected == []


def test_a_client_that_thinks_we_are_in_control_is_told_otherwise():
    session, _, _ = new_session()
    path = FakePath()
    assert session.check(check(session, role="ICE-CONTROLLED"), path, 1.0)
    assert reference.parse_message(path.sent[0]).error_code == 487
    assert session.selected is None


def test_media_that_comes_by_another_path_is_followed():
    session, packets, selected = new_session()
    old, new = FakePath(), FakePath(("192.0.2.2", 1))
    session.check(check(session), old, 1.0)
    session.receive(b"media", old, 1.1)
    session.confirm(1.1)
    session.check(check(session, nominate=True), new, 1.2)
    assert session.selected is old  # named, but media still comes by the old one
    session.receive(b"media", new, 1.3)
    session.confirm(1.3)
    assert session.selected is new
    assert packets == [b"media", b"media"]
    assert selected == [1]


def test_media_from_an_address_that_proved_nothing_is_followed_where_it_is_authentic():
    session, _packets, _ = new_session()
    old, new = FakePath(), FakePath(("192.0.2.2", 1))
    session.check(check(session), old, 1.0)
    assert not session.receive_from_stranger(b"forged", new, 1.1)
    assert session.selected is old
    assert session.heard_at_s == 1.0
    session._on_packet = lambda data, now_s: session.confirm(now_s)  # what a peer does once SRTP has found it authentic
    assert session.receive_from_stranger(b"media", new, 1.2)
    assert session.selected is new
    assert session.heard_at_s == 1.2
    session.close()
    assert new.forgotten


async def test_a_stream_s_number_belongs_to_whoever_had_it_first_and_goes_with_it():
    port = MediaPort()
    first, second = new_session()[0], new_session()[0]
    for session in (first, second):
        port.add(session)
        port.expect(0x01020304, session)
    assert port._senders == {bytes([1, 2, 3, 4]): first}
    port.remove(second)
    assert port._senders
    port.remove(first)
    assert not port._senders


def test_a_silent_client_that_moves_is_followed_when_it_says_so():
    session, _, _ = new_session()
    old, new = FakePath(), FakePath(("192.0.2.2", 1))
    session.check(check(session), old, 1.0)
    session.receive(b"media", old, 1.1)
    session.confirm(1.1)
    session.check(check(session, nominate=True), new, 9.0)
    assert session.selected is new


def test_a_lost_connection_falls_back_to_another_path():
    session, _, _ = new_session()
    first, second = FakePath(), FakePath(("192.0.2.2", 1))
    session.check(check(session), second, 1.0)
    session.check(check(session, nominate=True), first, 1.0)
    session.lose(session.selected)
    assert session.selected is not None
    session.lose(session.selected)
    assert session.selected is None
    session.send(b"dropped")


def test_paths_without_end_push_out_the_oldest_but_never_the_one_in_use():
    session, _, _ = new_session()
    used = FakePath()
    session.check(check(session), used, 1.0)
    others = [FakePath(("192.0.2.3", port)) for port in range(1, 60)]
    for path in others:
        session.check(check(session), path, 1.0)
    assert session.selected is used
    assert not used.forgotten
    assert others[0].forgotten
    session.close()
    assert all(path.forgotten for path in [used, *others])


def test_a_restart_takes_new_credentials():
    session, _, _ = new_session()
    before = check(session)
    session.restart()
    assert not session.check(before, FakePath(), 1.0)
