"""What the OpenAPI document says about errors."""

from typing import Any

from pydantic import BaseModel, Field


class ErrorFacts(BaseModel):
    """What went wrong, for programs and for people."""

    code: str = Field(description="Stable; see docs/reference/errors.md.", examples=["agent_not_found"])
    message: str = Field(description="What went wrong, and how to mend it.", examples=["there is no agent agt_123"])
    param: str | None = Field(description="The field at fault, in dotted form.", examples=["agent_id"])
    request_id: str = Field(description="The same as the header X-Request-Id.", examples=["req_01jd2k"])


class Fault(BaseModel):
    """One field that does not fit."""

    loc: list[str | int]
    msg: str
    type: str
    input: Any = None
    ctx: dict[str, Any] | None = None


class ErrorAnswer(BaseModel):
    """Every error has this body."""

    error: ErrorFacts
    detail: str | list[Fault] = Field(description="The message; for a body that does not fit, every field at fault.")


_MEANINGS = {
    400: "The request cannot be understood.",
    401: "No key, or a key that is not valid.",
    403: "The key is valid, and may not do this.",
    404: "There is no such thing in your organisation.",
    409: "Something else stands in the way; the message says what.",
    413: "The body is too large.",
    415: "The body is not sent as JSON.",
    422: "The body does not fit; `error.param` names the field.",
    429: "A limit is reached; `Retry-After` and `RateLimit` say when there is room again.",
    503: "The server cannot take this now; try again after `Retry-After` seconds.",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entries for these error statuses (and 422, which any route may answer)."""
    return {status: {"model": ErrorAnswer, "description": _MEANINGS[status]} for status in (*statuses, 422)}
