"""Uploads: ``multipart/form-data``, capped in size, read only once it is known who sends."""

from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from fastapi.routing import APIRoute
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response

from oneinbox.api.http.body import KEY_PARAMETER
from oneinbox.api.http.documented import errors
from oneinbox.api.http.errors import HttpRefusal
from oneinbox.api.http.idempotency import Endpoint, answered_once, current_request

MAX_FILE_BYTES = 20 * 1024 * 1024
_AROUND_IT_BYTES = 64 * 1024
_MAX_FIELD_BYTES = 1024 * 1024
_PIECE_BYTES = 256 * 1024


@dataclass(frozen=True, kw_only=True)
class SentFile:
    """A file of a form."""

    name: str
    media_type: str | None
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Form:
    """What a form holds."""

    fields: dict[str, str]
    files: dict[str, SentFile]


class UploadRequest(Request):
    """A request whose body may be as large as a file. Raises ``HttpRefusal`` (413) beyond."""

    async def body(self) -> bytes:
        """Return the whole body."""
        if not hasattr(self, "_capped_body"):
            cap = MAX_FILE_BYTES + _AROUND_IT_BYTES
            said = self.headers.get("content-length", "0")
            body = bytearray()
            if not (said.isdecimal() and len(said) < 20 and int(said) > cap):
                async for piece in self.stream():
                    body += piece
                    if len(body) > cap:
                        break
                else:
                    self._capped_body = bytes(body)
                    return self._capped_body
            raise HttpRefusal(413, "body_too_large", f"a file may have {MAX_FILE_BYTES} bytes at most")
        return self._capped_body


class UploadRoute(APIRoute):
    """A route that reads a form itself (:func:`read_form`). A POST takes an ``Idempotency-Key``."""

    def __init__(self, path: str, endpoint: Endpoint, **options: Any) -> None:
        if "POST" in (options.get("methods") or ()):
            extra: dict[str, Any] = options.get("openapi_extra") or {}
            options["openapi_extra"] = {**extra, "parameters": [KEY_PARAMETER]}
            options["responses"] = {**errors(409), **(options.get("responses") or {})}
            endpoint = answered_once(endpoint, f"POST {path}", options.get("status_code") or 200)
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler."""
        handle = super().get_route_handler()

        async def handle_upload(request: Request) -> Response:
            upload = UploadRequest(request.scope, request.receive)
            mark = current_request.set(upload)
            try:
                return await handle(upload)
            finally:
                current_request.reset(mark)

        return handle_upload


async def read_form(request: Request) -> Form:
    """Read the form. Raises ``HttpRefusal``: 415 for what is none, 413, 422 for one that is broken."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        raise HttpRefusal(415, "unsupported_media_type", "send the body as multipart/form-data")
    body = await request.body()

    async def pieces() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(body), _PIECE_BYTES):
            yield body[start : start + _PIECE_BYTES]

    parser = MultiPartParser(
        Headers(raw=request.headers.raw), pieces(), max_files=1, max_fields=10, max_part_size=_MAX_FIELD_BYTES
    )
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        reason = error.message if isinstance(error, MultiPartException) else "it is not well formed"
        raise HttpRefusal(422, "invalid_form", f"the form cannot be read: {reason[:200]}") from None
    fields: dict[str, str] = {}
    files: dict[str, SentFile] = {}
    try:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                data = await value.read()
                files[name] = SentFile(name=value.filename or "", media_type=value.content_type, data=data)
            else:
                fields[name] = value
    finally:
        await form.close()
    return Form(fields=fields, files=files)
