"""A real server, and Chromium with a fake microphone."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from oneinbox.server.pages import STATIC_DIR
from tests.support.running import RunningServer

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)

OpenBrowser = Callable[..., Browser]


def missing(what: str) -> None:
    """Skip for want of ``what``; fail in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing, and CI must have it")
    pytest.skip(f"{what} is missing")


@pytest.fixture(scope="session")
def built_pages() -> Path:
    """The web parts, as `make web` builds them."""
    if not (STATIC_DIR / "dashboard" / "index.html").is_file():
        missing("the web build (`make web`)")
    return STATIC_DIR


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, built_pages: Path) -> Iterator[RunningServer]:
    """A server with the demo agent and no key."""
    with RunningServer(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture
def open_browser() -> Iterator[OpenBrowser]:
    """Open Chromium whose microphone plays a WAV file (once, with silence behind it)."""
    if shutil.which(CHROMIUM) is None:
        missing(f"Chromium ({CHROMIUM})")
    opened: list[Browser] = []
    with sync_playwright() as playwright:

        def launch(microphone: Path | None = None) -> Browser:
            flags = list(_FLAGS)
            if microphone is not None:
                flags.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
            opened.append(browser)
            return browser

        yield launch
        for browser in opened:
            browser.close()
