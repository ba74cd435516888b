"""Reads PDF, Word and Excel files. Run as a process of its own, because a file can be made to eat time and memory.

``python -m oneinbox.api.knowledge.documents .pdf`` takes the file on its input and puts its text on its output, both
binary; the text is UTF-8. With exit status :data:`UNREADABLE` the output says why there is no text.
"""

import io
import logging
import os
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence

from oneinbox.api.knowledge.reading import CELL_END, UnreadableError, text_of_html, tidy

UNREADABLE = 3
MAX_TEXT_CHARS = 4 * 1024 * 1024
_MAX_UNPACKED_BYTES = 100 * 1024 * 1024
_CPU_LIMIT_S = 120
_MEMORY_LIMIT_BYTES = 1024**3
_TOO_LONG = f"it holds more than {MAX_TEXT_CHARS} characters: divide it"


def read_document(suffix: str, data: bytes) -> str:
    """Return the text of a file; ``suffix`` (``.pdf``) is one of :data:`READERS`. Raises :class:`UnreadableError`."""
    return tidy(READERS[suffix](data))


def _read_pdf(data: bytes) -> str:
    from pypdf import PasswordType, PdfReader  # noqa: PLC0415 - each reader loads only what it needs
    from pypdf.errors import PyPdfError  # noqa: PLC0415

    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and reader.decrypt("") is PasswordType.NOT_DECRYPTED:
            raise UnreadableError("it is protected by a password")
        text = _capped("\n\n", (page.extract_text() for page in reader.pages))
    except PyPdfError as error:
        raise UnreadableError("it is damaged, or no PDF") from error
    if not text.strip():
        raise UnreadableError("there is no text in it; text in pictures (a scan) is not read")
    return text


def _read_word(data: bytes) -> str:
    import mammoth  # noqa: PLC0415

    _require_modest_package(data, "it is damaged, or no .docx (an old .doc is saved anew as .docx first)")
    try:
        page = mammoth.convert_to_html(io.BytesIO(data), convert_image=_leave_out)
    except (KeyError, OSError, ValueError) as error:  # what every Word file has is not in it
        raise UnreadableError("it is damaged, or no Word file") from error
    return _capped("", [text_of_html(page.value)])


def _require_modest_package(data: bytes, otherwise: str) -> None:
    """Refuse a zip file that unpacks to too much, or that is none. What it says of its sizes is held to in unpacking."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            unpacked = sum(part.file_size for part in package.infolist())
    except zipfile.BadZipFile as error:
        raise UnreadableError(otherwise) from error
    if unpacked > _MAX_UNPACKED_BYTES:
        raise UnreadableError(f"it unpacks to more than {_MAX_UNPACKED_BYTES} bytes: divide it")


def _leave_out(image: object) -> list[object]:
    del image
    return []


def _read_sheets(data: bytes) -> str:
    from python_calamine import (  # noqa: PLC0415
        CalamineError,
        CalamineWorkbook,
        PasswordError,
    )

    if data.startswith(b"PK"):  # .xlsx; the older .xls is no package
        _require_modest_package(data, "it is damaged, or no Excel file")
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        return _capped("\n", _lines_of(book.sheet_names, lambda name: book.get_sheet_by_name(name).to_python()))
    except PasswordError as error:
        raise UnreadableError("it is protected by a password") from error
    except CalamineError as error:
        raise UnreadableError("it is damaged, or no Excel file") from error


def _lines_of(names: list[str], rows_of: Callable[[str], Sequence[Sequence[object]]]) -> Iterator[str]:
    for name in names:
        yield f"\n# {name}\n"
        for row in rows_of(name):
            cells = [_shown(cell) for cell in row]
            if any(cells):
                yield CELL_END.join(cells)


def _shown(cell: object) -> str:
    """Return a cell as a reader sees it: whole numbers carry no point."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _capped(between: str, pieces: Iterator[str] | list[str]) -> str:
    taken: list[str] = []
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > MAX_TEXT_CHARS:
            raise UnreadableError(_TOO_LONG)
        taken.append(piece)
    return between.join(taken)


READERS: dict[str, Callable[[bytes], str]] = {
    ".pdf": _read_pdf,
    ".docx": _read_word,
    ".xlsx": _read_sheets,
    ".xls": _read_sheets,
}


def _limit_self() -> None:
    """Give way to calls, and set bounds that the kernel holds this process to."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - not to be had on Windows

    os.nice(10)
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_LIMIT_S, _CPU_LIMIT_S))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_LIMIT_BYTES, _MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> int:
    """Read the file on the standard input; returns the exit status."""
    _limit_self()
    logging.disable()  # what the libraries say of a file is of no use to whoever sent it
    try:
        said, status = read_document(sys.argv[1], sys.stdin.buffer.read()), 0
    except UnreadableError as error:
        said, status = str(error), UNREADABLE
    except MemoryError:
        said, status = "it unpacks to more than can be read: divide it", UNREADABLE
    except RecursionError:
        said, status = "it is nested too deep", UNREADABLE
    except Exception:  # noqa: BLE001 - a damaged file breaks these libraries in any way there is
        said, status = "it is damaged", UNREADABLE
    sys.stdout.buffer.write(said.encode(errors="replace"))
    sys.stdout.buffer.flush()
    return status


if __name__ == "__main__":
    sys.exit(main())
