"""Request bodies: JSON only, capped in size, read strictly (RFC 8259: no NaN, no lone surrogates, valid UTF-8)."""

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from oneinbox.api.config import MAX_BODY_BYTES
from oneinbox.api.http.errors import HttpRefusal

_ONLY_JSON = 415, "unsupported_media_type", "send the body as JSON, with the header Content-Type: application/json"


class JsonRequest(Request):
    """A request whose body is a JSON document, or nothing."""

    async def body(self) -> bytes:
        """Return the body; raises :class:`HttpRefusal` (413, 415)."""
        if not hasattr(self, "_checked_body"):
            self._checked_body = await self._read_body()
        return self._checked_body

    async def _read_body(self) -> bytes:
        cap: int = getattr(self.app.state, "max_body_bytes", MAX_BODY_BYTES)
        too_large = HttpRefusal(413, "body_too_large", f"the body is larger than {cap} bytes")
        said = self.headers.get("content-length", "0")
        if said.isdecimal() and len(said) < 20 and int(said) > cap:
            raise too_large
        chunks: list[bytes] = []
        size = 0
        async for chunk in self.stream():
            size += len(chunk)
            if size > cap:
                raise too_large
            chunks.append(chunk)
        if size and not _is_json(self.headers.get("content-type", "")):
            raise HttpRefusal(*_ONLY_JSON)
        return b"".join(chunks)

    async def json(self) -> Any:
        """Return the document; raises :class:`HttpRefusal` (422) where it is none."""
        try:
            return msgspec.json.decode(await self.body())
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            raise HttpRefusal(422, "invalid_json", f"the body is not valid JSON: {error}") from None
        except RecursionError:
            raise HttpRefusal(422, "invalid_json", "the body is nested too deeply") from None


class JsonRoute(APIRoute):
    """A route that reads its body as :class:`JsonRequest` does."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler."""
        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return handle_json


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))
