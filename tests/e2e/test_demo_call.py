"""A whole demo call in Chromium, spoken: human prompts and flite voices through the browser's microphone."""

import time
from itertools import pairwise
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenBrowser
from tests.support.microphone import LISTEN_SCRIPT, Loudness, write_microphone
from tests.support.running import RunningServer
from tests.support.speech import flite, need_flite, need_prompts, prompt

# When each thing is said, in seconds from the opening of the microphone. The desk's answers take three to seven
# seconds; what is said at BARGE_IN_AT_S falls into the middle of one.
BOOK_AT_S, BARGE_IN_AT_S, MEAL_AT_S, PEOPLE_AT_S, GOODBYE_AT_S = 10.0, 14.0, 21.0, 28.0, 36.0


def sign_in(page: Page, server: RunningServer) -> None:
    page.goto(server.sign_in_url)
    page.wait_for_url("**/agents")


def test_a_demo_call_is_spoken_from_beginning_to_end(
    server: RunningServer, open_browser: OpenBrowser, tmp_path: Path
) -> None:
    need_flite()
    need_prompts()
    microphone = write_microphone(
        tmp_path / "caller.wav",
        [
            (BOOK_AT_S, flite("i would like to book a table", "slt")),
            (BARGE_IN_AT_S, prompt("digits/tomorrow")),
            (MEAL_AT_S, flite("dinner please", "rms")),
            (PEOPLE_AT_S, flite("four people", "awb")),
            (GOODBYE_AT_S, flite("thank you goodbye", "rms")),
        ],
    )
    page = open_browser(microphone).new_page()
    page.add_init_script(LISTEN_SCRIPT)
    sign_in(page, server)
    page.get_by_role("button", name="Talk to Demo desk").click()
    log = page.get_by_role("log")
    expect(log).to_contain_text("Hello, this is the OneInbox demo desk", timeout=20_000)
    loudness = Loudness(page)
    page.wait_for_timeout(1500)
    assert loudness.since_last() > 0.01, "the greeting is heard"

    mine = page.locator("[role=log] [data-role=user][data-final=true]")
    expect(mine.nth(0)).to_contain_text("book a table", timeout=25_000)
    expect(mine.nth(1)).to_contain_text("tomorrow", timeout=15_000)
    expect(mine.nth(2)).to_contain_text("dinner", timeout=15_000)
    expect(log).to_contain_text("Are you two people", timeout=10_000)
    expect(mine.nth(3)).to_contain_text("four people", timeout=15_000)
    expect(mine.nth(4)).to_contain_text("goodbye", timeout=20_000)
    expect(page.get_by_role("link", name="See this call's record")).to_be_visible(timeout=15_000)
    page.get_by_role("link", name="See this call's record").click()
    page.wait_for_url("**/calls/call_*")

    record = server.wait_for_call(page.url.rpartition("/")[2])
    assert (record["status"], record["end_reason"]) == ("completed", "end_call_phrase")
    said = [(one["role"], one["content"]) for one in record["messages"]]
    assert [role for role, _ in said[:8]] == ["agent", "user"] * 4
    interrupted = [one for one in record["messages"] if one["interrupted"]]
    assert [one["turn"] for one in interrupted] == [1], "only the answer that was spoken over"
    whole = "With pleasure. Would you like to come today, tomorrow, or on Saturday?"
    assert whole.startswith(interrupted[0]["content"])
    assert len(interrupted[0]["content"]) < len(whole)
    assert "lunch" in said[4][1]
    assert record["latency"]["perceived"]["turns"] >= 4
    starts = [one["start_s"] for one in record["messages"]]
    assert starts == sorted(starts)
    assert all(one["start_s"] < one["end_s"] for one in record["messages"])
    barge_in = record["messages"][3]
    assert barge_in["start_s"] < record["messages"][2]["end_s"] + 0.1 < barge_in["end_s"], "one spoke over the other"


def test_an_interrupted_agent_falls_silent(server: RunningServer, open_browser: OpenBrowser, tmp_path: Path) -> None:
    """What the page receives goes quiet while the caller speaks over the greeting."""
    need_flite()
    spoken = flite("talk to a person", "slt")
    microphone = write_microphone(tmp_path / "caller.wav", [(4.0, spoken)])
    page = open_browser(microphone).new_page()
    page.add_init_script(LISTEN_SCRIPT)
    page.goto(f"{server.url}/sign-in?token={server.run('sign-in').strip().rpartition('token=')[2]}")
    page.wait_for_url("**/agents")
    page.get_by_role("button", name="Talk to Demo desk").click()
    expect(page.get_by_role("log")).to_contain_text("Hello, this is", timeout=20_000)
    loudness, heard = Loudness(page), []
    until = time.monotonic() + 8
    while time.monotonic() < until:
        page.wait_for_timeout(200)
        heard.append(loudness.since_last())
    speaking = [index for index, level in enumerate(heard) if level > 0.01]
    pauses = [later - earlier for earlier, later in pairwise(speaking)]
    assert max(pauses) >= 4, f"silent for at least 0.8 s while the caller spoke: {heard}"
    expect(page.locator("[role=log] [data-role=user][data-final=true]").first).to_contain_text("person")
    page.get_by_role("button", name="Hang up").click()
