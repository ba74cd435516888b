"""Request bodies: JSON only, capped in size, read strictly (RFC 8259: no NaN, no lone surrogates, valid UTF-8)."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import msgspec
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from oneinbox.api.config import MAX_BODY_BYTES
from oneinbox.api.http.documented import errors
from oneinbox.api.http.errors import HttpRefusal
from oneinbox.api.http.idempotency import HEADER, Endpoint, answered_once, current_request, takes_key

Wanted = TypeVar("Wanted", bound=BaseModel)

_UNREADABLE = b"(unreadable)"
"""Stands for a body that was refused. Bytes fit no schema of ours."""
_ONLY_JSON = 415, "unsupported_media_type", "send the body as JSON, with the header Content-Type: application/json"


KEY_PARAMETER = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "A request sent again with the same key (for a day) does nothing again, and gets the same answer.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}


class JsonRequest(Request):
    """A request whose body is a JSON document, or nothing.

    FastAPI reads the body before it asks who sent it. So a body that cannot be taken is not refused at once: it is
    noted in :attr:`refusal` and stands as something that fits no schema, and whoever has no key is told that first.
    """

    refusal: HttpRefusal | None = None

    async def body(self) -> bytes:
        """Return the body."""
        if not hasattr(self, "_checked_body"):
            try:
                self._checked_body = await self._read_body()
            except HttpRefusal as refusal:
                self.refusal = refusal
                self._checked_body = _UNREADABLE
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
        """Return the document."""
        body = await self.body()
        if self.refusal is not None:
            return _UNREADABLE
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            self.refusal = HttpRefusal(422, "invalid_json", f"the body is not valid JSON: {error}")
        except RecursionError:
            self.refusal = HttpRefusal(422, "invalid_json", "the body is nested too deeply")
        return _UNREADABLE

    async def fitting(self, wanted: type[Wanted]) -> Wanted:
        """Return the document as ``wanted``. Raises what FastAPI raises, and :attr:`refusal` where there is one."""
        if not await self.body():
            raise RequestValidationError(
                [{"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}]
            )
        document = await self.json()
        if self.refusal is not None:
            raise self.refusal
        try:
            return wanted.model_validate(document)
        except ValidationError as error:
            faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors(include_url=False)]
            raise RequestValidationError(faults) from None


class JsonRoute(APIRoute):
    """A route that reads its body as :class:`JsonRequest` does, and answers what was wrong with it (413, 415, 422).

    A POST takes an ``Idempotency-Key``.
    """

    def __init__(self, path: str, endpoint: Endpoint, **options: Any) -> None:
        if "POST" in (options.get("methods") or ()) and takes_key(endpoint):
            options["openapi_extra"] = {**(options.get("openapi_extra") or {}), "parameters": [KEY_PARAMETER]}
            options["responses"] = {**errors(409), **(options.get("responses") or {})}
            endpoint = answered_once(endpoint, f"POST {path}", options.get("status_code") or 200)
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler."""
        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            json_request = JsonRequest(request.scope, request.receive)
            mark = current_request.set(json_request)
            try:
                return await handle(json_request)
            except RequestValidationError:
                if json_request.refusal is None:
                    raise
                raise json_request.refusal from None
            finally:
                current_request.reset(mark)

        return handle_json


def direct_route(guard: Callable[[Request], Awaitable[Any]], body_type: type[BaseModel]) -> type[JsonRoute]:
    """Return a class of routes that FastAPI documents and does not carry out: the endpoint is called straight away.

    What FastAPI does in between (solving dependencies, checking and writing the answer by its model) costs as much as
    all of a quick answer's own work. ``guard`` says who asks; the endpoint takes ``body``, ``request`` and ``caller``,
    and returns the response. Add such routes to the application itself: a router that is included has ways of its own.
    """

    class DirectRoute(JsonRoute):
        def __init__(self, path: str, endpoint: Endpoint, **options: Any) -> None:
            super().__init__(path, endpoint, **options)

            async def answer(scope: Scope, receive: Receive, send: Send) -> None:
                request = JsonRequest(scope, receive)
                caller = await guard(request)
                body = await request.fitting(body_type)
                response = await endpoint(body=body, request=request, caller=caller)
                await response(scope, receive, send)

            self.app = answer

    return DirectRoute


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))
