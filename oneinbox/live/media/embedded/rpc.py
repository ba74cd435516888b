"""Remote procedure calls over data packets, both ways, as LiveKit's clients do them (version 1 of their protocol).

A request is acknowledged as soon as it arrives, then answered with a payload or an error. Codes, caps and times are those of
LiveKit's own libraries (``RpcError`` in client-sdk-js), which read our answers. Nothing here waits for a network: packets are
handed to the queue of the page, and what comes is told by :class:`page.PageLine`.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

from livekit.protocol import models

from oneinbox.live.media.embedded import data
from oneinbox.live.media.embedded.names import AGENT_IDENTITY, RoomNames
from oneinbox.live.media.leg import LegListener, RpcCode, RpcError, RpcListener

_log = logging.getLogger(__name__)

MAX_PAYLOAD_BYTES = 15 * 1024
ACK_TIMEOUT_S = 7.0
"""How long a page may take to acknowledge a call: LiveKit's longest round trip."""
MAX_RESPONSE_S = 60.0
"""How long a call of the page's may run, whatever it asks for: only so many run at once, and each holds a place."""
UNSAID_RESPONSE_S = 15.0
"""How long one may run that does not say: what LiveKit's clients ask for unless told otherwise."""
_LEAST_RESPONSE_S = 1.0
_VERSION = 1
_MAX_MESSAGE_BYTES = 256
_MAX_RUNNING = 16
_MAX_ID = 128


