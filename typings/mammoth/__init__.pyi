"""The one function of mammoth that is used."""

from collections.abc import Callable
from typing import BinaryIO

class _Result:
    value: str

def convert_to_html(fileobj: BinaryIO, *, convert_image: Callable[[object], list[object]]) -> _Result: ...
