"""Types of fields that many bodies share. All are strict: ``"1"`` is no number, ``1`` is no text."""

import re
from datetime import datetime
from typing import Annotated, Any, cast

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

MAX_DEPTH = 20
_MAX_INT = 2**63
_FIRST_YEAR, _LAST_YEAR = 1900, 9000
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Body(BaseModel):
    """A request body: a field it does not know is an error that names the field."""

    model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())

    def said(self) -> dict[str, Any]:
        """Return only what the caller said, by field: an explicit null is said, an absent field is not."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Answer(BaseModel):
    """A response body."""

    model_config = ConfigDict(from_attributes=True, protected_namespaces=())


def absent() -> Any:
    """Stand in for a field of a PATCH body that was not sent, so that its type need not admit null. Never read."""
    return None


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise PydanticCustomError("nul_character", "a NUL character cannot be stored: remove it")
    return text


def _storable(value: Any, depth: int = 0) -> None:
    """Refuse what a database or another program could not read back."""
    if depth > MAX_DEPTH:
        raise PydanticCustomError("too_deep", "this is nested more than 20 levels deep")
    match value:
        case str():
            _no_nul(value)
        case bool() | None | float():
            pass
        case int():
            if not -_MAX_INT <= value < _MAX_INT:
                raise PydanticCustomError("int_too_big", "a whole number has to fit in 64 bits; send it as text")
        case dict():
            for name, item in cast("dict[str, Any]", value).items():
                _no_nul(name)
                _storable(item, depth + 1)
        case list():
            for item in cast("list[Any]", value):
                _storable(item, depth + 1)
        case _:
            raise PydanticCustomError("not_json", "this is not a JSON value")


def _without_controls(value: Any, depth: int = 0) -> Any:
    """Return a JSON value without control characters (line feed and tab stay): it is going to be spoken."""
    if depth > MAX_DEPTH:
        return value  # refused by the check that follows
    match value:
        case str():
            return _CONTROLS.sub("", value)
        case dict():
            items = cast("dict[str, Any]", value).items()
            return {_CONTROLS.sub("", name): _without_controls(item, depth + 1) for name, item in items}
        case list():
            return [_without_controls(item, depth + 1) for item in cast("list[Any]", value)]
        case _:
            return value


def _spoken_object(value: dict[str, Any]) -> dict[str, Any]:
    return _storable_object(_without_controls(value))


def _storable_object(value: dict[str, Any]) -> dict[str, Any]:
    _storable(value)
    return value


def _not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "this cannot be blank")
    return text


def _representable(at: datetime) -> datetime:
    """Refuse what is no date any more when it is written in another time zone."""
    if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        raise PydanticCustomError("out_of_range", "this date is too far away")
    return at


def _written_out(value: Any) -> Any:
    """Refuse what is only a number: nobody could tell seconds from milliseconds."""
    written = isinstance(value, datetime) or (isinstance(value, str) and _RFC3339.fullmatch(value))
    if not written:
        raise PydanticCustomError("no_instant", "write date, time and zone out: 2026-01-31T09:30:00Z")
    return value


Instant = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_representable)]
"""A date and time with its time zone, after RFC 3339."""
Text = Annotated[str, Field(max_length=100_000), AfterValidator(_no_nul)]
"""Free text: prompts, messages."""
ShortText = Annotated[str, Field(max_length=1_000), AfterValidator(_no_nul)]
Word = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_no_nul)]
"""A provider's, model's or voice's name; an id."""
Name = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_no_nul), AfterValidator(_not_blank)]
JsonObject = Annotated[dict[str, Any], AfterValidator(_storable_object)]
Variables = Annotated[dict[str, Any], AfterValidator(_spoken_object)]
"""What fills ``{{name}}``; control characters are taken out of it."""
Ratio = Annotated[float, Field(ge=0, le=1)]
Pace = Annotated[float, Field(ge=0.5, le=2.0)]
