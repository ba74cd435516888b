"""A WebSocket server of a few lines around ``EmbeddedMedia``: what the real server's sockets do, for tests and benches."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from oneinbox.core.link import MediaSettings, OpenSocket
from oneinbox.core.tasks import TaskScope
from oneinbox.core.tokens import InvalidTokenError, mint_participant_token, read_participant_token
from oneinbox.live.media.embedded import EmbeddedMedia

SECRET = "a-secret-for-tests-that-is-long-enough"
ISSUER = "test"


def token(room: str, identity: str = "caller", *, rejoin: bool = False, probe: bool = False, ttl_s: float = 600) -> str:
    """Return a participant token that the server below accepts."""
    return mint_participant_token(
        secret=SECRET, issuer=ISSUER, room_name=room, identity=identity, ttl_s=ttl_s, rejoin=rejoin, probe=probe
    )


class _Socket:
    """A ``SignalSocket`` whose messages wait in a queue until the WebSocket stands."""

    def __init__(self) -> None:
        self.refused: tuple[int, str] | None = None
        self.outgoing: asyncio.Queue[bytes | int] = asyncio.Queue()

    def accept(self) -> None:
        pass

    def refuse(self, status: int, message: str) -> None:
        self.refused = (status, message)

    def send(self, data: bytes) -> None:
        self.outgoing.put_nowait(data)

    def close(self, code: int = 1000) -> None:
        self.outgoing.put_nowait(code)


class MediaServer:
    """Signalling over real WebSockets on a port of its own, and static files beside it."""

    def __init__(self, media: EmbeddedMedia, files: dict[str, tuple[str, bytes]] | None = None) -> None:
        self.media = media
        self.files = files or {}
        self.connections: list[ServerConnection] = []
        self.url = ""
        self.media_port = 0
        self.paths: list[str] = []
        """The paths of the sockets that were let in."""
        self._ids = itertools.count(1)
        self._pending: dict[ServerConnection, tuple[int, _Socket]] = {}
        self._tasks = TaskScope("media server")
        self._server: Server | None = None

    async def start(self) -> None:
        self.media_port = await self.media.start()
        self._server = await serve(
            self._serve, "127.0.0.1", 0, process_request=self._check, compression=None, ping_interval=None
        )
        port = next(iter(self._server.sockets)).getsockname()[1]
        self.url = f"ws://127.0.0.1:{port}"

    async def aclose(self) -> None:
        await self.media.aclose()
        await self._tasks.aclose()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def cut_signalling(self) -> None:
        """Drop every WebSocket without a word, as a broken network does."""
        for connection in self.connections:
            connection.transport.abort()

    def _check(self, connection: ServerConnection, request: Request) -> Response | None:
        split = urlsplit(request.path)
        query = dict(parse_qsl(split.query))
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if split.path in self.files:
            kind, content = self.files[split.path]
            return Response(200, "OK", Headers({"Content-Type": kind, "Content-Length": str(len(content))}), content)
        try:
            known = read_participant_token(query.pop("access_token", "") or bearer, secret=SECRET, issuer=ISSUER)
        except InvalidTokenError as error:
            return _plain(connection, 401, str(error))
        if split.path.endswith("/validate"):
            return _plain(connection, 200, "success")
        socket, socket_id = _Socket(), next(self._ids)
        opened = OpenSocket(
            socket_id=socket_id,
            room_name=known.room_name,
            identity=known.identity,
            token_id=known.token_id,
            rejoin=known.rejoin,
            probe=known.probe,
            path=split.path,
            query=query,
        )
        self.media.on_socket_open(opened, socket)
        if socket.refused is not None:
            return _plain(connection, *socket.refused)
        self.paths.append(split.path)
        self._pending[connection] = (socket_id, socket)
        return None

    async def _serve(self, connection: ServerConnection) -> None:
        socket_id, socket = self._pending.pop(connection)
        self.connections.append(connection)
        writer = self._tasks.spawn(_write(connection, socket), "write")
        try:
            async for message in connection:
                if isinstance(message, bytes):
                    self.media.on_socket_data(socket_id, message)
        except ConnectionClosed:
            pass  # however it ended
        finally:
            self.media.on_socket_closed(socket_id)
            writer.cancel()
            self.connections.remove(connection)


def _plain(connection: ServerConnection, status: int, message: str) -> Response:
    response = connection.respond(HTTPStatus(status), message)
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


async def _write(connection: ServerConnection, socket: _Socket) -> None:
    try:
        while True:
            message = await socket.outgoing.get()
            if isinstance(message, int):
                await connection.close(message)
                return
            await connection.send(message)
    except ConnectionClosed:
        pass  # the reader sees it too


class RecordingListener:
    """A ``LegListener`` that keeps what happened."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.pcm = bytearray()
        self.frame_sizes: set[int] = set()
        self.texts: list[str] = []
        self.times: dict[str, float] = {}
        self.absences: list[str] = []
        self.connected = 0

    def _note(self, event: str) -> None:
        self.events.append(event)
        self.times.setdefault(event, time.monotonic())

    def on_joined(self) -> None:
        self._note("joined")

    def on_connected(self) -> None:
        self.connected += 1

    def on_active(self) -> None:
        self._note("active")

    def on_audio(self, pcm: bytes) -> None:
        self.pcm += pcm
        self.frame_sizes.add(len(pcm))

    def on_text(self, text: str) -> None:
        self.texts.append(text)

    def on_away(self) -> None:
        self.absences.append("away")

    def on_back(self) -> None:
        self.absences.append("back")

    def on_left(self, *, said_goodbye: bool) -> None:
        self._note("left, goodbye" if said_goodbye else "left, lost")


@asynccontextmanager
async def media_server(
    *,
    settings: MediaSettings | None = None,
    files: dict[str, tuple[str, bytes]] | None = None,
    make: Callable[[MediaSettings], EmbeddedMedia] | None = None,
) -> AsyncIterator[MediaServer]:
    """Run an endpoint on free ports of the loopback interface."""
    settings = settings or MediaSettings(bind_host="127.0.0.1", port=0)
    media = (make or new_media)(settings)
    server = MediaServer(media, files)
    await server.start()
    try:
        yield server
    finally:
        await server.aclose()


def new_media(settings: MediaSettings) -> EmbeddedMedia:
    """Return an endpoint whose rejoin tokens the server above accepts."""
    return EmbeddedMedia(settings, mint_rejoin_token=lambda room, who, _: token(room, who, rejoin=True))


async def until(condition: Callable[[], bool], timeout_s: float = 15.0, *, what: str = "it") -> None:
    """Wait until ``condition`` holds; fail where it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {timeout_s} s"
        await asyncio.sleep(0.01)
