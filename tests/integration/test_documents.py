"""Documents read by a process of its own: what good ones say, and that no bad one does harm."""

import asyncio

import psutil
import pytest

from oneinbox.api.knowledge.reader_process import read_in_process
from oneinbox.api.knowledge.reading import UnreadableError
from tests.support import documents

_ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
_BOMB = f'<!DOCTYPE w:document [<!ENTITY e0 "ha">{_ENTITIES}]>'


@pytest.mark.parametrize(
    ("suffix", "data", "text"),
    [
        (".pdf", documents.pdf("A table costs 5 euros.", "Open at nine."), "A table costs 5 euros.\n\nOpen at nine."),
        (
            ".docx",
            documents.docx(
                documents.paragraph("Menu") + documents.table([["Dish", "Euro"], ["Soup", "4"]]) + documents.paragraph("Bye")
            ),
            "Menu\n\nDish | Euro\nSoup | 4\n\nBye",
        ),
        (".xlsx", documents.xlsx([["Dish", "Euro"], ["Soup", 4], ["Fish", 12.5]]), "# Prices\n\nDish | Euro\nSoup | 4\nFish | 12.5"),
        (".xls", documents.XLS, "# Prices\n\nDish | Euro\nSoup | 4\nFish | 12.5"),
    ],
    ids=["pdf", "docx", "xlsx", "xls"],
)  # fmt: skip
async def test_documents_are_read(suffix: str, data: bytes, text: str) -> None:
    said = await read_in_process(suffix, data)
    assert [line for line in said.splitlines() if line] == [line for line in text.splitlines() if line]


@pytest.mark.parametrize(
    ("suffix", "data", "word"),
    [
        (".pdf", b"%PDF-1.7", "no PDF"),
        (".pdf", b"", "no PDF"),
        (".pdf", documents.pdf("A table costs 5 euros.")[:300], ""),
        (".pdf", documents.pdf(""), "scan"),
        (".pdf", documents.locked_pdf("x"), "password"),
        (".docx", b"PK", "no .docx"),
        (".docx", b"\xd0\xcf\x11\xe0 an old one", "no .docx"),
        (".docx", documents.xlsx([["a"]]), "no Word file"),
        (".docx", documents.docx("&e11;", declaration=_BOMB), ""),
        (".docx", documents.docx("<w:p>" * 50_000 + "</w:p>" * 50_000), ""),
        (".docx", documents.swollen_docx(300), "divide it"),
        (".docx", documents.docx(documents.paragraph("word " * 900_000)), "divide it"),
        (".xlsx", b"PK", "no Excel file"),
        (".xlsx", documents.pdf("x"), "no Excel file"),
        (".xls", documents.XLS[:2000], ""),
    ],
    ids=[
        "cut pdf", "empty pdf", "half pdf", "scan", "locked", "cut docx", "doc", "other office", "entities", "nested",
        "swollen", "long", "cut xlsx", "pdf as xlsx", "half xls",
    ],
)  # fmt: skip
async def test_what_cannot_be_read_says_so(suffix: str, data: bytes, word: str) -> None:
    with pytest.raises(UnreadableError) as refused:
        await read_in_process(suffix, data)
    assert word in str(refused.value)


async def test_a_reader_that_takes_too_long_is_ended_and_so_is_one_not_waited_for() -> None:
    slow = documents.pdf(*["A table costs 5 euros."] * 3000)
    with pytest.raises(UnreadableError, match="too long"):
        await read_in_process(".pdf", slow, limit_s=0.05)
    waiting = asyncio.ensure_future(read_in_process(".pdf", slow))
    while not _readers():
        await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not _readers()


def _readers() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if "documents" in " ".join(one.cmdline())]
