"""Where a process spends its CPU time, by looking at its stack every millisecond of it: costs next to nothing."""

import signal
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType

_EVERY_S = 0.001


class Sampler:
    """Counts, for each function, the samples that were inside it, and those that were inside nothing it called."""

    def __init__(self) -> None:
        self._inside: Counter[CodeType] = Counter()
        self._itself: Counter[CodeType] = Counter()
        self._samples = 0

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, _EVERY_S, _EVERY_S)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _sample(self, number: int, frame: FrameType | None) -> None:
        del number
        if frame is None:
            return
        self._samples += 1
        self._itself[frame.f_code] += 1
        seen: set[CodeType] = set()
        while frame is not None:
            seen.add(frame.f_code)
            frame = frame.f_back
        self._inside.update(seen)

    def table(self, length: int) -> str:
        lines = [f"{self._samples} samples", "inside  itself"]
        for code, inside in self._inside.most_common(length):
            itself = self._itself[code]
            where = "/".join(Path(code.co_filename).parts[-3:])
            lines.append(
                f"{100 * inside / self._samples:5.1f}%  {100 * itself / self._samples:5.1f}%  "
                f"{code.co_qualname}  {where}:{code.co_firstlineno}"
            )
        return "\n".join(lines)
