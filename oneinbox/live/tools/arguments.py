"""What the language model gives a tool: checked against its schema, and put into texts, paths and headers."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import quote

MAX_TEXT_CHARS = 20_000
_PLACE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_LOOSE_PLACE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


class UnfitError(Exception):
    """The arguments cannot be used. The message tells the language model why."""


def checked(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that the schema knows; raises :class:`UnfitError` where one is missing or of another type.

    Models write numbers as text and text as numbers: where that can be read in one way only, it is. Null is as good as
    left out. Arguments that the schema does not know are dropped.
    """
    properties: Mapping[str, Mapping[str, Any]] = schema.get("properties", {})
    kept = {
        name: _fitting(name, arguments[name], wanted)
        for name, wanted in properties.items()
        if arguments.get(name) is not None
    }
    missing = [name for name in schema.get("required", ()) if name not in kept]
    if missing:
        raise UnfitError(f"Missing: {', '.join(missing)}. Ask the caller for what you do not know.")
    return kept


def _fitting(name: str, value: Any, wanted: Mapping[str, Any]) -> Any:
    kind = str(wanted.get("type", "string"))
    value = _read(value, kind)
    is_right = isinstance(value, _TYPES.get(kind, (object,))) and (kind == "boolean" or not isinstance(value, bool))
    if not is_right:
        raise UnfitError(f"{name} has to be of type {kind}.")
    allowed = wanted.get("enum")
    if allowed and value not in allowed:
        raise UnfitError(f"{name} has to be one of: {', '.join(map(str, allowed))}.")
    if isinstance(value, str) and len(value) > MAX_TEXT_CHARS:
        raise UnfitError(f"{name} is longer than {MAX_TEXT_CHARS} characters.")
    return value


def _read(value: Any, kind: str) -> Any:
    if kind == "string" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return text_of(value)
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind in ("number", "integer", "boolean", "array", "object") and isinstance(value, str):
        try:
            read = json.loads(value)
        except ValueError:
            return value
        return _read(read, kind) if isinstance(read, float) else read
    return value


def text_of(value: Any) -> str:
    """Return how a value is written in a text: text as it is, null as nothing, anything else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def fill_path(template: str, values: Mapping[str, Any]) -> tuple[str, set[str]]:
    """Return a URL with its ``{{name}}`` filled, each value as one piece of it, and the names that were used.

    Raises :class:`UnfitError` for a value that would be another path: an empty one, or dots alone.
    """
    used: set[str] = set()

    def fill(match: re.Match[str]) -> str:
        used.add(match[1])
        value = text_of(values.get(match[1])).strip()
        if not value.strip("."):
            raise UnfitError(f"{match[1]} is needed, and cannot be {value!r}.")
        return quote(value, safe="")

    return _PLACE.sub(fill, template), used


def fill_header(name: str, template: str, values: Mapping[str, Any]) -> str:
    """Return a header's value with its ``{{name}}`` filled; raises :class:`UnfitError` for what no header can hold."""
    filled = _PLACE.sub(lambda match: text_of(values.get(match[1])), template).strip()
    if not (filled.isascii() and filled.isprintable()) and filled:
        raise UnfitError(f"The header {name} cannot hold what was filled in.")
    return filled


def fill_text(template: str, value_of: Callable[[str], Any]) -> str:
    """Return a text with its ``{{name}}`` and ``{name}`` filled, in one pass."""
    return _LOOSE_PLACE.sub(lambda match: text_of(value_of(cast("str", match[1] or match[2]))), template)
