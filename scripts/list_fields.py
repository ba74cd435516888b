"""List the fields of agents, models and tools in ``docs/reference``, as the API's schema has them; a test holds them to be the same.

``python scripts/list_fields.py`` writes the tables anew; ``--check`` only says which pages are stale (exit status 1).
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from draw_turns import filled, responsiveness_table, sensitivity_table
from pydantic import BaseModel

from oneinbox.api.agents.schemas import AgentCreate, Transcriber, Tts, TurnTaking
from oneinbox.api.models.schemas import GENERAL_PROMPT, ModelCreate
from oneinbox.api.tools.fields import CalendarConfig, ExtractedField, MessagingConfig, ToolParameter
from oneinbox.api.tools.schemas import AnyTool

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
_SHARED_BY_TOOLS = ("name", "description", "run_in_background", "speak_during_execution")
_INSTEAD = {"system_prompt": "a general prompt"}
"""Defaults that are too long for a table."""
assert ModelCreate.model_fields["system_prompt"].default == GENERAL_PROMPT
_NUMBERS = {"minimum": "at least {}", "maximum": "at most {}"}
_SIZES = (("Length", " characters"), ("Properties", " entries"))


def table(of: type[BaseModel], *, only: Sequence[str] = (), without: Sequence[str] = ()) -> str:
    """Return a table of the fields that a body may have."""
    schema = of.model_json_schema()
    names = only or [name for name in schema["properties"] if name not in without]
    described = {name: one.get("description", "") for name, one in schema.get("$defs", {}).items()}
    required = schema.get("required", ())
    rows = [_row(name, schema["properties"][name], described, needed=name in required) for name in names]
    head = ("| field | type | default | meaning |", "|---|---|---|---|")
    return "\n".join((*head, *rows))


def _row(name: str, schema: Mapping[str, Any], described: Mapping[str, str], *, needed: bool) -> str:
    choices = [choice for choice in schema.get("anyOf", [schema]) if choice.get("type") != "null"]
    kind = " or ".join(_kind(choice) for choice in choices)
    if len(choices) < len(schema.get("anyOf", ())):
        kind += ", or null"
    meaning = schema.get("description") or described.get(schema.get("$ref", "").rpartition("/")[2], "")
    told = meaning.partition("\n")[0].replace("|", "\\|")
    return f"| `{name}` | {kind} | {_default(name, schema, needed=needed)} | {told} |"


def _default(name: str, schema: Mapping[str, Any], *, needed: bool) -> str:
    if needed:
        return "**needed**"
    empty = {"array": "[]", "object": "{}"}.get(schema.get("type", ""))  # of what pydantic makes anew for each body
    said = json.dumps(schema["default"]) if "default" in schema else empty
    return _INSTEAD.get(name) or f"`{said}`"


def _kind(schema: Mapping[str, Any]) -> str:
    """Return a type and its limits in words."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "$ref" in schema:
        return "object, see below"
    if schema["type"] == "array":
        return f"list of {_sizes(schema, 'Items', '')}: {_kind(schema['items'])}"
    kind = "text" if schema["type"] == "string" else str(schema["type"])
    limits = [_span(schema)] + [_sizes(schema, word, unit) for word, unit in _SIZES]
    return ", ".join(filter(None, (kind, *limits)))


def _span(schema: Mapping[str, Any]) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f"{schema['minimum']:g} to {schema['maximum']:g}"
    return ", ".join(words.format(f"{schema[key]:g}") for key, words in _NUMBERS.items() if key in schema)


def _sizes(schema: Mapping[str, Any], word: str, unit: str) -> str:
    least, most = schema.get(f"min{word}", 0), schema.get(f"max{word}")
    if most is None:
        return ""
    return f"{least} to {most:,}{unit}" if least else f"up to {most:,}{unit}"


def tool_types() -> dict[str, type[BaseModel]]:
    """Return the body of each type of tool, by its ``type``."""
    return {get_args(body.model_fields["type"].annotation)[0]: body for body in get_args(AnyTool)}


def pages() -> dict[Path, dict[str, str]]:
    """Return what is made here: for each page, by the name of its place there."""
    own = {name: table(body, without=(*_SHARED_BY_TOOLS, "type")) for name, body in tool_types().items()}
    agents = {
        "agent": table(AgentCreate),
        "transcriber": table(Transcriber),
        "tts": table(Tts),
        "turn_taking": table(TurnTaking),
        "responsiveness": responsiveness_table(),
        "sensitivity": sensitivity_table(),
        "model": table(ModelCreate),
    }
    tools = {
        "every tool": table(tool_types()["end_call"], only=_SHARED_BY_TOOLS),
        "parameter": table(ToolParameter),
        "extracted": table(ExtractedField),
        "messaging_config": table(MessagingConfig),
        "calendar_config": table(CalendarConfig),
        **{name: made for name, made in own.items() if name != "end_call"},
    }
    return {REFERENCE / "agents.md": agents, REFERENCE / "tools.md": tools}


def main() -> int:
    """Run the command line."""
    stale = 0
    for page, parts in pages().items():
        text = page.read_text(encoding="utf-8")
        made = filled(text, parts)
        if made == text:
            continue
        if "--check" in sys.argv[1:]:
            print(f"docs/reference/{page.name} is stale: run `python scripts/list_fields.py`", file=sys.stderr)
            stale = 1
        else:
            page.write_text(made, encoding="utf-8")
    return stale


if __name__ == "__main__":
    sys.exit(main())
