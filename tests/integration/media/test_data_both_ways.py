"""Calls of methods and long texts, both ways, with LiveKit's own clients."""

import asyncio
import json
from typing import Any

import pytest
from livekit import rtc

from oneinbox.live.engine.ports import Caption
from oneinbox.live.media.leg import RpcCode, RpcError
from tests.integration.media.test_browser import browser_page, files
from tests.support.media_client import MediaClient
from tests.support.media_server import RecordingListener, media_server, token, until

LONG_TEXT = "Ünïcödé 🙂 " * 3500  # five chunks


class MethodListener(RecordingListener):
    """A listener with methods."""

    async def on_rpc(self, method: str, payload: str) -> str:
        if method == "add":
            return str(sum(json.loads(payload)))
        if method == "fail":
            raise RpcError(42, "not today", "because")
        raise RpcError.unsupported()


@pytest.mark.parametrize("dual", [False, True], ids=["newer signalling", "older signalling"])
async def test_in_chromium(dual: bool):
    async with media_server(files=files()) as server, browser_page(bytes(32_000)) as page:
        listener = MethodListener()
        leg = server.media.open_leg(room_name="web-1", identity="caller", agent_name="Ann", listener=listener)
        await page.goto(server.url.replace("ws://", "http://") + "/")
        joined = "([url, token, dual]) => join(url, token, { singlePeerConnection: !dual })"
        await page.evaluate(joined, [server.url, token("web-1"), dual])
        await page.evaluate(
            """() => {
              room.registerRpcMethod("where", async ({ callerIdentity, payload }) => callerIdentity + " " + payload);
              room.registerRpcMethod("no", async () => { throw new LivekitClient.RpcError(9, "no way", "data"); });
            }"""
        )
        assert await leg.perform_rpc("where", "x" * 15_000) == "agent " + "x" * 15_000
        with pytest.raises(RpcError) as caught:
            await leg.perform_rpc("no", "")
        assert (caught.value.code, caught.value.message, caught.value.data) == (9, "no way", "data")
        with pytest.raises(RpcError) as caught:
            await leg.perform_rpc("unheard-of", "")
        assert caught.value.code == RpcCode.UNSUPPORTED_METHOD
        call = """async ([method, payload]) => {
          const request = { destinationIdentity: "agent", method, payload };
          return await room.localParticipant.performRpc(request).catch((e) => [e.code, e.message, e.data]);
        }"""
        assert await page.evaluate(call, ["add", "[1, 2, 3]"]) == "6"
        assert await page.evaluate(call, ["fail", ""]) == [42, "not today", "because"]
        unsupported: Any = await page.evaluate(call, ["unheard-of", ""])
        assert unsupported[0] == RpcCode.UNSUPPORTED_METHOD
        several = [leg.perform_rpc("where", str(number)) for number in range(20)]
        assert await asyncio.gather(*several) == [f"agent {number}" for number in range(20)]

        await page.evaluate("(text) => room.localParticipant.sendText(text, { topic: 'lk.chat' })", LONG_TEXT)
        await until(lambda: listener.texts == [LONG_TEXT.strip()], what="the long text")
        leg.show_caption(Caption(segment_id="a1", from_agent=True, text=LONG_TEXT, final=True))
        await page.wait_for_function(
            "(text) => seen.captions.length == 1 && seen.captions[0][2] == text", arg=LONG_TEXT
        )
        await leg.aclose()


async def test_in_libwebrtc():
    async with media_server() as server:
        listener = MethodListener()
        leg = server.media.open_leg(room_name="web-1", identity="caller", agent_name="Ann", listener=listener)
        client = await MediaClient().join(server.url, token("web-1"))

        async def where(invocation: rtc.RpcInvocationData) -> str:
            if invocation.payload == "no":
                raise rtc.RpcError(9, "no way", "data")
            return f"{invocation.caller_identity} {invocation.payload}"

        client.room.local_participant.register_rpc_method("where", where)
        assert await leg.perform_rpc("where", "here") == "agent here"
        with pytest.raises(RpcError) as caught:
            await leg.perform_rpc("where", "no")
        assert (caught.value.code, caught.value.message, caught.value.data) == (9, "no way", "data")
        perform = client.room.local_participant.perform_rpc
        assert await perform(destination_identity="agent", method="add", payload="[20, 3]") == "23"
        with pytest.raises(rtc.RpcError) as refused:
            await perform(destination_identity="agent", method="fail", payload="")
        assert (refused.value.code, refused.value.message, refused.value.data) == (42, "not today", "because")
        await client.room.local_participant.send_text(LONG_TEXT, topic="lk.chat")
        await until(lambda: listener.texts == [LONG_TEXT.strip()], what="the long text")
        leg.show_caption(Caption(segment_id="a1", from_agent=True, text=LONG_TEXT, final=True))
        await until(lambda: [one[2] for one in client.captions] == [LONG_TEXT], what="the long caption")
        await client.leave()
        await leg.aclose()
