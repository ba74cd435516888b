"""Run many random calls, or look at one: ``python -m tests.simulate --calls 100000 --seed 1``.

Prints the seeds of calls that break a law, and how to play each again; its exit status is 1 where there are any.
"""

import argparse
import logging
import multiprocessing
import sys
import time
from collections.abc import Iterator

from tests.simulate.callers import random_scene
from tests.simulate.laws import check
from tests.simulate.many import Tally, play
from tests.support.conversation import Outcome, converse

_CHUNK = 50
_SHOWN = 10
"""Broken calls that are printed in full."""


def show(seed: int) -> None:
    """Play one call and print what happened in it, by the second."""
    logging.basicConfig(level=logging.ERROR)
    outcome = converse(random_scene(seed))
    for at_s, line in sorted(_timeline(outcome), key=lambda entry: entry[0]):
        print(f"{at_s:8.3f}  {line}")
    print(f"ended by {outcome.reason.value} after {outcome.ended_s - outcome.started_s:.3f} s; {outcome.scene.turns}")
    check(outcome)
    print("every law holds")


def _timeline(outcome: Outcome) -> Iterator[tuple[float, str]]:
    start_s = outcome.started_s
    words = [(start, end) for start, end, _ in outcome.caller.spoken]
    for start, end, text in outcome.caller.spoken:
        yield start - start_s, f"caller says {text!r} (to {end - start_s:.3f})"
    for start, end in outcome.caller.voiced:
        if (start, end) not in words:
            yield start - start_s, f"caller makes a sound (to {end - start_s:.3f})"
    for at, text in outcome.caller.typed:
        yield at - start_s, f"caller types {text!r}"
    for at, values in outcome.page.attributes:
        yield at - start_s, f"    page: {values}"
    before = (0.0, 0, 0.0)
    for frame in outcome.playout.frames:
        if frame[1:] != before[1:] or frame[0] - before[0] > 0.03:
            text = outcome.scene.tts.sentences[frame[1] - 1] if frame[1] else ""
            yield frame[0] - start_s, f"    agent heard at level {frame[2]:g}: {text!r}"
        before = frame
    for message in outcome.messages:
        what = f"{message.role.value} {message.content!r}{' (interrupted)' if message.interrupted else ''}"
        yield message.start_s, f"  record {message.turn} to {message.end_s:.3f}: {what}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description=__doc__)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1, help="of the first call; the next has the next")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    if options.calls == 1:
        show(options.seed)
        return
    last = options.seed + options.calls
    chunks = [range(seed, min(seed + _CHUNK, last)) for seed in range(options.seed, last, _CHUNK)]
    total, started_s, told_s = Tally(), time.monotonic(), time.monotonic()
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for tally in pool.imap_unordered(play, chunks):
            for seed, trace in tally.broken:
                print(f"seed {seed} broke a law; again: python -m tests.simulate --calls 1 --seed {seed}", flush=True)
                if len(total.broken) < _SHOWN:
                    print(trace, flush=True)
            total.add(tally)
            if time.monotonic() - told_s > 10:
                told_s = time.monotonic()
                rate = total.calls / (told_s - started_s) * 60
                print(f"{total.calls} calls, {len(total.broken)} broken, {rate:.0f} a minute", flush=True)
    print(
        f"{total.calls} calls of {total.spoken_s / 3600:.1f} hours together; {total.messages} messages, {total.interrupted} "
        f"interrupted, {total.faults} provider failures; {total.cpu_s / total.calls * 1000:.1f} ms CPU a call"
    )
    print(f"ends: {dict(total.reasons.most_common())}\nbroken: {sorted(seed for seed, _ in total.broken)}")
    sys.exit(bool(total.broken))


if __name__ == "__main__":
    main()