class _Call:
    """A call of ours that a page is to answer."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.acknowledged: asyncio.Future[None] = loop.create_future()
        self.answer: asyncio.Future[str] = loop.create_future()

    def acknowledge(self) -> None:
        if not self.acknowledged.done():
            self.acknowledged.set_result(None)

    def fail(self, fault: RpcError) -> None:
        self.acknowledge()
        if not self.answer.done():
            self.answer.set_exception(fault)


class RpcLine:
    """The calls of one leg. ``spawn`` runs a coroutine until the leg is closed."""

    def __init__(
        self,
        listener: LegListener,
        names: Callable[[], RoomNames],
        outbox: data.DataQueue,
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
    ) -> None:
        self._listener = listener
        self._names = names
        self._outbox = outbox
        self._spawn = spawn
        self._ours: dict[str, _Call] = {}
        self._theirs: set[str] = set()

    # ---- ours

    async def perform(self, method: str, payload: str, timeout_s: float) -> str:
        """Call a method that the page registered; return its answer. Raises :class:`RpcError`.

        A page that is away has the time of an acknowledgement to come back. What timed out is not executed later.
        """
        if len(payload.encode()) > MAX_PAYLOAD_BYTES:
            raise RpcError(RpcCode.REQUEST_PAYLOAD_TOO_LARGE, "Request payload too large")
        call, call_id = _Call(), str(uuid.uuid4())
        request = models.RpcRequest(
            id=call_id,
            method=method,
            payload=payload,
            response_timeout_ms=int(max(timeout_s - ACK_TIMEOUT_S, _LEAST_RESPONSE_S) * 1000),
            version=_VERSION,
        )
        self._ours[call_id] = call
        self._outbox.put([self._packet(rpc_request=request)], call_id)
        try:
            async with asyncio.timeout(timeout_s):
                await self._acknowledged(call)
                return await call.answer
        except TimeoutError:
            raise RpcError(RpcCode.RESPONSE_TIMEOUT, "Response timeout") from None
        finally:
            del self._ours[call_id]
            self._outbox.take_back(call_id)

    async def _acknowledged(self, call: _Call) -> None:
        try:
            await asyncio.wait_for(asyncio.shield(call.acknowledged), ACK_TIMEOUT_S)
        except TimeoutError:
            raise RpcError(RpcCode.CONNECTION_TIMEOUT, "Connection timeout") from None

    def acknowledged(self, ack: models.RpcAck) -> None:
        """The page has got a request of ours."""
        if (call := self._ours.get(ack.request_id)) is not None:
            call.acknowledge()

    def answered(self, response: models.RpcResponse) -> None:
        """The page answers a request of ours."""
        call = self._ours.get(response.request_id)
        if call is None or call.answer.done():
            return
        if response.HasField("error"):
            error = response.error
            call.fail(RpcError(error.code, error.message, error.data or None))
        elif len(response.payload.encode()) > MAX_PAYLOAD_BYTES:
            call.fail(RpcError(RpcCode.RESPONSE_PAYLOAD_TOO_LARGE, "Response payload too large"))
        else:
            call.acknowledge()
            call.answer.set_result(response.payload)

    def page_gone(self) -> None:
        """The page that knew of our requests is gone: it will answer none of them."""
        for call in self._ours.values():
            call.fail(RpcError(RpcCode.RECIPIENT_DISCONNECTED, "Recipient disconnected"))

    # ---- theirs

    def asked(self, request: models.RpcRequest) -> None:
        """The page calls a method of the agent's: acknowledge it, carry it out, answer."""
        if not 0 < len(request.id) <= _MAX_ID or request.id in self._theirs:
            return
        self._outbox.put([self._packet(rpc_ack=models.RpcAck(request_id=request.id))])
        listener = self._listener
        if request.version != _VERSION:
            self._refuse(request.id, RpcError(RpcCode.UNSUPPORTED_VERSION, "Unsupported RPC version"))
        elif not isinstance(listener, RpcListener):
            self._refuse(request.id, RpcError.unsupported())
        elif len(request.payload.encode()) > MAX_PAYLOAD_BYTES:
            self._refuse(request.id, RpcError(RpcCode.REQUEST_PAYLOAD_TOO_LARGE, "Request payload too large"))
        elif len(self._theirs) >= _MAX_RUNNING:
            self._refuse(request.id, RpcError(RpcCode.APPLICATION_ERROR, "Too many calls at once"))
        else:
            self._theirs.add(request.id)
            self._spawn(self._carry_out(request, listener), f"rpc {request.method[:40]}")

    async def _carry_out(self, request: models.RpcRequest, listener: RpcListener) -> None:
        limit_s = min(request.response_timeout_ms / 1000 or UNSAID_RESPONSE_S, MAX_RESPONSE_S)
        try:
            async with asyncio.timeout(limit_s):
                payload = await _answer(listener, request)
        except RpcError as fault:
            self._refuse(request.id, fault)
        except TimeoutError:
            self._refuse(request.id, RpcError(RpcCode.RESPONSE_TIMEOUT, "Response timeout"))
        except Exception:  # noqa: BLE001 - the boundary of a call: the page waits for an answer whatever broke
            _log.exception("the method %s broke", request.method[:40])
            self._refuse(request.id, RpcError(RpcCode.APPLICATION_ERROR, "Application error in method handler"))
        else:
            response = models.RpcResponse(request_id=request.id, payload=payload)
            self._outbox.put([self._packet(rpc_response=response)])
        finally:
            self._theirs.discard(request.id)

    def _refuse(self, request_id: str, fault: RpcError) -> None:
        message = fault.message.encode()[:_MAX_MESSAGE_BYTES].decode(errors="ignore")
        details = (fault.data or "").encode()[:MAX_PAYLOAD_BYTES].decode(errors="ignore")
        error = models.RpcError(code=fault.code, message=message, data=details)
        self._outbox.put([self._packet(rpc_response=models.RpcResponse(request_id=request_id, error=error))])

    def _packet(self, **value: Any) -> bytes:
        return data.packet(AGENT_IDENTITY, self._names().agent_sid, **value)


async def _answer(listener: RpcListener, request: models.RpcRequest) -> str:
    payload = await listener.on_rpc(request.method, request.payload)
    if len(payload.encode()) > MAX_PAYLOAD_BYTES:
        raise RpcError(RpcCode.RESPONSE_PAYLOAD_TOO_LARGE, "Response payload too large")
    return payload
