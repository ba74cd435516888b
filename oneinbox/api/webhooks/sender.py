"""One attempt to tell an endpoint of an event."""

import asyncio
import time
from dataclasses import dataclass

import httpx

from oneinbox.api.webhooks.signing import signature_headers
from oneinbox.core.outbound import UrlRefusedError
from oneinbox.net.outbound import OutboundGuard

ATTEMPT_LIMIT_S = 10.0
MAX_KEPT_BODY_BYTES = 2_000
_MAX_RETRY_AFTER_S = 3_600


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """What is sent, and where."""

    url: str
    event_id: str
    body: str
    secrets: list[str]


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What came of it."""

    response_status: int | None = None
    response_body: str | None = None
    error: str | None = None
    """Why there was no answer, or why the answer is no success."""
    retry_after_s: int | None = None

    @property
    def delivered(self) -> bool:
        """Whether the endpoint took it: any 2xx."""
        return self.error is None

    @property
    def gone(self) -> bool:
        """Whether the endpoint says that it wants no more (410)."""
        return self.response_status == 410


class Sender:
    """Sends over one client; no connection is kept, none waits for another's."""

    def __init__(self, outbound: OutboundGuard, *, limit_s: float = ATTEMPT_LIMIT_S) -> None:
        self._outbound = outbound
        self._limit_s = limit_s
        self._client: httpx.AsyncClient | None = None

    async def send(self, parcel: Parcel) -> Attempt:
        """Make one attempt; returns within the time limit, whatever the endpoint does."""
        body = parcel.body.encode()
        headers = {
            "Content-Type": "application/json",
            **signature_headers(parcel.event_id, int(time.time()), body, parcel.secrets),
        }
        if self._client is None:
            self._client = self._outbound.open_client(timeout_s=self._limit_s)
        try:
            async with asyncio.timeout(self._limit_s):
                return await self._post(self._client, parcel.url, body, headers)
        except TimeoutError:
            return Attempt(error=f"no answer within {self._limit_s:g} s")
        except UrlRefusedError as error:
            return Attempt(error=str(error))
        except httpx.TimeoutException:
            return Attempt(error=f"no answer within {self._limit_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return Attempt(error=f"{type(error).__name__}: {error}"[:500])

    async def aclose(self) -> None:
        """Close what is open."""
        if self._client is not None:
            await self._client.aclose()

    @staticmethod
    async def _post(client: httpx.AsyncClient, url: str, body: bytes, headers: dict[str, str]) -> Attempt:
        async with client.stream("POST", url, content=body, headers=headers) as answer:
            kept = b""
            async for chunk in answer.aiter_raw():
                kept += chunk
                if len(kept) >= MAX_KEPT_BODY_BYTES:
                    break  # the rest is not read: the connection is closed
            status = answer.status_code
            error = None if 200 <= status < 300 else f"the endpoint answered {status}"
            return Attempt(
                response_status=status,
                response_body=kept[:MAX_KEPT_BODY_BYTES].decode("utf-8", "replace").replace("\0", ""),
                error=error,
                retry_after_s=_retry_after_s(answer.headers.get("retry-after", "")),
            )


def _retry_after_s(value: str) -> int | None:
    return min(int(value), _MAX_RETRY_AFTER_S) if value.isdecimal() and len(value) < 10 else None
