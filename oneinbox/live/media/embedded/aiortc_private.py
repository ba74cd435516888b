"""DTLS, SRTP keys and SCTP from aiortc, without its RTP, its ICE and its peer connection.

This is the only module that touches aiortc's private parts. aiortc is pinned; ``tests/unit/media/test_aiortc_private.py``
fails when its version changes or when anything named here is gone. What is private, and why it is needed:

- ``RTCDtlsTransport`` takes an ICE transport: ours stands in for it (``_recv``, ``_send``, ``role``, ``state``).
- ``_rx_srtp``, ``_tx_srtp``: the SRTP sessions made from the DTLS keys, used directly packet by packet.
- ``_set_role``: which side begins the handshake, as the SDP says.
- ``_task``: the loop that reads DTLS; what kills it must be seen.
- ``RTCSctpTransport._advertised_rwnd``: how much unfinished data a client has piled up.
- ``_data_channel_queue``, ``_outbound_queue``, ``_sent_queue``: whether the client has acknowledged all that was sent.
"""

import asyncio
import datetime
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pylibsrtp
from aiortc import (
    RTCCertificate,
    RTCDataChannel,
    RTCDataChannelParameters,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
)
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcicetransport import RTCIceTransport
from aiortc.rtcsctptransport import RTCSctpCapabilities, RTCSctpTransport

from oneinbox.live.media.embedded.sdp import MAX_DATA_MESSAGE_BYTES, Fingerprint

_log = logging.getLogger(__name__)

VERSIONS = {"aiortc": "1.16.0", "aioice": "0.13.0", "pylibsrtp": "1.0.0"}
"""What this module was written against."""

TOUCHED: dict[type, tuple[str, ...]] = {
    RTCDtlsTransport: ("_set_role", "_recv_next", "_write_ssl", "_setup_srtp", "_do_handshake"),
    RTCSctpTransport: ("_set_state", "_data_channel_send", "_data_channel_receive"),
}
"""Methods whose behaviour this module builds on, though it calls few of them."""
TOUCHED_OF_INSTANCES: dict[type, tuple[str, ...]] = {
    RTCDtlsTransport: ("_rx_srtp", "_tx_srtp", "_task", "_transport"),
    RTCSctpTransport: ("_advertised_rwnd", "_data_channel_queue", "_outbound_queue", "_sent_queue"),
}

SrtpSession = pylibsrtp.Session
SrtpError = pylibsrtp.Error
"""A packet that is not authentic, or was seen before."""

_MAX_WAITING_PACKETS = 256
_UNFINISHED_LIMIT_BYTES = -256 * 1024
_CERTIFICATE_MARGIN = datetime.timedelta(days=7)


class Certificate:
    """A worker's DTLS certificate, made new a week before it expires."""

    def __init__(self) -> None:
        self._current = RTCCertificate.generateCertificate()

    def current(self) -> RTCCertificate:
        """Return a certificate that is good for days."""
        if self._current.expires - datetime.datetime.now(datetime.UTC) < _CERTIFICATE_MARGIN:
            self._current = RTCCertificate.generateCertificate()
        return self._current


class _IceStandIn:
    """What ``RTCDtlsTransport`` asks of an ICE transport."""

    role = "controlled"
    state = "completed"

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send_now = send
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(_MAX_WAITING_PACKETS)
        self._closed = False

    def put(self, data: bytes) -> None:
        if not self._closed and not self._waiting.full():  # a flood is dropped: DTLS sends again
            self._waiting.put_nowait(data)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            while self._waiting.full():
                self._waiting.get_nowait()
            self._waiting.put_nowait(None)

    async def _recv(self) -> bytes:
        data = None if self._closed and self._waiting.empty() else await self._waiting.get()
        if data is None:
            raise ConnectionError("the peer is closed")
        return data

    async def _send(self, data: bytes) -> None:
        if self._closed:
            raise ConnectionError("the peer is closed")
        self._send_now(data)


