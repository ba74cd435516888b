from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from oneinbox.server.pages import _content_policy, page_routes


def open_client(static_dir: Path) -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(page_routes(static_dir))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


@pytest.fixture
def client(tmp_path: Path) -> httpx.AsyncClient:
    dashboard, sdk = tmp_path / "dashboard", tmp_path / "sdk"
    (dashboard / "assets").mkdir(parents=True)
    sdk.mkdir()
    (dashboard / "index.html").write_text("<title>dashboard</title>")
    (dashboard / "theme.js").write_text("theme")
    (dashboard / "assets" / "app-1a2b.js").write_text("app")
    (sdk / "web-sdk.js").write_text("sdk")
    (tmp_path / "secrets.json").write_text("secret")
    return open_client(tmp_path)


@pytest.mark.parametrize("path", ["/", "/agents", "/agents/agt_1", "/sign-in?token=x", "/calls"])
async def test_every_address_of_the_dashboard_is_its_page(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.text) == (200, "<title>dashboard</title>")
    assert answer.headers["cache-control"] == "no-cache"
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_only_names_that_change_with_their_content_are_kept(client: httpx.AsyncClient) -> None:
    assert "immutable" in (await client.get("/assets/app-1a2b.js")).headers["cache-control"]
    assert (await client.get("/theme.js")).headers["cache-control"] == "no-cache"


async def test_the_sdk_is_for_every_origin(client: httpx.AsyncClient) -> None:
    answer = await client.get("/sdk/web-sdk.js")
    assert answer.text == "sdk"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize(
    "path",
    ["/assets/missing.js", "/sdk/other.js", "/sdk/web-sdk.global.js", "/v1/nothing", "/rtc/v2", "/%00"],
)
async def test_what_is_not_there_is_not_a_page(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize("path", ["/../secrets.json", "/%2e%2e/secrets.json", "/assets/..%2f..%2fsecrets.json"])
async def test_nothing_outside_is_handed_out(client: httpx.AsyncClient, path: str) -> None:
    assert "secret" not in (await client.get(path)).text


async def test_without_a_build_the_page_says_what_to_do(tmp_path: Path) -> None:
    answer = await open_client(tmp_path).get("/")
    assert answer.status_code == 404
    assert "make web" in answer.text


def test_sound_may_come_from_the_store_of_recordings_and_nothing_else_may(tmp_path: Path) -> None:
    plain = _content_policy(None)
    stored = _content_policy("https://s3.example.com")
    assert "media-src 'self' blob: mediastream:;" in plain
    assert stored == plain.replace("mediastream:;", "mediastream: https://s3.example.com;")
