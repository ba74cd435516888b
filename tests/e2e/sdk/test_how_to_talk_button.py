"""``docs/how-to/talk-button.md``, done as it is written, from the start of the server to the webhook."""

import re
import sys
import time
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenBrowser
from tests.support.examples import free_port
from tests.support.how_to import Block, Shell, read
from tests.support.running import RunningServer

PAGE = "talk-button.md"
START, WITHOUT, WITH = "1. Start, and get a secret key", "A page without a backend", "A page with a backend"


@pytest.fixture
def server(tmp_path: Path, built_pages: Path) -> Generator[RunningServer]:
    """A fresh server, started with the variables of the how-to's first command."""
    command = read(PAGE, {})[0].text.split()
    assert command[-2:] == ["make", "up"]
    environ = dict(word.split("=", 1) for word in command[:-2])
    with RunningServer(tmp_path / "data", environ=environ) as running:
        yield running


def press_and_talk(page: Page, address: str) -> None:
    """Press the button, be in a call, hang up."""
    page.goto(address)
    page.get_by_role("button", name="Talk to AI").click()
    expect(page.get_by_role("status")).to_have_text("You are connected.", timeout=20_000)
    page.get_by_role("button", name="Hang up").click()
    expect(page.get_by_role("status")).to_contain_text("The call is over", timeout=20_000)
    expect(page.get_by_role("button", name="Talk to AI")).to_be_visible()


def answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=20).is_success
    except httpx.TransportError:
        return False


def wait_for_page(address: str) -> None:
    deadline = time.monotonic() + 30
    while not answers(address):
        assert time.monotonic() < deadline, f"nothing answers at {address}"
        time.sleep(0.1)


def wait_for_lines(file: Path, *patterns: str) -> str:
    deadline = time.monotonic() + 30
    while not all(re.search(one, file.read_text()) for one in patterns):
        assert time.monotonic() < deadline, file.read_text()
        time.sleep(0.1)
    return file.read_text()


def under(blocks: list[Block], heading: str) -> list[Block]:
    found = [block for block in blocks if block.heading == heading]
    assert found, heading
    return found


def test_from_sign_up_to_a_button_and_a_webhook(
    server: RunningServer, open_browser: OpenBrowser, tmp_path: Path
) -> None:
    page_url, backend_url = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    instead = {
        "http://127.0.0.1:8080": server.url,
        "http://127.0.0.1:8090": page_url,
        "server 8090": f"server {page_url.rpartition(':')[2]}",
        "http://127.0.0.1:8091": backend_url,
        '("127.0.0.1", 8091)': f'("127.0.0.1", {backend_url.rpartition(":")[2]})',
        ".venv/bin/oneinbox": f"{sys.executable} -m oneinbox",
    }
    blocks = read(PAGE, instead)
    folder = tmp_path / "site-of-mine"
    folder.mkdir()
    environ = {"ONEINBOX_DATA_DIR": str(server.data_dir)}
    with Shell(folder, environ) as shell:
        for block in under(blocks, START)[1:] + under(blocks, "2. Choose who answers") + under(blocks, WITHOUT):
            shell.do(block)
        wait_for_page(page_url)
        page = open_browser().new_page()
        press_and_talk(page, page_url)

        # the same key is for no other origin
        page.goto(page_url.replace("127.0.0.1", "localhost"))
        page.get_by_role("button", name="Talk to AI").click()
        expect(page.get_by_role("status")).to_contain_text("origin", timeout=20_000)

        for block in under(blocks, WITH):
            shell.do(block)
        wait_for_page(backend_url)
        press_and_talk(page, backend_url)
        told = wait_for_lines(shell.output_of("python3 backend.py"), "call.started", "call.ended call_.* user_hangup")
        assert "Traceback" not in told
        forged = {"webhook-id": "evt_1", "webhook-timestamp": str(int(time.time())), "webhook-signature": "v1,AAAA"}
        for headers in ({}, forged):
            assert httpx.post(f"{backend_url}/webhook", json={}, headers=headers, timeout=20).status_code == 400
