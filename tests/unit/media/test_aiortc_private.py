"""The alarm: fails when aiortc, aioice or pylibsrtp change under the one module that uses their private parts."""

import asyncio
import importlib.metadata
import inspect
import re
from pathlib import Path

import pytest
from aiortc import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcsctptransport import RTCSctpTransport

import oneinbox.live.media
from oneinbox.live.media.embedded import aiortc_private
from oneinbox.live.media.embedded.aiortc_private import Certificate, SecureTransport

ADVICE = "read the changes of {}, run tests/integration/media against it, then change VERSIONS in aiortc_private.py"


@pytest.mark.parametrize("package", sorted(aiortc_private.VERSIONS))
def test_the_version_is_the_one_this_was_written_against(package: str):
    assert importlib.metadata.version(package) == aiortc_private.VERSIONS[package], ADVICE.format(package)


@pytest.mark.parametrize(
    ("owner", "name"), [(owner, name) for owner, names in aiortc_private.TOUCHED.items() for name in names]
)
def test_every_method_we_build_on_is_there(owner: type, name: str):
    assert callable(getattr(owner, name, None)), f"{owner.__name__}.{name} is gone: " + ADVICE.format("aiortc")


async def test_every_attribute_we_touch_is_there():
    transport = SecureTransport(
        Certificate(), send=lambda data: None, on_closed=lambda: None, on_channel=lambda c: None
    )
    made = {RTCDtlsTransport: transport._dtls, RTCSctpTransport: RTCSctpTransport(transport._dtls)}
    assert set(made) == set(aiortc_private.TOUCHED_OF_INSTANCES)
    for owner, names in aiortc_private.TOUCHED_OF_INSTANCES.items():
        for name in names:
            assert hasattr(made[owner], name), f"{owner.__name__}.{name} is gone: " + ADVICE.format("aiortc")
    await transport.aclose()


def test_what_aiortc_asks_of_its_ice_transport_is_what_ours_gives():
    source = inspect.getsource(RTCDtlsTransport)
    asked = set(re.findall(r"self\.transport\.(\w+)", source)) | set(re.findall(r"self\._transport\.(\w+)", source))
    given = {name for name in dir(aiortc_private._IceStandIn) if not name.startswith("__")}
    assert asked <= given, f"{asked - given} is new: " + ADVICE.format("aiortc")


def test_no_other_module_of_ours_touches_private_parts_of_these_packages():
    folder = Path(oneinbox.live.media.__file__).parent
    for path in folder.rglob("*.py"):
        if path.name != "aiortc_private.py":
            text = path.read_text()
            assert not re.search(r"\b(rtcdtlstransport|rtcsctptransport|rtcicetransport|pylibsrtp)\b", text), path
            assert "SLF001" not in text, path


async def test_two_of_them_shake_hands_carry_data_and_keys_and_say_goodbye():
    closed, channels, messages = [], [], []
    ends: list[SecureTransport] = []

    def new(side: int) -> SecureTransport:
        def send(data: bytes) -> None:
            asyncio.get_running_loop().call_soon(ends[1 - side].receive, data)

        return SecureTransport(
            Certificate(), send=send, on_closed=lambda: closed.append(side), on_channel=channels.append
        )

    ends += [new(0), new(1)]
    stands = await asyncio.gather(
        ends[0].connect(ends[1].fingerprints, begins=True, sctp_port=5000),
        ends[1].connect(ends[0].fingerprints, begins=False, sctp_port=5000),
    )
    assert stands == [True, True]
    packet = bytes.fromhex("806f0001000000020000000300") + b"voice"
    assert ends[1].srtp()[0].unprotect(ends[0].srtp()[1].protect(packet)) == packet
    with pytest.raises(aiortc_private.SrtpError):
        ends[1].srtp()[0].unprotect(packet + bytes(10))

    mine = RTCDataChannel(ends[0]._sctp, RTCDataChannelParameters(label="_reliable"))
    while not channels:
        await asyncio.sleep(0.01)
    channels[0].on("message", messages.append)
    mine.send(b"hello")
    while not messages:
        await asyncio.sleep(0.01)
    assert messages == [b"hello"]

    await ends[0].aclose()
    while not closed:
        await asyncio.sleep(0.01)
    assert closed == [1]
    await ends[1].aclose()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_a_certificate_that_is_not_the_one_promised_is_refused():
    ends: list[SecureTransport] = []

    def new(side: int) -> SecureTransport:
        return SecureTransport(
            Certificate(),
            send=lambda data: asyncio.get_running_loop().call_soon(ends[1 - side].receive, data) and None,
            on_closed=lambda: None,
            on_channel=lambda channel: None,
        )

    ends += [new(0), new(1)]
    wrong = Certificate()
    stranger = SecureTransport(wrong, send=lambda data: None, on_closed=lambda: None, on_channel=lambda c: None)
    other = asyncio.get_running_loop().create_task(ends[1].connect(ends[0].fingerprints, begins=False, sctp_port=None))
    assert not await ends[0].connect(stranger.fingerprints, begins=True, sctp_port=None)
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)
    for end in [*ends, stranger]:
        await end.aclose()
