"""How long it takes from a token to the first sound of the agent, in Chromium over loopback.

``python -m bench.connect`` takes about two minutes. What is warm: a real server with the demo agent, which has carried a
call, so that the greeting is kept; the built Web SDK in a page that stays open, had a call itself, and may use its
(fake) microphone. Calls are made one after the other, by turns in two ways, and both stop with the first sample of the
agent's voice that is not silence (-54 dBFS), taken from the decoded track itself:

- token in hand: the page holds a token that a backend made 0.3 s ago; the clock starts with ``connect()``;
- from the token request: the page asks for one with its publishable key; the clock starts with ``start()``.

What it is made of: the client's own moments, the signalling messages as they pass, and (``server: ...``) parts from the
call's record. Then the way to the sound in steps, for a usual call and for the slowest ones.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from bench.connect.page import PAGE
from tests.support.chromium import CHROMIUM, FLAGS, sdk_page, serve_files
from tests.support.running import RunningServer

Marks = dict[str, float]

STEPS = (
    "told: token",
    "peer made",
    "socket asked",
    "socket open",
    "told: answer",
    "ice checking",
    "ice connected",
    "dtls connected",
    "first packet",
    "sound",
)
"""What comes one after the other on the way to the first sound; the microphone is opened and announced beside it."""
_SLOWEST = 0.1


class Bench:
    """One server and one page, and the calls between them."""

    def __init__(self, server: RunningServer, page: Page, origin: str) -> None:
        self._server = server
        self._page = page
        body = {"name": "bench", "allowed_origins": [origin]}
        self._key = server.json("POST", "/v1/publishable-keys", json=body)["key"]

    def with_token(self) -> Marks:
        """Make a call whose token is had beforehand; return when what was reached, in milliseconds."""
        made: dict[str, Any] = self._server.json("POST", "/v1/calls/web", json={"agent_id": self._server.demo_agent_id})
        self._page.wait_for_timeout(300)
        marks: Marks = self._page.evaluate(
            "([url, token]) => withToken(url, token)", [made["server_url"], made["participant_token"]]
        )
        return {**marks, **_parts(self._server.wait_for_call(made["id"]))}

    def with_key(self) -> Marks:
        """Make a call that the page asks for itself."""
        asked = [self._server.url, self._key, self._server.demo_agent_id]
        found: tuple[str, Marks] = self._page.evaluate("([url, key, agent]) => withKey(url, key, agent)", asked)
        call_id, marks = found
        return {**marks, **_parts(self._server.wait_for_call(call_id))}


def _parts(call: dict[str, Any]) -> Marks:
    """Return what the call's record tells of how it came up."""
    connect: dict[str, float | None] = call["latency"]["connect"]
    quality: dict[str, float | None] = call["quality"] or {}
    told: dict[str, float | None] = {
        "server: join to path and microphone": connect["answer_to_active_ms"],
        "server: join to greeting sent": connect["setup_ms"],
        "server: ice": quality.get("ice_ms"),
        "server: dtls": quality.get("dtls_ms"),
    }
    return {name: ms for name, ms in told.items() if ms is not None}


def quantile(values: list[float], share: float) -> float:
    """Return the value below which ``share`` of them lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def steps_of(marks: Marks) -> Marks:
    """Return how long each step took: its moment less the latest one before it. What is not there takes no time."""
    found: Marks = {}
    before_ms = 0.0
    for name in STEPS:
        at_ms = max(marks.get(name, before_ms), before_ms)
        found[name] = at_ms - before_ms
        before_ms = at_ms
    return found


def report(title: str, cold: Marks, warm: list[Marks]) -> str:
    """Return the figures as text."""
    sounds = [one["sound"] for one in warm]
    reached = f"p50 {quantile(sounds, 0.5):.0f} ms, p95 {quantile(sounds, 0.95):.0f} ms, most {max(sounds):.0f} ms"
    lines = [f"{title} -> first remote sound, n {len(warm)}: {reached} (cold: {cold['sound']:.0f} ms)"]
    names = {name for one in warm for name in one}
    for name in sorted(names, key=lambda name: statistics.median(one.get(name, 1e9) for one in warm)):
        values = [one[name] for one in warm if name in one]
        lines.append(
            f"  {name:<36} p50 {quantile(values, 0.5):6.0f}   p95 {quantile(values, 0.95):6.0f}   in {len(values)}"
        )
    usual = [steps_of(one) for one in warm]
    slow = [steps_of(one) for one in warm if one["sound"] >= quantile(sounds, 1 - _SLOWEST)]
    lines.append(f"  the steps of it, in ms: median of all, mean of the {len(slow)} slowest")
    for name in STEPS:
        if any(one[name] for one in usual):
            middle = statistics.median(one[name] for one in usual)
            lines.append(f"    to {name:<24} {middle:6.1f} {statistics.mean(one[name] for one in slow):8.1f}")
    return "\n".join(lines)


def main() -> None:
    """Measure and print a table; ``--json`` prints everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40, help="calls of either kind")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        RunningServer(Path(folder) / "data") as server,
        serve_files(sdk_page(PAGE)) as origin,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, "--use-fake-ui-for-media-stream"])
        context = browser.new_context(permissions=["microphone"])
        page = context.new_page()
        page.goto(origin)
        page.wait_for_function("window.ready")
        bench = Bench(server, page, origin)
        cold = bench.with_token(), bench.with_key()
        warm = [(bench.with_token(), bench.with_key()) for _ in range(asked.runs)]
        browser.close()
    kinds = ("token in hand", "from the token request")
    measured = {
        kind: (first, [pair[n] for pair in warm]) for n, (kind, first) in enumerate(zip(kinds, cold, strict=True))
    }
    if asked.json:
        json.dump({kind: {"cold": first, "warm": found} for kind, (first, found) in measured.items()}, sys.stdout)
        return
    print(f"milliseconds; load of the machine at the end {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for kind, (first, found) in measured.items():
        print(report(kind, first, found))


if __name__ == "__main__":
    main()
