"""What the language model sees of a tool: a name that it may call, and the JSON schema of its arguments. Pure."""

import re
from collections.abc import Iterable
from typing import Any

from oneinbox.core.spec import ToolSpec

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MAX_NAME = 64


def function_name(name: str) -> str:
    """Return a tool's name as language models take it (letters, digits, ``_``, ``-``; 64 at most)."""
    return _NOT_IN_A_NAME.sub("_", name).strip("_")[:_MAX_NAME] or "tool"


def with_distinct_names(tools: Iterable[ToolSpec]) -> tuple[ToolSpec, ...]:
    """Return the tools, those whose name stands already numbered: ``look_up``, ``look_up_2``."""
    taken: set[str] = set()
    distinct: list[ToolSpec] = []
    for tool in tools:
        name, number = tool.name, 1
        while name in taken:
            number += 1
            ending = f"_{number}"
            name = tool.name[: _MAX_NAME - len(ending)] + ending
        taken.add(name)
        spec = ToolSpec(
            name=name, type=tool.type, description=tool.description, parameters=tool.parameters, config=tool.config
        )
        distinct.append(spec)
    return tuple(distinct)


def arguments_schema(tool_type: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of the arguments that the model gives a tool of this type."""
    match tool_type:
        case "api_call":
            return _object(config["parameters"])
        case "mcp_server":
            return {}  # each of its tools has its own
        case "extract_information":
            return _object(config["extraction_schema"]["fields"])
        case "send_sms" | "send_email":
            message = config["messaging_config"]
            texts = (message["to"], message.get("subject_template") or "", message["body_template"])
            return _object([_text(name, f"Fills {name} in the message.") for name in _placeholders(texts)])
        case "schedule_calendar_event":
            zone = config["calendar_config"]["timezone"]
            return _object(
                [
                    _text("start", f"When it begins: ISO 8601, in the time zone {zone} unless it names another."),
                    _text("name", "Who comes."),
                    _text("email", "Where the invitation goes."),
                ]
            )
        case _:
            return _object([])


def _placeholders(texts: Iterable[str]) -> list[str]:
    found = (match[1] or match[2] for text in texts for match in _PLACEHOLDER.finditer(text))
    return list(dict.fromkeys(found))


def _text(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "type": "string", "description": description, "required": True}


def _object(arguments: list[dict[str, Any]]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for argument in arguments:
        schema: dict[str, Any] = {"type": argument["type"], "description": argument["description"]}
        if argument["type"] == "array":
            schema["items"] = {"type": "string"}
        if argument.get("enum"):
            schema["enum"] = argument["enum"]
        properties[argument["name"]] = schema
    return {
        "type": "object",
        "properties": properties,
        "required": [argument["name"] for argument in arguments if argument["required"]],
        "additionalProperties": False,
    }
