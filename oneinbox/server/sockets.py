"""The signalling WebSockets: checks the participant token, then carries messages to the worker that owns the room.

The paths are LiveKit's (``/rtc/v1`` with one PeerConnection, ``/rtc`` with two, each with ``/validate``), so that its
official clients find them below ``server_url``.
"""

import asyncio
import logging

from fastapi import APIRouter, Request, WebSocket
from starlette.responses import PlainTextResponse, Response
from starlette.websockets import WebSocketDisconnect, WebSocketState

from oneinbox.core.link import OpenSocket
from oneinbox.core.tasks import TaskScope
from oneinbox.core.tokens import InvalidTokenError, ParticipantToken, read_participant_token
from oneinbox.server.worker_configuration import TOKEN_ISSUER
from oneinbox.server.workers import WorkerPool

_log = logging.getLogger(__name__)

ACCEPT_LIMIT_S = 5.0
MAX_QUEUED_MESSAGES = 256
_ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}
_PREFLIGHT = {**_ANY_ORIGIN, "Access-Control-Allow-Headers": "authorization", "Access-Control-Max-Age": "7200"}


class _Peer:
    """The wire end of one socket. The worker's messages wait here until the client has taken them."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[tuple[int, str] | None] = asyncio.get_running_loop().create_future()
        self.outgoing: asyncio.Queue[bytes | int] = asyncio.Queue()

    def accepted(self) -> None:
        """The worker takes the socket."""
        if not self.answer.done():
            self.answer.set_result(None)

    def refused(self, status: int, message: str) -> None:
        """The worker does not take it."""
        if not self.answer.done():
            self.answer.set_result((status, message))

    def received(self, data: bytes) -> None:
        """A message for the client."""
        if self.outgoing.qsize() >= MAX_QUEUED_MESSAGES:
            self.closed(1013)  # the client does not read; it will come back
        else:
            self.outgoing.put_nowait(data)

    def closed(self, code: int) -> None:
        """The worker closes the socket, or is gone."""
        self.refused(503, "the call's worker is gone")
        self.outgoing.put_nowait(code)


class _Refusals:
    """Why tokens were lately refused by workers: a browser cannot read a refused upgrade, so it asks ``/validate``.

    The answer there is always 401: LiveKit's clients take 404 for "this server is too old for this path".
    """

    def __init__(self, size: int = 1000) -> None:
        self._size = size
        self._why: dict[str, str] = {}

    def add(self, token_id: str, why: str) -> None:
        self._why[token_id] = why
        while len(self._why) > self._size:
            del self._why[next(iter(self._why))]

    def forget(self, token_id: str) -> None:
        """It was let in since."""
        self._why.pop(token_id, None)

    def why(self, token_id: str) -> str | None:
        return self._why.get(token_id)


def socket_routes(pool: WorkerPool, token_secret: str) -> APIRouter:
    """Return the routes of LiveKit's signalling."""
    router = APIRouter(include_in_schema=False)
    refusals = _Refusals()

    def check(connection: Request | WebSocket, *, origin_is_sent: bool = True) -> ParticipantToken:
        bearer = connection.headers.get("authorization", "").removeprefix("Bearer ")
        text = connection.query_params.get("access_token") or bearer
        if not text:
            raise InvalidTokenError("no token: pass access_token, or Authorization: Bearer")
        token = read_participant_token(text, secret=token_secret, issuer=TOKEN_ISSUER)
        origins = connection.headers.getlist("origin")
        if token.origin is not None and (origins or origin_is_sent) and origins != [token.origin]:
            raise InvalidTokenError("the token belongs to a page of another origin")
        return token

    @router.get("/rtc/validate")
    @router.get("/rtc/v1/validate")
    async def validate(request: Request) -> Response:
        """Say why a token is refused; LiveKit's clients ask after the WebSocket failed."""
        try:
            token = check(request, origin_is_sent=False)  # browsers leave it out of a page's request to its own server
        except InvalidTokenError as error:
            return PlainTextResponse(str(error), status_code=401, headers=_ANY_ORIGIN)
        if (why := refusals.why(token.token_id)) is not None:
            return PlainTextResponse(why, status_code=401, headers=_ANY_ORIGIN)
        return PlainTextResponse("success", headers=_ANY_ORIGIN)

    @router.options("/rtc/validate")
    @router.options("/rtc/v1/validate")
    async def may_validate() -> Response:
        """Let a page ask with its token in a header."""
        return Response(status_code=204, headers=_PREFLIGHT)

    @router.websocket("/rtc")
    @router.websocket("/rtc/v1")
    async def signal(websocket: WebSocket) -> None:
        """One client's signalling, for as long as it lasts."""
        try:
            token = check(websocket)
        except InvalidTokenError as error:
            await websocket.send_denial_response(PlainTextResponse(str(error), status_code=401))
            return
        await _carry(websocket, token, pool, refusals)

    return router


def _request(websocket: WebSocket, token: ParticipantToken, socket_id: int) -> OpenSocket:
    return OpenSocket(
        socket_id=socket_id,
        room_name=token.room_name,
        identity=token.identity,
        token_id=token.token_id,
        rejoin=token.rejoin,
        probe=token.probe,
        origin=token.origin,
        path=websocket.url.path,
        query={name: value for name, value in websocket.query_params.items() if name != "access_token"},
    )


async def _carry(websocket: WebSocket, token: ParticipantToken, pool: WorkerPool, refusals: _Refusals) -> None:
    async def refuse(status: int, message: str) -> None:
        refusals.add(token.token_id, message)
        await websocket.send_denial_response(PlainTextResponse(message, status_code=status))

    peer = _Peer()
    route = pool.open_socket(peer, lambda socket_id: _request(websocket, token, socket_id))
    if route is None:
        await refuse(404, "the call is over")
        return
    code = 1006
    scope = TaskScope("socket")
    try:
        refusal = await asyncio.wait_for(peer.answer, ACCEPT_LIMIT_S)
        if refusal is not None:
            await refuse(*refusal)
            return
        refusals.forget(token.token_id)
        await websocket.accept()
        scope.spawn(_send_out(websocket, peer), "send")
        while True:
            route.send(await websocket.receive_bytes())
    except WebSocketDisconnect as gone:
        code = gone.code
    except KeyError:
        code = 1003  # a text message: LiveKit's wire is binary
        await websocket.close(code)
    except TimeoutError:
        await websocket.send_denial_response(PlainTextResponse("the worker does not answer", status_code=503))
    finally:
        await scope.aclose()
        route.close(code)


async def _send_out(websocket: WebSocket, peer: _Peer) -> None:
    try:
        while True:
            item = await peer.outgoing.get()
            if isinstance(item, bytes):
                await websocket.send_bytes(item)
            else:
                if websocket.application_state is WebSocketState.CONNECTED:
                    await websocket.close(item)
                return
    except (WebSocketDisconnect, RuntimeError):
        return  # the client left while we were sending; the reading side sees it too
