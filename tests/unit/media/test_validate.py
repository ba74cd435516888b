"""The two addresses at which LiveKit's clients ask why they were not let in."""

from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI

from oneinbox.core.tokens import mint_participant_token
from oneinbox.server.sockets import socket_routes
from oneinbox.server.worker_configuration import TOKEN_ISSUER

SECRET = "a-secret-for-tests-that-is-long-enough"


@pytest.mark.parametrize("path", ["/rtc/validate", "/rtc/v1/validate"])
async def test_any_page_may_read_why_a_token_is_refused(path: str):
    app = FastAPI()
    app.include_router(socket_routes(cast(Any, None), SECRET))  # no worker is asked
    good = mint_participant_token(secret=SECRET, issuer=TOKEN_ISSUER, room_name="web-1", identity="caller", ttl_s=60)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        told = [
            await client.get(path),
            await client.get(path, params={"access_token": "nonsense"}),
            await client.get(path, params={"access_token": good}),
            await client.get(path, headers={"Authorization": f"Bearer {good}"}),
        ]
        asking = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
        preflight = await client.options(path, headers={"Origin": "https://page.example", **asking})
    assert [one.status_code for one in told] == [401, 401, 200, 200]
    assert {one.headers["access-control-allow-origin"] for one in told} == {"*"}
    assert told[1].text == "the token is not valid"
    assert preflight.status_code == 204, "a page may send its token in the header, which browsers ask about first"
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert preflight.headers["access-control-allow-headers"] == "authorization"
