"""How this server is reached, as seen from a request."""

import re
from urllib.parse import urlsplit

from starlette.requests import Request

_HOST = re.compile(r"[A-Za-z0-9._\-\[\]:%]{1,255}")
_WEBSOCKET = {"http": "ws", "https": "wss"}


class OwnOrigin:
    """The server's own address: the one that the operator gave, else the one that the request was sent to."""

    def __init__(self, public_url: str | None) -> None:
        self._public_url = public_url.rstrip("/") if public_url else None

    def url(self, request: Request) -> str:
        """Return the address without a trailing slash, such as ``https://talk.example.com``."""
        if self._public_url is not None:
            return self._public_url
        host = request.headers.get("host", "")
        if not _HOST.fullmatch(host):
            host = request.url.netloc
        return f"{request.scope['scheme']}://{host}"

    async def here(self, request: Request) -> str:
        """Return the same, as a dependency of routes."""
        return self.url(request)

    def websocket_url(self, request: Request) -> str:
        """Return the address for WebSockets, such as ``wss://talk.example.com``."""
        scheme, _, rest = self.url(request).partition("://")
        return f"{_WEBSOCKET.get(scheme, 'wss')}://{rest}"

    def is_secure(self, request: Request) -> bool:
        """Whether browsers reach us over TLS."""
        return self.url(request).startswith("https://")

    def sent_from_own_page(self, request: Request) -> bool:
        """Whether a browser says that one of our own pages sent this request.

        Browsers set ``Sec-Fetch-Site`` and ``Origin`` themselves; no script can. Nothing said: not from our page.
        """
        fetch_site = request.headers.get("sec-fetch-site")
        if fetch_site is not None:
            return fetch_site == "same-origin"
        origins = request.headers.getlist("origin")
        if len(origins) != 1:
            return False
        sent_from = urlsplit(origins[0]).netloc.lower()
        return bool(sent_from) and sent_from in {
            request.headers.get("host", "").lower(),
            urlsplit(self._public_url or "").netloc.lower(),
        }
