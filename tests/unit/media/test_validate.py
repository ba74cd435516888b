"""The two addresses at which LiveKit's clients ask why they were not let in."""

from collections.abc import Callable
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient, WebSocketDenialResponse

from oneinbox.core.link import OpenSocket
from oneinbox.core.tokens import mint_participant_token
from oneinbox.server.sockets import socket_routes
from oneinbox.server.worker_configuration import TOKEN_ISSUER
from oneinbox.server.worker_process import SocketPeer

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


class Rooms:
    """A pool whose one worker does with sockets what ``answers`` say, one after the other."""

    def __init__(self, *answers: tuple[int, str] | None) -> None:
        self._answers = iter(answers)

    def open_socket(self, peer: SocketPeer, make_request: Callable[[int], OpenSocket]) -> "Rooms":
        answer = next(self._answers)
        peer.accepted() if answer is None else peer.refused(*answer)
        return self

    def send(self, data: bytes) -> None:
        """Take what a client says."""

    def close(self, code: int) -> None:
        """Take its leave."""


def test_a_reason_is_forgotten_when_the_token_is_let_in():
    app = FastAPI()
    rooms = Rooms((409, "somebody else is in"), None, (404, "the call is over"))
    app.include_router(socket_routes(cast(Any, rooms), SECRET))
    token = mint_participant_token(secret=SECRET, issuer=TOKEN_ISSUER, room_name="web-1", identity="caller", ttl_s=60)
    client = TestClient(app)

    def told() -> tuple[int, str]:
        answer = client.get("/rtc/validate", params={"access_token": token})
        return answer.status_code, answer.text

    def enter() -> None:
        with client.websocket_connect(f"/rtc?access_token={token}"):
            pass

    with pytest.raises(WebSocketDenialResponse):
        enter()
    assert told() == (401, "somebody else is in")
    enter()
    assert told() == (200, "success")
    with pytest.raises(WebSocketDenialResponse):
        enter()
    assert told() == (401, "the call is over")
