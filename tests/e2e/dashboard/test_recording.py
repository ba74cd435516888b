"""A call's recording on its page: it plays, and the transcript beside it leads into it and follows it."""

import asyncio
import threading
from typing import Any

from playwright.sync_api import Page, expect

from tests.support.caller import Caller
from tests.support.running import RunningServer


async def _talk(server: RunningServer, made: dict[str, Any]) -> None:
    caller = await Caller().join(made["server_url"], made["participant_token"])
    await caller.wait_for_agent("demo desk")
    await caller.type("what are your opening hours")
    await caller.wait_for_answers(2)
    await caller.leave()


def recorded_call(server: RunningServer) -> str:
    """Have a recorded call; the caller needs an event loop of its own, beside Playwright's."""
    server.json("PATCH", f"/v1/agents/{server.demo_agent_id}", json={"enable_recording": True})
    made = server.make_call()
    talking = threading.Thread(target=lambda: asyncio.run(_talk(server, made)))
    talking.start()
    talking.join(60)
    server.wait_for_call(made["id"], status=("completed",))
    return made["id"]


def test_a_recording_is_played_from_the_transcript_and_followed(page: Page, server: RunningServer) -> None:
    call_id = recorded_call(server)
    page.goto(f"{server.url}/calls/{call_id}")
    sound = page.get_by_label("Recording of the call")
    expect(sound).to_be_visible(timeout=20_000)
    page.wait_for_function("() => document.querySelector('audio').readyState >= 1")
    record = server.json("GET", f"/v1/calls/{call_id}")
    length_s = page.evaluate("document.querySelector('audio').duration")
    assert abs(length_s - record["duration_seconds"]) < 0.03

    reply = record["messages"][-1]
    assert reply["role"] == "agent"
    page.get_by_role("button", name="Play from").last.click()
    page.wait_for_function(
        "at => { const a = document.querySelector('audio'); return !a.paused && a.currentTime > at; }",
        arg=reply["start_s"],
    )
    followed = page.locator('[aria-current="time"]')
    expect(followed).to_contain_text(reply["content"][:20])
    assert page.evaluate("document.querySelector('audio').error") is None
    page.evaluate("document.querySelector('audio').pause()")
    expect(followed).to_have_count(0)
