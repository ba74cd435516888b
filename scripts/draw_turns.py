"""Draw the turn machine's tables into ``docs/explain/turn-taking.md``, where a test holds them to be the same.

``python scripts/draw_turns.py`` writes the drawings and the tables of parameters anew; ``--check`` only says whether they
are stale (exit status 1).
"""

import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import TypeVar

from oneinbox.live.engine.barge_in import BargeIn
from oneinbox.live.engine.endpointing import Endpointing
from oneinbox.live.engine.phrasebook import PHRASEBOOKS
from oneinbox.live.engine.turn_table import AGENT_TABLE, CALLER_TABLE, Agent, Caller, Signal

PAGE = Path(__file__).parents[1] / "docs" / "explain" / "turn-taking.md"
State = TypeVar("State", bound=Enum)
_STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)


def drawing(table: Mapping[tuple[State, Signal], State], first: State) -> str:
    """Return a Mermaid state diagram of a table; signals that lead from one state to the same other share an arrow."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for (before, signal), after in table.items():
        arrows.setdefault((before, after), []).append(signal.value)
    lines = [f"    [*] --> {first.name}"]
    lines += [
        f"    {before.name} --> {after.name}: {', '.join(signals)}" for (before, after), signals in arrows.items()
    ]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def responsiveness_table() -> str:
    """Return what ``responsiveness`` sets, in seconds of silence."""
    rows = [Endpointing.from_responsiveness(step) for step in _STEPS]
    return _table(
        ("`responsiveness`", *(f"{step:g}" for step in _STEPS)),
        ("silence that ends a turn (`silence_s`)", *(f"{row.silence_s:.2f}" for row in rows)),
        ("... the model says: complete (`complete_s`)", *(f"{row.complete_s:.2f}" for row in rows)),
        ("... the model says: incomplete (`incomplete_s`)", *(f"{row.incomplete_s:.2f}" for row in rows)),
        ("... the recogniser says: ended (`signalled_s`)", *(f"{row.signalled_s:.2f}" for row in rows)),
        ("the most, without a final (`final_cap_s`)", *(f"{row.final_cap_s:.2f}" for row in rows)),
        (
            "... and without any words of what was said last (`untold_cap_s`)",
            *(f"{row.untold_cap_s:.2f}" for row in rows),
        ),
    )


def sensitivity_table() -> str:
    """Return what ``interruption_sensitivity`` sets."""
    rows = [BargeIn.from_sensitivity(step) for step in _STEPS]
    return _table(
        ("`interruption_sensitivity`", *(f"{step:g}" for step in _STEPS)),
        ("sound that silences the agent (`confirm_s`)", *(f"{row.confirm_s:.3f}" for row in rows)),
        ("words that end its speech (`least_words`)", *(str(row.least_words) for row in rows)),
    )


def _table(*rows: tuple[str, ...]) -> str:
    head, *body = rows
    rule = ("---", *("---:" for _ in head[1:]))
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *body))


def parts() -> dict[str, str]:
    """Return what is made here, by the name of its place on the page."""
    return {
        "caller": drawing(CALLER_TABLE, Caller.QUIET),
        "agent": drawing(AGENT_TABLE, Agent.LISTENING),
        "responsiveness": responsiveness_table(),
        "sensitivity": sensitivity_table(),
        "languages": ", ".join(f"`{language}`" for language in sorted(PHRASEBOOKS)),
    }


def redrawn(page: str) -> str:
    """Return ``page`` with everything between its marks made anew; raises ``ValueError`` where a mark is missing."""
    return filled(page, parts())


def filled(page: str, made_parts: Mapping[str, str]) -> str:
    """Return ``page`` with each part between its own two marks; raises ``ValueError`` where a mark is missing."""
    for name, made in made_parts.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"the page has no place for {name}")
        page = f"{before}{begin}\n{made}\n{end}{after}"
    return page


def main() -> int:
    """Run the command line."""
    page = PAGE.read_text(encoding="utf-8")
    made = redrawn(page)
    if "--check" in sys.argv[1:]:
        if made != page:
            print("docs/explain/turn-taking.md is stale: run `python scripts/draw_turns.py`", file=sys.stderr)
        return int(made != page)
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
