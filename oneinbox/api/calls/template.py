"""``{{name}}`` in prompts and first messages: plain substitution in one pass.

A value is never looked at again, so that a caller's value cannot pull in another variable. There is no expression
language: braces that do not hold just a name stay as they are. A name that nobody gave a value is left out.
See docs/decisions/0020-template-variables.md.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from oneinbox.core.errors import AppError, ErrorKind

MAX_VALUE_CHARS = 10_000
MAX_RENDERED_CHARS = 400_000
_PLACE = re.compile(r"\{\{[ \t]{0,8}([\w.\-]{1,128})[ \t]{0,8}\}\}")


def render(template: str, variables: Mapping[str, Any], *, param: str) -> str:
    """Return the template with every ``{{name}}`` replaced by its value, or by nothing.

    ``param`` is the field that an error names when the result is too long. Raises ``AppError``.
    """
    if "{{" not in template:
        return template
    size = 0

    def fill(match: re.Match[str]) -> str:
        nonlocal size
        name = match[1]
        value = text_of(variables[name], name) if name in variables else ""
        size += len(value)
        if size > MAX_RENDERED_CHARS:
            raise AppError(
                "prompt_too_long",
                f"with its variables filled in, this is longer than {MAX_RENDERED_CHARS} characters",
                ErrorKind.INVALID,
                param=param,
            )
        return value

    return _PLACE.sub(fill, template)


def text_of(value: Any, name: str, *, max_chars: int = MAX_VALUE_CHARS) -> str:
    """Return how a value is written: text as it is, null as nothing, anything else as JSON. Raises ``AppError``."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
    if len(text) > max_chars:
        raise AppError(
            "variable_too_long",
            f"the value is longer than {max_chars} characters",
            ErrorKind.INVALID,
            param=f"variables.{name[:128]}",
        )
    return text


def check_variables(variables: Mapping[str, Any]) -> None:
    """Refuse values that are too long, whether or not anything uses them. Raises ``AppError``."""
    for name, value in variables.items():
        text_of(value, name)
