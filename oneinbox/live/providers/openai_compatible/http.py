"""Requests to one server for one stage: warm connections, our own time limits, and every failure as ``ProviderError``.

==================================  ==============================
what happened                       kind (retryable)
==================================  ==============================
401, 403                            auth (no)
429                                 rate_limited (yes)
any other answer below 500          rejected (no)
5xx                                 server (yes)
refused, reset, cut off             connection (yes)
too slow, at any step               timeout (yes)
an answer that makes no sense       protocol (yes)
==================================  ==============================
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from oneinbox.core.errors import ProviderError, ProviderErrorKind, Stage
from oneinbox.core.tasks import TaskScope
from oneinbox.live.providers.openai_compatible.settings import PROVIDER, Patience

_LOOPBACK = ("all://127.0.0.1", "all://localhost", "all://[::1]")
_QUOTED_CHARS = 200
_DRAIN_S = 0.05
_CLOSED_WORDS = ("disconnected", "closed connection")
"""What httpcore and h11 say of a connection that was closed too early, under the same error as for any nonsense."""
_MAX_BODY_BYTES = 4 * 1024 * 1024


class Endpoint:
    """One server, as one stage of a call sees it."""

    def __init__(
        self, client: httpx.AsyncClient, scope: TaskScope, stage: Stage, api_key: str | None, patience: Patience
    ) -> None:
        self._client = client
        self._scope = scope
        self._stage = stage
        self._key = api_key
        self._patience = patience

    def error(self, kind: ProviderErrorKind, detail: str, *, retryable: bool = True) -> ProviderError:
        """Return a failure of this stage; the key, should it stand in ``detail``, is masked."""
        if self._key:
            detail = detail.replace(self._key, "***")
        return ProviderError(PROVIDER, self._stage, kind, detail[: 2 * _QUOTED_CHARS], retryable=retryable)

    def nonsense(self, detail: str) -> ProviderError:
        """Return the failure of a server whose answer cannot be understood."""
        return self.error(ProviderErrorKind.PROTOCOL, detail)

    async def warm(self) -> None:
        """Open a connection, so that the first turn finds it open. Any failure waits for that turn to show itself."""
        by_s = asyncio.get_running_loop().time() + self._patience.connect_s + self._patience.between_chunks_s
        try:
            response = await self._send("GET", "models", {}, by_s)
        except ProviderError:
            return
        await Answer(self, response, by_s, self._patience).drain()
        await _close(response)

    @asynccontextmanager
    async def stream(self, path: str, **request: Any) -> AsyncGenerator["Answer"]:
        """POST, and yield the answer once its status says 2xx; raises ``ProviderError`` for everything else."""
        first_byte_by_s = asyncio.get_running_loop().time() + self._patience.first_byte_s
        response = await self._send("POST", path, request, first_byte_by_s)
        try:
            if not response.is_success:
                raise await self._refusal(response)
            yield Answer(self, response, first_byte_by_s, self._patience)
        finally:
            await _close(response)

    async def _send(self, method: str, path: str, request: dict[str, Any], by_s: float) -> httpx.Response:
        """Send a request, and return its answer once the headers are there.

        httpcore loses a connection of its pool for good when a request is cancelled while it waits for it or opens it.
        So the request runs in a task of its own: abandoned, it ends as soon as it can do so without harm.
        """
        sending = _Sending(self._client, method, path, request)
        task = self._scope.spawn(sending.run(), path)
        try:
            async with asyncio.timeout_at(by_s):
                await asyncio.shield(task)
        except (asyncio.CancelledError, TimeoutError) as error:
            sending.abandon(task)
            if sending.response is not None:
                await _close(sending.response)
            if isinstance(error, asyncio.CancelledError):
                raise
            raise self._failure(error) from None
        if sending.response is None:
            raise self._failure(sending.error or TimeoutError()) from None
        return sending.response

    async def _refusal(self, response: httpx.Response) -> ProviderError:
        kind, retryable = _kind_of(response.status_code)
        body = b""
        try:
            async with asyncio.timeout(self._patience.between_chunks_s):
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > 8 * _QUOTED_CHARS:
                        break
        except (httpx.HTTPError, TimeoutError):
            pass  # the status alone says enough
        return self.error(kind, f"HTTP {response.status_code}: {self.quote(body)}".rstrip(": "), retryable=retryable)

    def quote(self, body: bytes) -> str:
        """Return the start of a body, on one line, the key masked before anything is cut."""
        text = " ".join(body.decode("utf-8", "replace").split())
        if self._key:
            text = text.replace(self._key, "***")
        return text[:_QUOTED_CHARS]

    def _failure(self, error: Exception) -> ProviderError:
        """Return what kept an answer from coming. httpx's own words are not repeated: they may hold anything."""
        name = type(error).__name__
        if isinstance(error, (TimeoutError, httpx.TimeoutException)):
            return self.error(ProviderErrorKind.TIMEOUT, f"no answer in time ({name})")
        if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError)):
            return self.error(ProviderErrorKind.REJECTED, f"the request cannot be sent ({name})", retryable=False)
        if isinstance(error, httpx.DecodingError):
            return self.nonsense("the answer's compression is broken")
        if isinstance(error, httpx.RemoteProtocolError) and not any(word in str(error) for word in _CLOSED_WORDS):
            return self.nonsense("the answer is not HTTP")
        return self.error(ProviderErrorKind.CONNECTION, f"the connection failed ({name})")

    def failure(self, error: Exception) -> ProviderError:
        """Return what broke an answer off."""
        return self._failure(error)


