"""Benchmarks write their figures into their pages, and touch nothing else there."""

from pathlib import Path
from typing import Any

import pytest

from bench import published
from bench.media import report

_PAGE = (
    "# Title\n\nBefore.\n\n<!-- figures: written by the benchmark -->\n\nold\n\n<!-- end of the figures -->\n\nAfter.\n"
)


def _run(cpu_ms: float, heard: float = 1.0) -> dict[str, Any]:
    settled = {"core": 0.1, "server_heard": 1.0, "client_heard": heard, "memory_mb": 112.4, "load_cpu_ms": 9.0}
    return {"cpu_ms": cpu_ms, "late_ms": cpu_ms / 10, "parts": {"Opus": 0.75, "SRTP": 0.25}, "table": "", **settled}


def _results() -> dict[str, Any]:
    figures = {
        "ours/8": report.summary([_run(10.0), _run(12.0)]),
        "stock/8": report.summary([_run(33.0)]),
        "ours/40": report.summary([_run(8.0)]),
        "stock/40": report.summary([_run(24.0, heard=0.69)]),
        "ours, LiveKit's client/8": report.summary([_run(13.0)]),
        "stock, LiveKit's client/8": report.summary([]),
    }
    return {
        "figures": figures,
        "profiles": {"40": report.parts(_run(8.0))},
        "sizes": [8, 40],
        "livekit": [8],
        "variants": ["ours", "stock"],
    }


def test_figures_take_the_place_of_the_last_ones(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(_PAGE)
    published.write(page, "one\n")
    published.write(page, "two\n")
    assert page.read_text() == _PAGE.replace("old", "two")


def test_a_page_that_does_not_stand_yet_is_begun(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    published.write(page, "one\n")
    published.write(page, "two\n")
    assert "two" in page.read_text()
    assert "one" not in page.read_text()


def test_a_page_without_a_place_for_figures_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Title\n")
    with pytest.raises(ValueError, match="no place for figures"):
        published.write(page, "one\n")
    assert page.read_text() == "# Title\n"


@pytest.mark.parametrize("name", ["media", "turns"])
def test_the_pages_have_a_place_for_figures(name: str, tmp_path: Path) -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "benchmarks" / f"{name}.md").read_text()
    page = tmp_path / "page.md"
    page.write_text(text)
    published.write(page, "new\n")
    assert len(page.read_text()) < len(text)
    assert page.read_text().startswith(text[:200])


def test_media_tables_say_what_it_costs() -> None:
    written = report.tables(_results())
    assert "| 8 | 11.0 (10.0, 12.0) | 33.0 (33.0) | 3.0 |" in written
    assert "| 8, ours | 0.10 | 100 % | 100 % | 1 ms | 112 MB |" in written
    assert "| Opus | 6.00 |" in written


def test_media_tables_compare_nothing_with_calls_that_were_not_carried() -> None:
    written = report.tables(_results())
    assert "| 40 | 8.0 (8.0) | does not carry them | - |" in written
    assert "| 40, stock | 0.10 | 100 % | 69 % | 2 ms | 112 MB |" in written
    assert "| 8 | 13.0 (13.0) | does not carry them | - |" in written
