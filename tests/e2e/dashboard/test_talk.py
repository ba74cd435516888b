"""Talking with the demo desk on the page, and the record that it leaves."""

import re
from typing import Any, cast

from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.running import RunningServer


def open_call(page: Page) -> str:
    """Press Talk in the list of agents, wait for the greeting, and return the call's id."""
    with page.expect_response("**/v1/calls/web") as answer:
        page.get_by_role("button", name="Talk to Demo desk").click()
    expect(page.get_by_role("note")).to_contain_text("Demo voice and scripted replies: no AI model is running")
    expect(page.get_by_role("log")).to_contain_text("OneInbox demo desk", timeout=20_000)
    return str(answer.value.json()["id"])


def deny_microphone(page: Page, browser: Browser, origin: str) -> None:
    """Answer the browser's question for the microphone with a lasting no."""
    # playwright types what the protocol answers as a dict of anything
    here, everywhere = cast("Any", page.context.new_cdp_session(page)), cast("Any", browser.new_browser_cdp_session())
    target = here.send("Target.getTargetInfo")["targetInfo"]
    permission = {"permission": {"name": "microphone"}, "setting": "denied", "origin": origin}
    everywhere.send("Browser.setPermission", {**permission, "browserContextId": target["browserContextId"]})


def agent_lines(page: Page) -> list[str]:
    return page.locator("[role=log] [data-role=agent] p").all_inner_texts()


def test_a_call_by_clicks_and_typing_and_its_record(page: Page, server: RunningServer) -> None:
    call_id = open_call(page)

    # The agent's voice arrives: its meter moves.
    meter = page.get_by_role("meter", name="The agent's level")
    page.wait_for_function("element => Number(element.getAttribute('aria-valuenow')) >= 20", arg=meter.element_handle())

    chips = page.get_by_role("group", name=re.compile("Things you can say"))
    expect(chips.get_by_role("button").first).to_be_visible()
    phrase = chips.get_by_role("button").filter(has_text=re.compile("hours", re.IGNORECASE)).first.inner_text()
    before = len(agent_lines(page))
    chips.get_by_role("button", name=phrase, exact=True).click()
    mine = page.locator("[role=log] [data-role=user]")
    expect(mine).to_have_count(1)
    expect(mine.first).to_contain_text(phrase)
    page.wait_for_function(
        "count => document.querySelectorAll('[role=log] [data-role=agent]').length > count", arg=before
    )
    expect(mine).to_have_count(1)  # the server's echo took the place of what was clicked

    page.get_by_role("button", name="Mute").click()
    expect(page.get_by_role("button", name="Unmute")).to_be_visible()
    page.get_by_role("button", name="Unmute").click()

    # The call goes on while one looks elsewhere.
    page.get_by_role("link", name="Calls", exact=True).click()
    dock = page.get_by_role("region", name="The running call")
    row = page.get_by_role("link").filter(has_text=call_id)
    expect(row).to_contain_text("Live")
    dock.get_by_role("link").click()
    expect(page.get_by_role("log")).to_contain_text(phrase)

    page.get_by_role("button", name="Hang up").click()
    expect(page.get_by_text("You hung up")).to_be_visible()
    record = server.wait_for_call(call_id)
    assert (record["status"], record["end_reason"]) == ("completed", "user_hangup")

    page.get_by_role("link", name="See this call's record").click()
    page.wait_for_url(f"**/calls/{call_id}")
    expect(page.get_by_role("heading", name="Connection", exact=True)).to_be_visible()
    expect(page.get_by_text("Lost on the way in")).to_be_visible()
    expect(page.get_by_text("Completed")).to_be_visible()
    expect(page.get_by_text("Caller hung up")).to_be_visible()
    record = server.json("GET", f"/v1/calls/{call_id}")
    assert [message["role"] for message in record["messages"]][:2] == ["agent", "user"]
    transcript = page.get_by_role("region").or_(page.locator("section")).filter(has_text="Transcript").first
    for message in record["messages"]:
        expect(transcript).to_contain_text(message["content"])
    expect(transcript).to_contain_text("typed")
    expect(page.get_by_role("img", name=re.compile(r"^Turn \d"))).to_be_visible()
    page.get_by_role("button", name="The record as JSON").click()
    expect(page.locator("pre").last).to_contain_text(f'"id": "{call_id}"')


