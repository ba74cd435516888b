"""Requests of tools to servers on the internet: limited in time and size, tried again where that is safe, secrets masked.

What is tried again: a request of which nothing was sent; one that the server refused to begin (429, 503); and, for the
methods that RFC 9110 (9.2.2) calls idempotent, any failure of the way or the server. A POST or PATCH that may have been carried
out is not sent twice, although it carries an idempotency key: nobody promises that the server heeds it.
"""

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import httpx
import msgspec

from oneinbox.core.outbound import UrlRefusedError
from oneinbox.net.outbound import OutboundGuard

MAX_ANSWER_BYTES = 1024 * 1024
IDEMPOTENCY_KEY = "Idempotency-Key"
_SAFE_TWICE = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
_NOT_BEGUN = frozenset({429, 503})
_PASSING = frozenset({500, 502, 504})
_DELAYS_S = (0.2, 0.8, 2.0)
_SHORTEST_SECRET = 4
MASK = "****"


class AskFailedError(Exception):
    """No answer could be had. The message is for the language model, and holds no secret."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request as a tool wants it. ``secrets`` are never repeated to anybody."""

    method: str
    url: str
    headers: dict[str, str] = {}
    query: dict[str, Any] = {}
    json: Any = None
    secrets: tuple[str, ...] = ()
    timeout_s: float = 10.0
    """For all tries together."""
    retries: int = 1


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a server answered, secrets masked."""

    status: int
    kind: str
    """The media type, in lower case, without parameters."""
    text: str

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300


class Web:
    """The way to servers that users name, for all calls of a worker."""

    def __init__(self, guard: OutboundGuard, certificates: ssl.SSLContext | None = None) -> None:
        self._guard = guard
        self._certificates = certificates

    async def client(self, *, timeout_s: float, keep_alive: bool = False) -> httpx.AsyncClient:
        """Return a client that goes where the guard allows. Close it after use."""
        if self._certificates is None:
            # Reading all the world's certificates takes longer than a frame of audio.
            self._certificates = await asyncio.to_thread(httpx.create_ssl_context)
        return self._guard.open_client(timeout_s=timeout_s, verify=self._certificates, keep_alive=keep_alive)

    async def ask(self, asked: Asked) -> Answer:
        """Send a request, again where that is safe and helps; raises :class:`AskFailedError`."""
        try:
            async with asyncio.timeout(asked.timeout_s), await self.client(timeout_s=asked.timeout_s) as client:
                return await self._ask(client, asked)
        except TimeoutError:
            raise AskFailedError(f"The server did not answer within {asked.timeout_s:g} s.") from None

    async def _ask(self, client: httpx.AsyncClient, asked: Asked) -> Answer:
        for attempt in range(asked.retries + 1):
            is_last = attempt == asked.retries
            try:
                answer = await _send(client, asked)
                if is_last or not _may_try_again(asked.method, answer.status):
                    return answer
            except httpx.HTTPError as error:
                if is_last or not (_nothing_sent(error) or asked.method in _SAFE_TWICE):
                    _fail(error)
            except (UrlRefusedError, httpx.InvalidURL) as error:
                raise AskFailedError(f"The server may not be asked: {error}.") from None
            await asyncio.sleep(_DELAYS_S[min(attempt, len(_DELAYS_S) - 1)])
        raise AssertionError("the last attempt returns or raises")


async def _send(client: httpx.AsyncClient, asked: Asked) -> Answer:
    query = {name: _query_value(value) for name, value in asked.query.items()}
    content = None if asked.json is None else msgspec.json.encode(asked.json)
    headers = dict(asked.headers)
    if content is not None and "content-type" not in {name.lower() for name in headers}:
        headers["Content-Type"] = "application/json"
    url = httpx.URL(asked.url).copy_merge_params(query) if query else asked.url
    request = client.build_request(asked.method, url, content=content, headers=headers)
    response = await client.send(request, stream=True)
    try:
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > MAX_ANSWER_BYTES:
                raise AskFailedError(f"The server's answer is longer than {MAX_ANSWER_BYTES // 1024} KiB.")
    finally:
        await response.aclose()
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    text = bytes(body).decode("utf-8", "replace")
    return Answer(status=response.status_code, kind=kind, text=masked(text, asked.secrets))


def _query_value(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return [_query_value(one) for one in value]  # pyright: ignore[reportUnknownVariableType] - JSON
    return value if isinstance(value, (str, int, float)) else msgspec.json.encode(value).decode()


def _may_try_again(method: str, status: int) -> bool:
    return status in _NOT_BEGUN or (status in _PASSING and method in _SAFE_TWICE)


def _nothing_sent(error: httpx.HTTPError) -> bool:
    return isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))


def _fail(error: httpx.HTTPError) -> NoReturn:
    """Say what happened. httpx's own words are not repeated: they may hold anything."""
    if isinstance(error, httpx.TimeoutException):
        raise AskFailedError("The server did not answer in time.") from None
    if _nothing_sent(error):
        raise AskFailedError("The server cannot be reached.") from None
    raise AskFailedError("The connection to the server broke off.") from None


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return the text without the secrets that stand in it."""
    for secret in sorted({one for one in secrets if len(one) >= _SHORTEST_SECRET}, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def secrets_of(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return what must not be repeated of these headers: their values, and the last word of each (``Bearer ...``)."""
    return tuple({part for value in headers.values() for part in (value, value.rpartition(" ")[2]) if part})
