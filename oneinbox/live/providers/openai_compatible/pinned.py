"""A transport that connects to given addresses only, whatever the server's name resolves to.

The addresses were looked up and judged before the call (``StageSpec.addresses``): a name that answers differently
afterwards changes nothing. TLS and ``Host`` keep the name.
"""

import httpx


class PinnedTransport(httpx.AsyncBaseTransport):
    """Carries the requests of one server. ``addresses`` may be renewed: they hold for new connections."""

    def __init__(self, addresses: tuple[str, ...], carrier: httpx.AsyncBaseTransport) -> None:
        self.addresses = addresses
        self._carrier = carrier

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; where an address does not take the connection, the next one is tried."""
        *others, last = self.addresses
        for address in others:
            try:
                return await self._carrier.handle_async_request(_sent_to(address, request))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue  # nothing was sent
        return await self._carrier.handle_async_request(_sent_to(last, request))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._carrier.aclose()


def _sent_to(address: str, request: httpx.Request) -> httpx.Request:
    """Return the same request for one address. ``Host`` stands in its headers already."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )
