"""Errors on the wire: the only place that knows status numbers, and the one function that writes the body.

::

    {"error": {"code", "message", "param", "request_id"}, "detail": ...}

``detail`` is what FastAPI's own clients look for: the message, or for a body that does not fit the list of
``{loc, msg, type}``. Every code has a line in ``docs/reference/errors.md``.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Match

from oneinbox.api.http.rate import LimitReachedError, limit_headers
from oneinbox.core.errors import AppError, ErrorKind

_STATUS = {
    ErrorKind.INVALID: 422,
    ErrorKind.UNAUTHENTICATED: 401,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.CONFLICT: 409,
    ErrorKind.GONE: 410,
    ErrorKind.RATE_LIMITED: 429,
    ErrorKind.UNAVAILABLE: 503,
    ErrorKind.INTERNAL: 500,
}
_MAX_SHOWN = 200
_MAX_DETAILS = 20
_DEFAULT_RETRY_S = 5


class HttpRefusal(HTTPException):
    """A request refused for the way it came (size, content type, JSON), before any rule of ours looked at it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, detail=message)
        self.code = code


def request_id_of(request: Request) -> str:
    """Return the id that the request's answer carries."""
    return cast("str", request.scope.get("state", {}).get("request_id", ""))


def error_response(
    status: int,
    code: str,
    message: str,
    *,
    request_id: str,
    param: str | None = None,
    detail: object = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Write an error."""
    body = {
        "error": {"code": code, "message": message, "param": param, "request_id": request_id},
        "detail": message if detail is None else detail,
    }
    return JSONResponse(body, status, headers=dict(headers or {}))


async def answer_app_error(request: Request, error: Exception) -> JSONResponse:
    """Answer an :class:`AppError`."""
    if not isinstance(error, AppError):
        raise error
    headers: dict[str, str] = {}
    if error.kind is ErrorKind.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    if error.kind in (ErrorKind.UNAVAILABLE, ErrorKind.RATE_LIMITED) or error.retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after_s or _DEFAULT_RETRY_S))
    if isinstance(error, LimitReachedError):
        headers.update(limit_headers(error.states))
    return error_response(
        _STATUS[error.kind],
        error.code,
        error.message,
        param=error.param,
        request_id=request_id_of(request),
        headers=headers,
    )


async def answer_http_error(request: Request, error: Exception) -> JSONResponse:
    """Answer what the routing refuses: no such path, wrong method, and :class:`HttpRefusal`."""
    if not isinstance(error, HTTPException):
        raise error
    status, message = error.status_code, str(error.detail)
    headers = dict(error.headers or {})
    if isinstance(error, HttpRefusal):
        code = error.code
    elif status not in (404, 405):
        code = "bad_request"
    elif allowed := ", ".join(_allowed_methods(request)):
        status, code, message = 405, "method_not_allowed", f"this path takes {allowed}"
        headers["Allow"] = allowed
    else:
        status, code, message = 404, "not_found", "there is no such path: /openapi.json lists those that there are"
    if status == 413:
        headers["Connection"] = "close"  # the rest of the body stays unread
    return error_response(status, code, message, request_id=request_id_of(request), headers=headers)


def _allowed_methods(request: Request) -> list[str]:
    """Every method of the path (RFC 9110, 10.2.1). The routing itself names only those of the first route that fits.

    A path that is written out (``/v1/calls/web``) is not also one with an id in it (``/v1/calls/{call_id}``).
    """
    routes: list[APIRoute] = getattr(request.app.state, "api_routes", [])
    fitting = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    written_out = [route for route in fitting if route.path == request.scope["path"]]
    return sorted({method for route in written_out or fitting for method in route.methods or ()})


async def answer_validation_error(request: Request, error: Exception) -> JSONResponse:
    """Answer a request that does not fit its schema, naming the field."""
    if not isinstance(error, RequestValidationError):
        raise error
    faults = [_fault({**item, "loc": _place(item, error.body)}) for item in error.errors()[:_MAX_DETAILS]]
    first = faults[0]
    param = _param(first["loc"])
    message = f"{param}: {first['msg']}" if param else str(first["msg"])
    return error_response(
        422, "validation_error", message, param=param, detail=faults, request_id=request_id_of(request)
    )


def _fault(item: Mapping[str, Any]) -> dict[str, Any]:
    """One entry of ``detail``. Strings that were sent are not sent back: one of them may be a secret."""
    fault: dict[str, Any] = {
        "loc": [part if isinstance(part, int) else _short(str(part)) for part in item["loc"]],
        "msg": _message(item),
        "type": item["type"],
    }
    sent = item.get("input")
    if sent is None or isinstance(sent, bool | float) or (isinstance(sent, int) and abs(sent) < 2**63):
        fault["input"] = sent
    if context := item.get("ctx"):
        fault["ctx"] = {
            name: value if isinstance(value, int | float) else _short(str(value)) for name, value in context.items()
        }
    return fault


def _place(item: Mapping[str, Any], body: object) -> list[str | int]:
    """Where the fault is in what was sent. Pydantic also writes which kind of thing it took the body for: that goes."""
    place: list[str | int] = []
    here = body
    loc: Sequence[str | int] = item["loc"]
    for number, part in enumerate(loc):
        if number and isinstance(here, dict) and part not in here and number < len(loc) - 1:
            continue
        place.append(part)
        if number:
            inner = isinstance(here, dict | list)
            try:
                here = cast("Any", here)[part] if inner else None
            except (KeyError, IndexError, TypeError):
                here = None
    if item["type"] in ("union_tag_invalid", "union_tag_not_found"):
        place.append(str(item["ctx"]["discriminator"]).strip("'"))
    return place


def _message(item: Mapping[str, Any]) -> str:
    match item["type"]:
        case "union_tag_invalid":
            return f"this has to be one of {item['ctx']['expected_tags']}"
        case "union_tag_not_found":
            return "this field is required"
        case "extra_forbidden":
            return "this field is not known here: remove it, or correct its name"
        case "missing":
            return "this field is required"
        case _:
            return _short(str(item["msg"]).removeprefix("Value error, "))


def _param(loc: list[Any]) -> str | None:
    """``["body", "tts", "speed"]`` is ``tts.speed``."""
    return ".".join(str(part) for part in loc[1:]) or None


def _short(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"
