"""The page about turn-taking shows the tables as they are."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "draw_turns.py"


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("draw_turns", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_fresh(script: ModuleType) -> None:
    page = script.PAGE.read_text(encoding="utf-8")
    assert script.redrawn(page) == page, "run `python scripts/draw_turns.py`"


def test_every_row_is_drawn(script: ModuleType) -> None:
    page = script.PAGE.read_text(encoding="utf-8")
    for table in (script.CALLER_TABLE, script.AGENT_TABLE):
        for (before, signal), after in table.items():
            arrow = next(line for line in page.splitlines() if line.startswith(f"    {before.name} --> {after.name}: "))
            assert signal.value in arrow.partition(": ")[2].split(", ")


def test_a_page_without_its_places_is_refused(script: ModuleType) -> None:
    with pytest.raises(ValueError, match="caller"):
        script.redrawn("# nothing")