def test_a_reload_comes_back_into_the_call(page: Page, server: RunningServer) -> None:
    call_id = open_call(page)
    total = server.json("GET", "/v1/calls")["total"]
    page.get_by_role("button", name="Mute").click()
    page.reload()  # the agent's own page
    expect(page.get_by_role("log")).to_contain_text("OneInbox demo desk", timeout=20_000)
    expect(page.get_by_role("button", name="Unmute")).to_be_enabled(timeout=20_000)
    page.get_by_role("button", name="Unmute").click()
    meter = page.get_by_role("meter", name="The agent's level")
    expect(meter).to_be_visible()

    page.get_by_role("link", name="Calls", exact=True).click()
    page.reload()  # another one: the call is at hand there, too
    dock = page.get_by_role("region", name="The running call")
    expect(dock).to_contain_text("Demo desk", timeout=20_000)
    dock.get_by_role("link").click()
    box = page.get_by_label("Type instead of speaking")
    expect(box).to_be_enabled(timeout=20_000)
    box.fill("What are your opening hours?")
    box.press("Enter")
    expect(page.locator("[role=log] [data-role=agent]").last).to_contain_text("open", timeout=20_000)
    record = server.json("GET", f"/v1/calls/{call_id}")
    assert record["status"] == "in_progress"
    assert server.json("GET", "/v1/calls")["total"] == total, "no other call was made"

    page.get_by_role("button", name="Hang up").click()
    expect(page.get_by_text("You hung up")).to_be_visible()
    record = server.wait_for_call(call_id)
    assert (record["status"], record["end_reason"]) == ("completed", "user_hangup")
    assert "What are your opening hours?" in [message["content"] for message in record["messages"]]
    page.reload()
    expect(page.get_by_role("button", name="Talk", exact=True)).to_be_visible()


def test_a_call_that_ended_while_its_page_was_away_is_told_of(page: Page, server: RunningServer) -> None:
    call_id = open_call(page)
    page.goto("about:blank")
    server.json("POST", f"/v1/calls/{call_id}/stop")
    server.wait_for_call(call_id)
    page.go_back()
    expect(page.get_by_role("button", name="Talk again")).to_be_visible()
    expect(page.get_by_role("link", name="See this call's record")).to_have_attribute("href", f"/calls/{call_id}")


def test_a_live_call_is_stopped_from_its_record(page: Page, context: BrowserContext, server: RunningServer) -> None:
    call_id = open_call(page)
    other = context.new_page()
    other.goto(f"{server.url}/calls/{call_id}")
    expect(other.get_by_text("Live", exact=True)).to_be_visible()
    expect(other.locator("section").filter(has_text="Transcript")).to_contain_text("OneInbox demo desk", timeout=20_000)
    other.get_by_role("button", name="Stop the call").click()
    expect(other.get_by_text("Completed", exact=True)).to_be_visible()
    expect(other.get_by_role("button", name="Stop the call")).to_have_count(0)
    # The page that talks learns of it, and can talk again.
    expect(page.get_by_role("button", name="Talk again")).to_be_visible()
    assert server.json("GET", f"/v1/calls/{call_id}")["end_reason"] == "api_stop"


def test_calls_are_filtered_by_the_server(page: Page, server: RunningServer) -> None:
    body = {"agent_id": server.demo_agent_id}
    ids = [server.json("POST", "/v1/calls/web", json=body)["id"] for _ in range(3)]
    for call_id in ids:
        server.json("POST", f"/v1/calls/{call_id}/stop")
    silent = server.json("POST", "/v1/agents", json={"name": "Nobody calls"})["id"]
    page.get_by_role("link", name="Calls", exact=True).click()
    expect(page.get_by_role("link").filter(has_text=ids[0])).to_be_visible()

    def choose(what: str, option: str, query: str) -> None:
        page.get_by_role("combobox", name=what).click()
        with page.expect_response(re.compile(rf"/v1/calls\?.*{query}")):
            page.get_by_role("option", name=option).click()

    choose("Status", "Completed", "status=completed")
    expect(page.get_by_role("link").filter(has_text=ids[0])).to_be_visible()
    choose("Agent", "Nobody calls", f"agent_id={silent}")
    expect(page.get_by_role("heading", name="No calls like that")).to_be_visible()
    assert page.url == f"{server.url}/calls?status=completed&agent={silent}"
    page.reload()
    expect(page.get_by_role("heading", name="No calls like that")).to_be_visible()
    page.get_by_role("button", name="Show all calls").click()
    expect(page.get_by_role("link").filter(has_text=ids[0])).to_be_visible()


def test_a_refused_microphone_is_explained_and_no_call_is_made(
    page: Page, browser: Browser, server: RunningServer
) -> None:
    total = server.json("GET", "/v1/calls")["total"]
    deny_microphone(page, browser, server.url)
    page.get_by_role("button", name="Talk to Demo desk").click()
    expect(page.get_by_role("alert")).to_contain_text("The microphone is blocked for this page")
    expect(page.get_by_role("button", name="Talk", exact=True)).to_be_visible()
    # However long the explanation, the panel keeps its size: what stands at its foot is not pushed out.
    expect(page.get_by_label("Type instead of speaking")).to_be_in_viewport(ratio=1)
    assert server.json("GET", "/v1/calls")["total"] == total
