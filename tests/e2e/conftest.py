"""A real server, and Chromium with a fake microphone."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from oneinbox.server.pages import STATIC_DIR
from tests.support.chromium import CHROMIUM, FLAGS
from tests.support.running import RunningServer
from tests.support.tools import missing

OpenBrowser = Callable[..., Browser]


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
            flags = [*FLAGS, "--use-fake-ui-for-media-stream"]
            if microphone is not None:
                flags.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
            opened.append(browser)
            return browser

        yield launch
        for browser in opened:
            browser.close()
