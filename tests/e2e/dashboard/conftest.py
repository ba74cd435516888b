"""A signed-in browser page, watched for errors and for requests to anybody else."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

from tests.e2e.conftest import OpenBrowser
from tests.support.running import RunningServer


@dataclass
class Watched:
    """What a page did that it should not."""

    own: str
    errors: list[str] = field(default_factory=list[str])
    foreign: list[str] = field(default_factory=list[str])

    def watch(self, page: Page) -> None:
        """Note every error of ``page`` and every request that leaves the server."""
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._heard)
        page.on("request", self._asked)

    def _heard(self, message: ConsoleMessage) -> None:
        # Chromium itself logs every answer that is not a success; those are what some tests are about.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.own, "data:", "blob:")):
            self.foreign.append(request.url)


@pytest.fixture
def browser(open_browser: OpenBrowser) -> Browser:
    """Chromium whose fake microphone beeps."""
    return open_browser()


@pytest.fixture
def new_link(server: RunningServer) -> Callable[[], str]:
    """Make a new one-use sign-in link, as the command line does."""
    return lambda: f"{server.url}/sign-in?token={server.run('sign-in').strip().rpartition('token=')[2]}"


@pytest.fixture
def watched(server: RunningServer) -> Iterator[Watched]:
    """Fails the test afterwards where a page had an error or asked a foreign host."""
    found = Watched(server.url)
    yield found
    assert found.errors == []
    assert found.foreign == []


@pytest.fixture
def context(browser: Browser, server: RunningServer) -> BrowserContext:
    """A browser window of a usual size, with a clipboard that may be read."""
    context = browser.new_context(viewport={"width": 1280, "height": 860}, locale="en-GB")
    context.grant_permissions(["clipboard-read", "clipboard-write", "microphone"], origin=server.url)
    context.set_default_timeout(15_000)
    return context


@pytest.fixture(scope="module")
def session(server: RunningServer) -> str:
    """The cookie of a session, signed in to with the link that the server printed when it started."""
    body = {"token": server.sign_in_url.rpartition("token=")[2]}
    answer = httpx.post(f"{server.url}/v1/auth/sign-in-link", json=body)
    assert answer.is_success, answer.text
    return answer.cookies["oneinbox_token"]


@pytest.fixture
def page(context: BrowserContext, watched: Watched, session: str, server: RunningServer) -> Page:
    """The dashboard, signed in, at the list of agents."""
    context.add_cookies([{"name": "oneinbox_token", "value": session, "url": server.url, "httpOnly": True}])
    page = context.new_page()
    watched.watch(page)
    page.goto(server.url)
    page.wait_for_url("**/agents")
    return page