class _Sending:
    """A request on its way: afterwards either its answer or what went wrong."""

    def __init__(self, client: httpx.AsyncClient, method: str, path: str, request: dict[str, Any]) -> None:
        self._client = client
        self._method = method
        self._path = path
        self._request = request
        self.response: httpx.Response | None = None
        self.error: Exception | None = None
        self._abandoned = False
        self._underway = False

    async def run(self) -> None:
        """Send the request and wait for the headers of its answer."""
        try:
            message = self._client.build_request(
                self._method, self._path, extensions={"trace": self._on_step}, **self._request
            )
            self.response = await self._client.send(message, stream=True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self.error = error
        except _AbandonedError:
            pass  # nobody wants to know

    def abandon(self, task: "asyncio.Task[None]") -> None:
        """End ``task``, in which this runs: at once when the request has its connection, else when it gets it."""
        self._abandoned = True
        if self._underway:
            task.cancel()

    async def _on_step(self, step: str, _: Mapping[str, Any]) -> None:
        """Take httpcore's word on how far the request is (its ``trace`` extension)."""
        if step == "http11.send_request_headers.started":
            self._underway = True
            if self._abandoned:
                raise _AbandonedError


class _AbandonedError(Exception):
    """The request is no longer wanted."""


class Answer:
    """A 2xx answer whose body is still to come."""

    def __init__(
        self, endpoint: Endpoint, response: httpx.Response, first_byte_by_s: float, patience: Patience
    ) -> None:
        self._endpoint = endpoint
        self._response = response
        self._first_byte_by_s = first_byte_by_s
        self._patience = patience
        self._body = response.aiter_bytes()

    @property
    def content_type(self) -> str:
        """The media type, in lower case, without parameters; empty where there is none."""
        return self._response.headers.get("content-type", "").partition(";")[0].strip().lower()

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Yield the body as it arrives; raises ``ProviderError`` when it stalls or breaks off."""
        loop = asyncio.get_running_loop()
        deadline_s = self._first_byte_by_s
        while True:
            try:
                async with asyncio.timeout_at(deadline_s):
                    piece = await anext(self._body)
            except StopAsyncIteration:
                return
            except (httpx.HTTPError, TimeoutError) as error:
                raise self._endpoint.failure(error) from None
            if piece:
                yield piece
                deadline_s = loop.time() + self._patience.between_chunks_s

    async def drain(self) -> None:
        """Read on to the end of a body that has said all it has to say, for a moment at most.

        A connection whose answer was not read to its end cannot serve the next turn.
        """
        try:
            async with asyncio.timeout(_DRAIN_S):
                async for _ in self._body:
                    pass
        except (httpx.HTTPError, TimeoutError):
            pass  # then the next turn opens a connection of its own

    async def read(self) -> bytes:
        """Return the whole body; raises ``ProviderError``."""
        body = bytearray()
        async for piece in self.pieces():
            body += piece
            if len(body) > _MAX_BODY_BYTES:
                raise self._endpoint.nonsense("the answer is far too long")
        return bytes(body)


def _kind_of(status: int) -> tuple[ProviderErrorKind, bool]:
    if status in (401, 403):
        return ProviderErrorKind.AUTH, False
    if status == 429:
        return ProviderErrorKind.RATE_LIMITED, True
    if status >= 500:
        return ProviderErrorKind.SERVER, True
    return ProviderErrorKind.REJECTED, False


async def _close(response: httpx.Response) -> None:
    try:
        await response.aclose()
    except httpx.HTTPError:
        pass  # it was broken already


def open_client(
    base_url: str,
    api_key: str | None,
    patience: Patience,
    limits: httpx.Limits,
    verify: ssl.SSLContext,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """Return a client of one server that keeps its connections open between turns (HTTP/1.1).

    ``transport`` carries its requests, where the server may be reached in one way only: then no proxy is used.

    Raises ``httpx.InvalidURL`` for an address, and ``ValueError`` for a key, that cannot be sent.
    """
    headers: dict[str, str] = {}
    if api_key:
        if not (api_key.isascii() and api_key.isprintable()):
            raise ValueError("the API key holds characters that cannot be sent")
        headers["Authorization"] = f"Bearer {api_key}"
    return httpx.AsyncClient(
        base_url=f"{base_url}/",
        headers=headers,
        limits=limits,
        timeout=httpx.Timeout(patience.first_byte_s, connect=patience.connect_s, pool=patience.connect_s),
        verify=verify,
        transport=transport,
        trust_env=transport is None,
        mounts=dict.fromkeys(_LOOPBACK)
        if transport is None
        else None,  # a server on this machine is never asked for through a proxy
    )
