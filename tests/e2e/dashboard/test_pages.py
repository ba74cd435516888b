"""Signing in, agents, keys and the frame around them, in Chromium against a real server."""

import re
from collections.abc import Callable

import httpx
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.dashboard.conftest import Watched
from tests.support.running import RunningServer


def test_a_link_signs_in_once_and_its_token_leaves_no_trace(
    browser: Browser, server: RunningServer, watched: Watched, new_link: Callable[[], str]
) -> None:
    link = new_link()
    token = link.rpartition("token=")[2]
    first = browser.new_context().new_page()
    watched.watch(first)
    first.goto(link)
    expect(first.get_by_role("heading", name="Agents")).to_be_visible()
    assert first.url == f"{server.url}/agents"
    assert token not in first.evaluate("JSON.stringify([history.state, localStorage, sessionStorage, document.cookie])")
    first.go_back()
    assert token not in first.url

    second = browser.new_context().new_page()
    second.goto(link)
    expect(second.get_by_role("heading", name="This link no longer works")).to_be_visible()
    assert token not in second.url

    first.goto(link)  # who is signed in already is not troubled by a used link
    expect(first.get_by_role("heading", name="Agents")).to_be_visible()


def test_a_stranger_is_led_to_the_sign_in_and_back_to_where_he_was(
    browser: Browser, server: RunningServer, new_link: Callable[[], str]
) -> None:
    page = browser.new_context().new_page()
    page.goto(f"{server.url}/keys")
    page.wait_for_url("**/sign-in")
    expect(page.get_by_role("heading", name="Sign in with a link")).to_be_visible()
    expect(page.get_by_text("oneinbox sign-in").first).to_be_visible()
    page.goto(new_link())
    page.wait_for_url("**/keys")


def test_signing_out_ends_the_session(
    context: BrowserContext, server: RunningServer, new_link: Callable[[], str]
) -> None:
    page = context.new_page()
    page.goto(new_link())
    page.wait_for_url("**/agents")
    session = next(cookie.get("value", "") for cookie in context.cookies() if cookie.get("name") == "oneinbox_token")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    again = httpx.get(f"{server.url}/v1/auth/me", cookies={"oneinbox_token": session})
    assert again.status_code == 401
    page.goto(f"{server.url}/agents")
    page.wait_for_url("**/sign-in")


def test_an_agent_is_made_edited_and_deleted(page: Page, server: RunningServer) -> None:
    card = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="Demo desk"))
    expect(card.get_by_role("list", name="Providers")).to_contain_text("Demo")

    page.get_by_role("button", name="New agent").click()
    make = page.get_by_role("button", name="Make agent")
    expect(make).to_be_disabled()
    page.get_by_label("Name").fill("Night desk")
    page.get_by_label("First message").fill("Good evening.")
    page.get_by_label("Prompt").fill("You are the night desk.")
    make.click()
    page.wait_for_url("**/agents/agt_*")
    agent_id = page.url.rpartition("/")[2]
    made = server.json("GET", f"/v1/agents/{agent_id}")
    assert (made["name"], made["first_message"]) == ("Night desk", "Good evening.")
    assert made["effective_system_prompt"] == "You are the night desk."

    # Nothing is configured on this server but the demo: such an agent cannot talk, and the page says what to do.
    expect(page.get_by_role("heading", name="This agent has nothing to think with yet")).to_be_visible()
    for way in ("OPENAI_API_KEY", "ONEINBOX_LLM_BASE_URL", "demo desk"):
        expect(page.get_by_role("tabpanel")).to_contain_text(re.compile(way, re.IGNORECASE))
    expect(page.get_by_role("button", name="Talk", exact=True)).to_have_count(0)

    page.get_by_role("tab", name="Settings").click()
    page.get_by_label("Name").fill("Day desk")
    page.get_by_label("First message").fill("")
    page.get_by_label("Prompt").fill("You are the day desk.")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name="Day desk")).to_be_visible()
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled()
    saved = server.json("GET", f"/v1/agents/{agent_id}")
    assert (saved["name"], saved["first_message"]) == ("Day desk", None)
    assert server.json("GET", f"/v1/models/{saved['llm_id']}")["system_prompt"] == "You are the day desk."

    page.get_by_role("button", name="Delete Day desk").click()
    page.get_by_role("button", name="Delete agent").click()
    page.wait_for_url("**/agents")
    expect(page.get_by_role("heading", name="Day desk")).to_have_count(0)
    assert server.request("GET", f"/v1/agents/{agent_id}").status_code == 404


def test_a_key_is_shown_once_paused_and_deleted(page: Page, server: RunningServer) -> None:
    page.get_by_role("link", name="Keys").click()
    page.get_by_role("button", name="New key").first.click()
    page.get_by_label("Name").fill("Shop front")
    page.get_by_label("Sites that may use it").fill("https://shop.example/path")
    page.get_by_role("button", name="Make key").click()
    origins = page.get_by_label("Sites that may use it")
    expect(origins).to_have_attribute("aria-invalid", "true")  # the server's refusal stands beside its field
    origins.fill("https://shop.example\nhttp://localhost:5173")
    page.get_by_role("button", name="Make key").click()

    dialog = page.get_by_role("dialog", name="Copy your key now")
    key = dialog.locator("pre").first.inner_text().strip()
    assert key.startswith("oi_pk_")
    expect(dialog.locator("pre").nth(1)).to_contain_text(f'OneInbox("{key}"')
    dialog.get_by_role("button", name="Copy the key").click()
    assert page.evaluate("navigator.clipboard.readText()") == key
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert key not in page.content()
    expect(page.get_by_role("list", name="Allowed origins")).to_contain_text("http://localhost:5173")

    def ask(origin: str) -> int:
        headers = {"Authorization": f"Bearer {key}", "Origin": origin}
        body = {"agent_id": "agt_nobody"}
        return httpx.post(f"{server.url}/v1/web-calls/token", headers=headers, json=body).status_code

    assert (ask("https://shop.example"), ask("https://evil.example")) == (404, 403)
    page.get_by_role("switch", name="Shop front may be used").click()
    expect(page.get_by_text("paused")).to_be_visible()
    assert ask("https://shop.example") in (401, 403)
    page.get_by_role("button", name="Delete Shop front").click()
    page.get_by_role("button", name="Delete key").click()
    expect(page.get_by_role("heading", name="No publishable keys yet")).to_be_visible()
    assert ask("https://shop.example") == 401


def test_a_phone_has_a_menu_and_nothing_is_cut_off(page: Page) -> None:
    page.set_viewport_size({"width": 375, "height": 740})
    for name in ("Agents", "Calls", "Keys"):
        page.get_by_role("button", name="Menu").click()
        page.get_by_role("dialog").get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
        expect(page.get_by_role("dialog")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") == 375


def test_the_theme_follows_the_system_until_one_is_chosen(page: Page) -> None:
    theme = "document.documentElement.dataset.theme"
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{theme} === 'dark'")
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("menuitem", name="Light").click()
    page.wait_for_function(f"{theme} === 'light'")
    page.reload()
    assert page.evaluate(theme) == "light"
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("menuitem", name="As the system").click()
    page.wait_for_function(f"{theme} === 'dark'")


def test_what_is_not_there_is_said(page: Page, server: RunningServer) -> None:
    for path, words in (
        ("/agents/agt_nobody", "Not found"),
        ("/calls/call_nobody", "Not found"),
        ("/nowhere", "There is no such page"),
    ):
        page.goto(server.url + path)
        expect(page.get_by_role("heading", name=words)).to_be_visible()
