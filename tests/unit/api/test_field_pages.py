"""The pages of agents and tools list the fields as the schema has them, and the limits as the code has them."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from oneinbox.live.engine.mind import MOST_ROUNDS
from oneinbox.live.engine.tool_runs import END_GRACE_S, MOST_RESULT_CHARS
from oneinbox.live.tools.arguments import MAX_TEXT_CHARS
from oneinbox.live.tools.asking import IDEMPOTENCY_KEY, MAX_ANSWER_BYTES

SCRIPTS = Path(__file__).parents[3] / "scripts"
TOOLS = SCRIPTS.parent / "docs" / "reference" / "tools.md"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(SCRIPTS), *sys.path])  # as where it is run: it imports its neighbour
    spec = importlib.util.spec_from_file_location("list_fields", SCRIPTS / "list_fields.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_fresh(script: ModuleType) -> None:
    for page, parts in script.pages().items():
        text = page.read_text(encoding="utf-8")
        assert script.filled(text, parts) == text, "run `python scripts/list_fields.py`"


def test_every_field_says_what_it_means(script: ModuleType) -> None:
    rows = [row for parts in script.pages().values() for made in parts.values() for row in made.splitlines()]
    silent = [row for row in rows if row.startswith("| `") and re.search(r"\|\s*\|$", row)]
    assert silent == []
    assert len(rows) > 80


def test_a_field_is_shown_with_its_type_limits_and_default(script: ModuleType) -> None:
    shown: dict[Path, dict[str, str]] = script.pages()
    agent = next(parts for page, parts in shown.items() if page.name == "agents.md")["agent"]
    assert "| `silence_timeout_seconds` | integer, 0 to 300 | `10` | " in agent
    assert "| `name` | text, 1 to 255 characters | **needed** | " in agent
    assert "| `end_call_phrases` | list of up to 100: text, 1 to 1,000 characters | `[]` | " in agent
    assert "| `first_message` | text, up to 100,000 characters, or null | `null` | " in agent


def test_every_type_of_tool_stands_in_the_table_of_types(script: ModuleType) -> None:
    table = TOOLS.read_text(encoding="utf-8").partition("## Types")[2].partition("\n## ")[0]
    first_cells = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    assert set(re.findall(r"`(\w+)`", " ".join(first_cells[1:]))) == set(script.tool_types())


@pytest.mark.parametrize(
    "said",
    [
        f"more than {MOST_RESULT_CHARS:,} characters",
        f"more than {MAX_TEXT_CHARS:,} characters",
        f"longer than {MAX_ANSWER_BYTES // 1024} KiB",
        f"Running tools have {END_GRACE_S:g} s",
        f"{({6: 'Six'}).get(MOST_ROUNDS)} times for one reply",
        f"**`{IDEMPOTENCY_KEY}`**",
    ],
)
def test_the_limits_of_tools_are_those_of_the_code(said: str) -> None:
    assert said in TOOLS.read_text(encoding="utf-8")
