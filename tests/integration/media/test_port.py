"""The shared port against strangers: nothing they send is answered, kept, or hurts a call."""

import asyncio
import random
import socket
import struct

import pytest

from oneinbox.core.link import MediaSettings
from oneinbox.live.media.embedded import port as port_module
from oneinbox.live.media.embedded import stun
from oneinbox.live.media.embedded.ice import IceSession
from oneinbox.live.media.embedded.port import MediaPort
from tests.support.media_server import media_server, until
from tests.unit.media.test_stun_ice import check


@pytest.fixture
async def port():
    made = MediaPort()
    await made.open("127.0.0.1", 0)
    yield made
    await made.aclose()


def new_session(port: MediaPort) -> tuple[IceSession, list[bytes]]:
    packets: list[bytes] = []
    session = IceSession(lambda data, now_s: packets.append(data), lambda: None)
    port.add(session)
    return session, packets


def framed(data: bytes) -> bytes:
    return struct.pack("!H", len(data)) + data


def request(session: IceSession, **changes) -> bytes:
    """Return a check as bytes."""
    made = check(session, **changes)
    length = len(made.signed) + 24
    header_fixed = made.signed
    attribute = struct.pack("!HH", 0x0008, 20) + made.signature
    assert length == len(header_fixed + attribute)
    return header_fixed + attribute


async def exchange(port: MediaPort, *packets: bytes, wait_s: float = 0.1) -> list[bytes]:
    """Send from a fresh UDP socket; return what comes back within ``wait_s``."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setblocking(False)
        for packet in packets:
            udp.sendto(packet, ("127.0.0.1", port.number))
        answers = []
        try:
            async with asyncio.timeout(wait_s):
                while True:
                    answers.append(await loop.sock_recv(udp, 2048))
        except TimeoutError:
            return answers


async def test_a_check_over_udp_opens_the_way_for_its_sender_alone(port: MediaPort):
    session, packets = new_session(port)
    (answer,) = await exchange(port, request(session), b"\x80media")
    assert stun.is_stun(answer)
    assert packets == [b"\x80media"]
    await exchange(port, b"\x80from somebody else")
    assert packets == [b"\x80media"]
    assert port.holdings() == (1, 1)
    port.remove(session)
    assert port.holdings() == (0, 0)


async def test_strangers_get_no_answer_and_leave_no_trace(port: MediaPort):
    session, packets = new_session(port)
    rng = random.Random(7)
    good = request(session)
    junk = [rng.randbytes(rng.randrange(1, 200)) for _ in range(300)]
    junk += [bytes([rng.randrange(4)]) + rng.randbytes(rng.randrange(200)) for _ in range(300)]
    for _ in range(300):
        spoilt = bytearray(good)
        spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randrange(8)
        junk.append(bytes(spoilt))
    forged = request(session, password="not the password at all")
    for at in range(0, len(junk), 100):
        assert await exchange(port, *junk[at : at + 100], forged, wait_s=0.05) == []
    assert packets == []
    assert port.holdings() == (1, 0)
    assert len(await exchange(port, good)) == 1
    port.remove(session)


async def test_the_same_over_tcp(port: MediaPort):
    session, packets = new_session(port)
    reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
    whole = framed(request(session)) + framed(b"\x80media") + framed(b"") + framed(b"\x80more")
    for at in range(0, len(whole), 7):  # however TCP cuts it
        writer.write(whole[at : at + 7])
        await writer.drain()
        await asyncio.sleep(0)
    length = struct.unpack("!H", await reader.readexactly(2))[0]
    assert stun.is_stun(await reader.readexactly(length))
    await until(lambda: len(packets) == 2, what="both packets")
    assert packets == [b"\x80media", b"\x80more"]
    session.send(b"\x80back")
    assert await reader.readexactly(7) == framed(b"\x80back")
    port.remove(session)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await reader.readexactly(1)
    writer.close()
    await until(lambda: port.holdings() == (0, 0), what="the end of the connection")


async def test_a_lost_tcp_connection_is_forgotten(port: MediaPort):
    session, _ = new_session(port)
    reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
    writer.write(framed(request(session)))
    await reader.readexactly(2)
    assert session.selected is not None
    writer.transport.abort()
    await until(lambda: session.selected is None, what="the loss")
    session.send(b"into the void")
    assert port.holdings() == (1, 0)
    port.remove(session)


async def test_a_frame_that_is_too_long_ends_its_connection(port: MediaPort):
    reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
    writer.write(struct.pack("!H", 65_000))
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await asyncio.wait_for(reader.readexactly(1), 5)
    writer.close()
    await until(lambda: port.holdings() == (0, 0), what="the end of the connection")


async def test_who_proves_nothing_is_shown_the_door(port: MediaPort, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(port_module, "_TCP_PROOF_S", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
    writer.write(framed(b"\x80media without a check"))
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await asyncio.wait_for(reader.readexactly(1), 5)
    writer.close()


async def test_a_crowd_that_proves_nothing_cannot_keep_others_out(port: MediaPort):
    session, _ = new_session(port)
    crowd = [await asyncio.open_connection("127.0.0.1", port.number) for _ in range(200)]
    reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
    writer.write(framed(request(session)))
    await asyncio.wait_for(reader.readexactly(2), 5)
    await until(lambda: port.holdings()[1] <= 129, what="the oldest's end")
    for _, other in [*crowd, (reader, writer)]:
        other.transport.abort()
    port.remove(session)
    await until(lambda: port.holdings() == (0, 0), what="everybody's end")


async def test_an_address_that_changes_hands_serves_its_new_owner(port: MediaPort):
    first, heard_first = new_session(port)
    second, heard_second = new_session(port)
    await exchange(port, request(first), b"\x80one", request(second), b"\x80two")
    assert heard_first == [b"\x80one"]
    assert heard_second == [b"\x80two"]
    assert first.selected is None
    port.remove(first)
    port.remove(second)
    assert port.holdings() == (0, 0)


async def test_bound_to_everything_it_announces_the_machine_s_own_addresses():
    async with media_server(settings=MediaSettings(bind_host="0.0.0.0", port=0)) as server:
        addresses = server.media._addresses
        assert addresses[-1] == "127.0.0.1"
        assert "0.0.0.0" not in addresses
    async with media_server(
        settings=MediaSettings(bind_host="0.0.0.0", port=0, announced_addresses=("192.0.2.7", "2001:db8::7"))
    ) as server:
        assert server.media._addresses == ("192.0.2.7", "2001:db8::7")
    async with media_server(settings=MediaSettings(bind_host="localhost", port=0)) as server:
        assert server.media._addresses in (("127.0.0.1",), ("::1",))


async def test_ipv6_works_where_the_machine_has_it():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    port = MediaPort()
    await port.open("::1", 0)
    session, packets = new_session(port)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp:
        udp.setblocking(False)
        udp.sendto(request(session), ("::1", port.number))
        udp.sendto(b"\x80media", ("::1", port.number))
        await until(lambda: packets == [b"\x80media"], what="the packet")
        assert session.selected.address[0] == "::1"
    port.remove(session)
    await port.aclose()
