"""Where a process spends its CPU time, by looking at its stack every millisecond of it: costs next to nothing."""

import linecache
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType

_EVERY_S = 0.001


class Sampler:
    """Counts, for each function, the samples that were inside it, and those that were inside nothing it called.

    What a function written in C does counts as its caller's line. The kernel looks at its own ticks of some milliseconds: a
    process that works in step with them is always seen at the same place, and has to be put out of step.
    """

    def __init__(self) -> None:
        self._inside: Counter[CodeType] = Counter()
        self._itself: Counter[tuple[CodeType, int]] = Counter()
        self._samples = 0
        self._running = False

    def start(self) -> None:
        self._running = True
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, _EVERY_S, _EVERY_S)

    def stop(self) -> None:
        self._running = False  # a signal may still be on its way
        signal.setitimer(signal.ITIMER_PROF, 0)

    def forget(self) -> None:
        """Begin to count anew."""
        self._inside.clear()
        self._itself.clear()
        self._samples = 0

    def _sample(self, number: int, frame: FrameType | None) -> None:
        del number
        if frame is None or not self._running:
            return
        self._samples += 1
        # A few instructions belong to no line (CPython 3.11's f_lineno is None there): they count as their function's first.
        self._itself[frame.f_code, frame.f_lineno or frame.f_code.co_firstlineno] += 1
        seen: set[CodeType] = set()
        while frame is not None:
            seen.add(frame.f_code)
            frame = frame.f_back
        self._inside.update(seen)

    def shares(self, part_of: Callable[[str, str], str]) -> dict[str, float]:
        """Return each part's share of all samples; ``part_of`` names it by a file's path and the text of a line."""
        parts: Counter[str] = Counter()
        for (code, line), count in self._itself.items():
            parts[part_of(code.co_filename, linecache.getline(code.co_filename, line).strip())] += count
        return {part: count / max(1, self._samples) for part, count in parts.most_common()}

    def table(self, length: int) -> str:
        itself: Counter[CodeType] = Counter()
        for (code, _), count in self._itself.items():
            itself[code] += count
        lines = [f"{self._samples} samples", "inside  itself"]
        for code, inside in self._inside.most_common(length):
            where = "/".join(Path(code.co_filename).parts[-3:])
            lines.append(
                f"{100 * inside / self._samples:5.1f}%  {100 * itself[code] / self._samples:5.1f}%  "
                f"{code.co_qualname}  {where}:{code.co_firstlineno}"
            )
        return "\n".join(lines)
