"""``oneinbox doctor --media --browser`` against a real server, from the server and from elsewhere."""

import asyncio
import base64
import re
from contextlib import AsyncExitStack
from pathlib import Path

from livekit.protocol import rtc
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from oneinbox.live.media import reach
from tests.support.chromium import need_chromium
from tests.support.running import RunningServer


def at(server: RunningServer) -> list[str]:
    port = server.url.rpartition(":")[2]
    return ["doctor", "--media", "--port", port, "--workers", "1"]


def test_what_works(tmp_path: Path, built_pages: Path) -> None:
    need_chromium()
    with RunningServer(tmp_path / "data") as server:
        told = server.run(*at(server), "--browser")
        assert re.search(r"ok +worker 0: UDP 127\.0\.0\.1:\d+ answers in [\d.]+ ms", told)
        assert re.search(r"ok +worker 0: TCP 127\.0\.0\.1:\d+ answers in [\d.]+ ms", told)
        assert "Firefox does not use them" in told
        assert re.search(r"ok +\S*chrom\S* talks over udp 127\.0\.0\.1:\d+", told)
        assert "nothing is wrong" in told
        elsewhere = re.search(r"oneinbox (doctor --media --at \S+ --token \S+)", told)
        assert elsewhere is not None
        again = server.run(*elsewhere[1].split())
        assert re.search(r"ok +UDP 127\.0\.0\.1:\d+ answers", again)
        assert server.json("GET", "/v1/calls")["total"] == 0, "a probe is no call"


async def test_a_worker_carries_so_many_tests_and_no_more(tmp_path: Path) -> None:
    offer = rtc.SessionDescription(type="offer", sdp=reach.new_offer("abcd"), id=1)
    wrapped = rtc.WrappedJoinRequest(join_request=rtc.JoinRequest(publisher_offer=offer).SerializeToString())
    join = base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()
    with RunningServer(tmp_path / "data", workers=1) as server:

        async def open_test(open_ones: AsyncExitStack) -> str:
            given = await asyncio.to_thread(server.json, "POST", "/v1/calls/web/connection-test")
            url = f"{given['server_url']}/rtc/v1?access_token={given['participant_token']}&join_request={join}"
            try:
                await open_ones.enter_async_context(connect(url))
            except InvalidStatus as error:
                return f"{error.response.status_code} {error.response.body.decode()}"
            return "open"

        async with AsyncExitStack() as open_ones:
            said = [await open_test(open_ones) for _ in range(21)]
        assert said == ["open"] * 20 + ["503 too many connection tests at once: try again in half a minute"]
