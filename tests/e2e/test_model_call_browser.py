"""A spoken call in Chromium with an agent whose three stages are served over OpenAI's wire."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import OpenBrowser
from tests.support.microphone import LISTEN_SCRIPT, Loudness, write_microphone
from tests.support.model_server import asks, model_server
from tests.support.running import RunningServer
from tests.support.speech import flite, need_flite

QUESTIONS = ("could you tell me when my order arrives", "wait please", "can I still change the address", "thank you")
ANSWERS = {
    QUESTIONS[
        0
    ]: "It left the warehouse this morning, and the driver has your number. You will have it tomorrow at noon, "
    "and if nobody is at home then it goes to your neighbour, as you wished the last time.",
    QUESTIONS[1]: "Of course.",
    QUESTIONS[2]: "Yes, until this evening.",
    QUESTIONS[3]: "You are welcome.",
}
SPOKEN_AT_S = (7.0, 13.0, 19.0, 26.0)
"""From the opening of the microphone; the second falls into the long answer to the first."""


@pytest.fixture
def wire_url(tmp_path: Path) -> Iterator[str]:
    """A model server in a process of its own."""
    need_flite()
    with model_server(tmp_path, {"replies": ANSWERS, "transcripts": list(QUESTIONS)}) as url:
        yield url


def test_a_model_call_is_spoken_in_the_browser(
    wire_url: str, built_pages: Path, open_browser: OpenBrowser, tmp_path: Path
) -> None:
    assert built_pages.is_dir()
    said = [(at_s, flite(text)) for at_s, text in zip(SPOKEN_AT_S, QUESTIONS, strict=True)]
    microphone = write_microphone(tmp_path / "caller.wav", said)
    with RunningServer(tmp_path / "data", environ=asks(wire_url)) as server:
        agent = server.json("POST", "/v1/agents", json={"name": "Shop", "first_message": "Hello, this is the shop."})
        page = open_browser(microphone).new_page()
        page.add_init_script(LISTEN_SCRIPT)
        page.goto(server.sign_in_url)
        page.wait_for_url("**/agents")
        page.get_by_role("button", name="Talk to Shop").click()
        expect(page.get_by_role("log")).to_contain_text("this is the shop", timeout=20_000)
        expect(page.get_by_text("no AI model is running")).to_have_count(0)
        loudness = Loudness(page)
        mine = page.locator("[role=log] [data-role=user][data-final=true]")
        expect(mine.nth(0)).to_contain_text(QUESTIONS[0], timeout=25_000)
        page.wait_for_timeout(1500)
        assert loudness.since_last() > 0.005, "the answer is heard"
        for index, question in enumerate(QUESTIONS[1:], start=1):
            expect(mine.nth(index)).to_contain_text(question, timeout=20_000)
        expect(page.get_by_role("log")).to_contain_text(ANSWERS[QUESTIONS[3]], timeout=10_000)
        page.wait_for_timeout(2000)
        page.get_by_role("button", name="Hang up").click()
        page.get_by_role("link", name="See this call's record").click()
        page.wait_for_url("**/calls/call_*")
        record = server.wait_for_call(page.url.rpartition("/")[2])
        assert record["agent_id"] == agent["id"]
    assert (record["status"], record["end_reason"]) == ("completed", "user_hangup")
    assert [one["content"] for one in record["messages"] if one["role"] == "user"] == list(QUESTIONS)
    interrupted = [one for one in record["messages"] if one["interrupted"]]
    assert len(interrupted) == 1
    assert ANSWERS[QUESTIONS[0]].startswith(interrupted[0]["content"].rstrip())
    assert len(interrupted[0]["content"]) < len(ANSWERS[QUESTIONS[0]])
    assert record["latency"]["providers"] == dict.fromkeys(("stt", "llm", "tts"), "openai_compatible")
    assert record["latency"]["llm_ttft"]["samples"] >= 3
    assert record["provider_failures"] == []
