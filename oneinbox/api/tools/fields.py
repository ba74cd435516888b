"""The parts that tools are made of, on the wire."""

import re
from collections.abc import Sequence
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from oneinbox.api.http.fields import Body, ShortText, Text, Word

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
ValueType = Literal["string", "number", "integer", "boolean", "array", "object"]
MASK = "****"
"""Stands for a header's value in answers; sent back, it keeps the stored one."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]{0,4096}")
_OURS = frozenset({"connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade"})
"""Headers that the request itself decides (RFC 9110, 7.6.1 and 8.6)."""
_EMAIL = re.compile(r"[^\s@<>,;]{1,64}@[^\s@<>,;]{1,255}")
_PLACEHOLDER = re.compile(r"\{\{\s*[A-Za-z_][A-Za-z0-9_]*\s*\}\}")
E164_PATTERN = r"^\+[1-9][0-9]{1,14}$"


def _check_headers(headers: dict[str, str]) -> dict[str, str]:
    seen: set[str] = set()
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OURS:
            raise PydanticCustomError(
                "header_name", "this is no header that a tool may send: {name}", {"name": name[:50]}
            )
        if not _HEADER_VALUE.fullmatch(value):
            raise PydanticCustomError("header_value", "the value of {name} cannot be sent", {"name": name})
        if name.lower() in seen:
            raise PydanticCustomError("header_twice", "the header {name} stands here twice", {"name": name})
        seen.add(name.lower())
    return headers


def _check_timezone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise PydanticCustomError("timezone", "this is no time zone: write one such as Europe/Berlin") from None
    return text


def _check_recipient(text: str) -> str:
    known = text == "caller" or re.fullmatch(E164_PATTERN[1:-1], text) or _EMAIL.fullmatch(text)
    if not known and not _PLACEHOLDER.fullmatch(text):
        raise PydanticCustomError("recipient", "write a number such as +4915112345678, an e-mail address, or `caller`")
    return text


Headers = Annotated[dict[str, str], Field(max_length=50), AfterValidator(_check_headers)]
PhoneText = Annotated[str, Field(pattern=E164_PATTERN, examples=["+4915112345678"])]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
_NAME = "Letters, digits and `_`, 64 at most; no digit first."
_READ = "Text of the model that can be read as this type in one way only is taken for it."


class ToolParameter(Body):
    """One argument that the language model gives."""

    name: Identifier = Field(description=_NAME)
    type: ValueType = Field(description=_READ)
    description: ShortText = Field(description="What the model is told that it is.")
    required: bool = Field(default=False, description="The tool is not run without it.")
    enum: list[Word] | None = Field(
        default=None, min_length=1, max_length=100, description="The only values that are taken; for the type `string`."
    )


class ExtractedField(Body):
    """One thing to be learnt in a call."""

    name: Identifier = Field(description=_NAME)
    type: ValueType = Field(default="string", description=_READ)
    description: ShortText = Field(description="What the model is told that it is.")
    required: bool = Field(default=False, description="The tool is not run without it.")


def _once_each(items: Sequence[ToolParameter] | Sequence[ExtractedField]) -> None:
    names = [item.name for item in items]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise PydanticCustomError("name_twice", "the name {name} stands here twice", {"name": twice[0]})


def _check_parameters(items: list[ToolParameter]) -> list[ToolParameter]:
    _once_each(items)
    for item in items:
        if item.enum is not None and item.type != "string":
            raise PydanticCustomError("enum_of_texts", "an enum goes with the type string: {name}", {"name": item.name})
    return items


def _check_fields(items: list[ExtractedField]) -> list[ExtractedField]:
    _once_each(items)
    return items


class ExtractionSchema(Body):
    """What is to be learnt in a call."""

    fields: Annotated[list[ExtractedField], Field(min_length=1, max_length=100), AfterValidator(_check_fields)] = Field(
        description="The values that the model can note down."
    )


Parameters = Annotated[list[ToolParameter], Field(max_length=100), AfterValidator(_check_parameters)]


class MessagingConfig(Body):
    """What is sent, and to whom. ``{{name}}`` (or ``{name}``) is filled in by the language model."""

    to: Annotated[Word, AfterValidator(_check_recipient)] = Field(
        description="An address or a number, one `{{name}}`, or `caller`: for e-mails the call's variable `email`, "
        "`caller_email` or `customer_email`.",
        examples=["caller"],
    )
    subject_template: ShortText | None = Field(
        default=None, description='Of e-mails. Default: "A message from your call".'
    )
    body_template: Annotated[Text, Field(min_length=1, max_length=10_000)] = Field(description="What is sent.")


class CalendarConfig(Body):
    """Where and for how long."""

    calendar_id: Word = Field(
        description="The Cal.com event type: its number, or `user/slug` as in its public address.",
        examples=["ann/visit"],
    )
    duration_minutes: Annotated[int, Field(ge=5, le=1440)] = Field(
        default=30, description="Asked for where the event type offers several lengths."
    )
    timezone: Annotated[Word, AfterValidator(_check_timezone)] = Field(
        default="UTC", description="In which times without a zone are meant, and the invitation is written."
    )
