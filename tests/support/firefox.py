"""Debian's Firefox, driven by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/), which it speaks itself.

Playwright's package drives only a Firefox of its own build; a stock one needs no driver beside it.
"""

import asyncio
import itertools
import json
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.support.tools import missing

START_LIMIT_S = 60.0
COMMAND_LIMIT_S = 60.0
FAKE_HZ = 440
"""What the fake microphone hums."""

_PREFERENCES = {
    # a microphone that hums, and a user who allows it
    "media.navigator.streams.fake": True,
    "media.navigator.audio.fake_frequency": FAKE_HZ,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    # nothing that is not asked for: no first-run pages, no updates, no reports, no look-ups
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
    "app.update.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "media.gmp-manager.url": "data:,",
    "extensions.systemAddon.update.enabled": False,
    "remote.active-protocols": 1,
}


class FirefoxPage:
    """One tab."""

    def __init__(self, wire: ClientConnection, process: asyncio.subprocess.Process) -> None:
        self._wire = wire
        self.process = process
        self._ids = itertools.count(1)
        self._context = ""

    async def open(self) -> None:
        """Begin the session and find the tab."""
        await self._send("session.new", {"capabilities": {}})
        tree = await self._send("browsingContext.getTree", {})
        self._context = tree["contexts"][0]["context"]

    async def goto(self, url: str) -> None:
        """Load a page, and wait until it is loaded."""
        await self._send("browsingContext.navigate", {"context": self._context, "url": url, "wait": "complete"})

    async def evaluate(self, function: str, *arguments: Any) -> Any:
        """Call a JavaScript function with JSON ``arguments``; return its (awaited) result by way of JSON."""
        wrapped = f"async (text) => JSON.stringify(await ({function})(...JSON.parse(text)) ?? null)"
        result = await self._send(
            "script.callFunction",
            {
                "functionDeclaration": wrapped,
                "arguments": [{"type": "string", "value": json.dumps(arguments)}],
                "target": {"context": self._context},
                "awaitPromise": True,
                "userActivation": True,
            },
        )
        assert result["type"] == "success", result.get("exceptionDetails", result)
        return json.loads(result["result"]["value"])

    async def until(self, condition: str, limit_s: float = 30.0) -> None:
        """Wait until a JavaScript expression is true."""
        deadline = asyncio.get_running_loop().time() + limit_s
        while not await self.evaluate(f"async () => Boolean(await ({condition}))"):
            assert asyncio.get_running_loop().time() < deadline, f"{condition} did not become true within {limit_s} s"
            await asyncio.sleep(0.1)

    async def _send(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        number = next(self._ids)
        await self._wire.send(json.dumps({"id": number, "method": method, "params": params}))
        async with asyncio.timeout(COMMAND_LIMIT_S):
            while True:
                answer = json.loads(await self._wire.recv())
                if answer.get("id") == number:
                    assert answer["type"] == "success", answer
                    return answer["result"]


@asynccontextmanager
async def firefox(**preferences: str | int | bool) -> AsyncIterator[FirefoxPage]:
    """Start Firefox without a window, with a fake microphone; gives its one tab."""
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        missing("Firefox (Debian's firefox-esr)")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        lines = [f"user_pref({json.dumps(key)}, {json.dumps(value)});" for key, value in _PREFERENCES.items()]
        lines += [
            f"user_pref({json.dumps(key.replace('__', '.'))}, {json.dumps(value)});"
            for key, value in preferences.items()
        ]
        (Path(folder) / "user.js").write_text("\n".join(lines))
        process = await asyncio.create_subprocess_exec(
            *(program, "--headless", "--no-remote", "--profile", folder, "--remote-debugging-port", "0"),
            env={**os.environ, "HOME": folder, "MOZ_CRASHREPORTER_DISABLE": "1"},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            address = await asyncio.wait_for(_find_address(process), START_LIMIT_S)
            async with connect(f"{address}/session", max_size=None, ping_interval=None) as wire:
                page = FirefoxPage(wire, process)
                await page.open()
                yield page
        finally:
            if process.returncode is None:
                process.terminate()
            try:
                await asyncio.wait_for(process.communicate(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _find_address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    said: list[str] = []
    while line := (await process.stderr.readline()).decode(errors="replace"):
        said.append(line)
        if found := re.search(r"WebDriver BiDi listening on (ws://\S+)", line):
            return found[1]
    raise AssertionError("Firefox did not start:\n" + "".join(said))
