"""What is used of bm25s."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

class BM25:
    def __init__(self) -> None: ...
    def index(self, corpus: Sequence[Sequence[str]], *, show_progress: bool) -> None: ...
    def retrieve(
        self, query_tokens: Sequence[Sequence[str]], *, k: int, show_progress: bool, sorted: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]: ...