class SecureTransport:
    """DTLS over packets that others carry, the SRTP sessions it makes, and SCTP inside it.

    ``on_closed`` is called once, when the client closed the connection or it failed after it stood.
    ``on_channel`` gets each data channel that the client opens, and each of ours once the client confirmed it.
    """

    def __init__(
        self,
        certificate: Certificate,
        *,
        send: Callable[[bytes], None],
        on_closed: Callable[[], None],
        on_channel: Callable[[RTCDataChannel], None],
    ) -> None:
        self._ice = _IceStandIn(send)
        self._dtls = RTCDtlsTransport(cast(RTCIceTransport, self._ice), [certificate.current()])
        self._dtls.on("statechange", self._state_changed)
        self._sctp: RTCSctpTransport | None = None
        self._on_closed = on_closed
        self._on_channel = on_channel
        self._stood = False
        self._closing = False

    @property
    def fingerprints(self) -> tuple[Fingerprint, ...]:
        """The hash of our certificate, as SDP tells it."""
        found = self._dtls.getLocalParameters().fingerprints
        return tuple(Fingerprint(one.algorithm, one.value) for one in found if one.algorithm == "sha-256")

    async def connect(
        self,
        fingerprints: tuple[Fingerprint, ...],
        *,
        begins: bool,
        sctp_port: int | None,
        channels: tuple[RTCDataChannelParameters, ...] = (),
    ) -> bool:
        """Shake hands with whoever holds a certificate of ``fingerprints``; whether it stands.

        ``begins``: we are the DTLS client. ``sctp_port``: the client's, where it wants data channels.
        ``channels``: those that we open.
        """
        dtls = cast(Any, self._dtls)
        dtls._set_role("client" if begins else "server")  # noqa: SLF001 - the reason for this module
        parameters = RTCDtlsParameters([RTCDtlsFingerprint(one.algorithm, one.value) for one in fingerprints])
        await self._dtls.start(parameters)
        if self._dtls.state != "connected":
            return False
        self._stood = True
        reading = cast("asyncio.Task[None]", dtls._task)  # noqa: SLF001 - see the top
        reading.add_done_callback(_log_death)
        if sctp_port is not None:
            self._sctp = RTCSctpTransport(self._dtls)
            self._sctp.on("datachannel", self._on_channel)
            await self._sctp.start(RTCSctpCapabilities(maxMessageSize=MAX_DATA_MESSAGE_BYTES), sctp_port)
            for parameters_of_one in channels:
                self._open_channel(RTCDataChannel(self._sctp, parameters_of_one))
        return True

    def _open_channel(self, channel: RTCDataChannel) -> None:
        channel.on("open", lambda: self._on_channel(channel))

    def srtp(self) -> tuple[SrtpSession, SrtpSession]:
        """Return the sessions for receiving and for sending; only once ``connect`` returned true."""
        dtls = cast(Any, self._dtls)
        return cast(SrtpSession, dtls._rx_srtp), cast(SrtpSession, dtls._tx_srtp)  # noqa: SLF001 - see the top

    def receive(self, data: bytes) -> None:
        """Take one DTLS packet."""
        self._ice.put(data)
        if self._sctp is not None:
            window = cast(int, cast(Any, self._sctp)._advertised_rwnd)  # noqa: SLF001 - see the top
            if window < _UNFINISHED_LIMIT_BYTES:
                _log.warning("a client sends messages that never end: its connection is closed")
                self._ice.close()

    @property
    def has_unacknowledged_data(self) -> bool:
        """Whether something that was sent to the page may not have arrived yet."""
        if self._sctp is None or self._sctp.state != "connected":
            return False
        sctp = cast(Any, self._sctp)
        return bool(sctp._data_channel_queue or sctp._outbound_queue or sctp._sent_queue)  # noqa: SLF001 - see the top

    def _state_changed(self) -> None:
        if self._dtls.state == "closed" and self._stood and not self._closing:
            self._closing = True
            self._on_closed()

    async def end_data(self) -> None:
        """Stop SCTP and its timers."""
        if self._sctp is not None:
            await self._sctp.stop()

    async def aclose(self) -> None:
        """Say goodbye in SCTP and DTLS and end every task."""
        self._closing = True
        await self.end_data()
        reading = cast("asyncio.Task[None] | None", cast(Any, self._dtls)._task)  # noqa: SLF001 - see the top
        await self._dtls.stop()
        self._ice.close()
        if reading is not None:
            await asyncio.wait([reading])
        self._dtls.remove_all_listeners()


def _log_death(reading: Awaitable[None]) -> None:
    task = cast("asyncio.Task[None]", reading)
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.warning("a client's DTLS connection ended with an error: %r", error)
