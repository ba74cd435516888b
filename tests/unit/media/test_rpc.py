"""Calls of methods, both ways, packet by packet."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from livekit.protocol import models

from oneinbox.live.media.embedded.rpc import ACK_TIMEOUT_S, MAX_PAYLOAD_BYTES, MAX_RESPONSE_S, UNSAID_RESPONSE_S
from oneinbox.live.media.leg import RpcCode, RpcError
from tests.support.media_signal import VirtualLoop
from tests.support.media_world import World


class Channel:
    """An open data channel that keeps what is sent."""

    def __init__(self) -> None:
        self.readyState = "open"
        self.bufferedAmount = 0
        self.packets: list[models.DataPacket] = []

    def send(self, data: bytes) -> None:
        self.packets.append(models.DataPacket.FromString(data))


class Scene:
    def __init__(self) -> None:
        self.world = World(rejoin_grace_s=1000)  # no media flows here, and nobody is to be taken for gone
        self.channel = Channel()
        self.world.join()
        self.world.leg._page.attach(self.channel)

    def say(self, **value: Any) -> None:
        self.world.leg._page.receive(models.DataPacket(**value).SerializeToString())

    def serve(self, method: Callable[[str, str], Coroutine[Any, Any, str]]) -> None:
        self.world.listener.on_rpc = method  # type: ignore[attr-defined]  # now it is an RpcListener

    async def request(self) -> models.RpcRequest:
        """Return the request that was just sent."""
        await asyncio.sleep(0)
        return self.channel.packets[-1].rpc_request

    async def ask(self, **changes: Any) -> models.RpcResponse:
        """Call a method as the page would; return the answer."""
        given = {"id": "r1", "method": "add", "payload": "1", "response_timeout_ms": 8000, "version": 1, **changes}
        before = len(self.channel.packets)
        self.say(rpc_request=models.RpcRequest(**given))
        for _ in range(200):
            new = self.channel.packets[before:]
            if answers := [one.rpc_response for one in new if one.HasField("rpc_response")]:
                acks = [one.rpc_ack.request_id for one in new if one.HasField("rpc_ack")]
                assert acks == [given["id"]]
                assert answers[0].request_id == given["id"]
                return answers[0]
            await asyncio.sleep(0.1)
        raise AssertionError("no answer")


def play(scenario: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        scene = Scene()
        await scenario(scene)
        await scene.world.leg.aclose()
        await scene.world.media.aclose()

    loop = VirtualLoop()
    try:
        loop.run_until_complete(run())
    finally:
        loop.close()


# ---- the agent calls the page


def test_the_page_answers():
    async def scenario(scene: Scene) -> None:
        calling = asyncio.ensure_future(scene.world.leg.perform_rpc("where", '{"exact":true}', 10))
        request = await scene.request()
        assert (request.method, request.payload, request.version) == ("where", '{"exact":true}', 1)
        assert request.response_timeout_ms == 3000
        assert scene.channel.packets[-1].participant_identity == "agent"
        scene.say(rpc_ack=models.RpcAck(request_id=request.id))
        await asyncio.sleep(8)
        scene.say(rpc_response=models.RpcResponse(request_id=request.id, payload="Rome"))
        assert await calling == "Rome"
        scene.say(rpc_response=models.RpcResponse(request_id=request.id, payload="again"))

    play(scenario)


def test_an_answer_may_overtake_its_acknowledgement():
    async def scenario(scene: Scene) -> None:
        calling = asyncio.ensure_future(scene.world.leg.perform_rpc("where", ""))
        scene.say(rpc_response=models.RpcResponse(request_id=(await scene.request()).id, payload="x"))
        assert await calling == "x"

    play(scenario)


@pytest.mark.parametrize(
    ("acknowledged", "timeout_s", "code", "after_s"),
    [
        (False, 15, RpcCode.CONNECTION_TIMEOUT, ACK_TIMEOUT_S),
        (True, 15, RpcCode.RESPONSE_TIMEOUT, 15),
        (False, 3, RpcCode.RESPONSE_TIMEOUT, 3),
    ],
)
def test_a_page_that_does_not_answer(acknowledged: bool, timeout_s: float, code: RpcCode, after_s: float):
    async def scenario(scene: Scene) -> None:
        began_s = asyncio.get_running_loop().time()
        calling = asyncio.ensure_future(scene.world.leg.perform_rpc("where", "", timeout_s))
        request = await scene.request()
        if acknowledged:
            scene.say(rpc_ack=models.RpcAck(request_id=request.id))
        with pytest.raises(RpcError) as caught:
            await calling
        assert caught.value.code == code
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(after_s, abs=0.01)

    play(scenario)


def test_the_page_s_own_error_is_passed_on():
    async def scenario(scene: Scene) -> None:
        calling = asyncio.ensure_future(scene.world.leg.perform_rpc("where", ""))
        error = models.RpcError(code=17, message="no idea", data="{}")
        scene.say(rpc_response=models.RpcResponse(request_id=(await scene.request()).id, error=error))
        with pytest.raises(RpcError) as caught:
            await calling
        assert (caught.value.code, caught.value.message, caught.value.data) == (17, "no idea", "{}")

    play(scenario)


def test_too_much_is_neither_sent_nor_taken():
    async def scenario(scene: Scene) -> None:
        with pytest.raises(RpcError) as caught:
            await scene.world.leg.perform_rpc("where", "ä" * (MAX_PAYLOAD_BYTES // 2 + 1))
        assert caught.value.code == RpcCode.REQUEST_PAYLOAD_TOO_LARGE
        assert not scene.channel.packets
        calling = asyncio.ensure_future(scene.world.leg.perform_rpc("where", "ä" * (MAX_PAYLOAD_BYTES // 2)))
        long = "x" * (MAX_PAYLOAD_BYTES + 1)
        scene.say(rpc_response=models.RpcResponse(request_id=(await scene.request()).id, payload=long))
        with pytest.raises(RpcError) as caught:
            await calling
        assert caught.value.code == RpcCode.RESPONSE_PAYLOAD_TOO_LARGE

    play(scenario)


def test_a_page_that_is_away_may_come_back_in_time_and_is_not_asked_afterwards():
    async def scenario(scene: Scene) -> None:
        page = scene.world.leg._page
        page.attach(None)
        calling = asyncio.ensure_future(scene.world.leg.perform_rpc("where", ""))
        await asyncio.sleep(5)
        page.attach(scene.channel)
        scene.say(rpc_response=models.RpcResponse(request_id=(await scene.request()).id, payload="here"))
        assert await calling == "here"
        page.attach(None)
        before = len(scene.channel.packets)
        with pytest.raises(RpcError):
            await scene.world.leg.perform_rpc("where", "")
        page.attach(scene.channel)
        assert len(scene.channel.packets) == before

    play(scenario)


def test_a_page_that_is_loaded_anew_answers_nothing_that_the_old_one_was_asked():
    async def scenario(scene: Scene) -> None:
        calling = asyncio.ensure_future(scene.world.leg.perform_rpc("where", ""))
        await scene.request()
        scene.world.join(rejoin=True)
        with pytest.raises(RpcError) as caught:
            await calling
        assert caught.value.code == RpcCode.RECIPIENT_DISCONNECTED
        await scene.world.leg.aclose()
        with pytest.raises(RpcError) as caught:
            await scene.world.leg.perform_rpc("where", "")
        assert caught.value.code == RpcCode.RECIPIENT_DISCONNECTED

    play(scenario)


# ---- the page calls the agent


def test_a_method_of_the_agent_s():
    async def scenario(scene: Scene) -> None:
        async def method(name: str, payload: str) -> str:
            await asyncio.sleep(1)
            return f"{name} {payload}"

        scene.serve(method)
        answer = await scene.ask()
        assert (answer.payload, answer.HasField("error")) == ("add 1", False)

    play(scenario)


def test_without_methods_every_call_is_unsupported():
    async def scenario(scene: Scene) -> None:
        answer = await scene.ask()
        assert answer.error.code == RpcCode.UNSUPPORTED_METHOD

    play(scenario)


async def _unknown(name: str, payload: str) -> str:
    raise RpcError.unsupported()


async def _own(name: str, payload: str) -> str:
    raise RpcError(7, "é" * 300, "more")


async def _broken(name: str, payload: str) -> str:
    raise ValueError("a secret")


async def _endless(name: str, payload: str) -> str:
    await asyncio.sleep(1000)
    return ""


async def _long(name: str, payload: str) -> str:
    return "x" * (MAX_PAYLOAD_BYTES + 1)


@pytest.mark.parametrize(
    ("method", "changes", "code"),
    [
        (_unknown, {}, RpcCode.UNSUPPORTED_METHOD),
        (_own, {}, 7),
        (_broken, {}, RpcCode.APPLICATION_ERROR),
        (_endless, {}, RpcCode.RESPONSE_TIMEOUT),
        (_long, {}, RpcCode.RESPONSE_PAYLOAD_TOO_LARGE),
        (_long, {"payload": "x" * (MAX_PAYLOAD_BYTES + 1)}, RpcCode.REQUEST_PAYLOAD_TOO_LARGE),
        (_long, {"version": 2}, RpcCode.UNSUPPORTED_VERSION),
    ],
)
def test_how_a_method_may_fail(method: Any, changes: dict[str, Any], code: int):
    async def scenario(scene: Scene) -> None:
        scene.serve(method)
        answer = await scene.ask(**changes)
        assert answer.error.code == code
        assert len(answer.error.message.encode()) <= 256
        assert "secret" not in answer.error.message

    play(scenario)


def test_sixteen_calls_run_at_once_and_one_is_not_run_twice():
    async def scenario(scene: Scene) -> None:
        began: list[str] = []

        async def method(name: str, payload: str) -> str:
            began.append(payload)
            await asyncio.sleep(5)
            return "done"

        scene.serve(method)
        for number in [*range(16), 3]:
            request = models.RpcRequest(id=f"r{number}", method="m", payload=str(number), version=1)
            scene.say(rpc_request=request)
        await asyncio.sleep(0.1)
        refused = await scene.ask(id="r17")
        assert refused.error.code == RpcCode.APPLICATION_ERROR
        assert began == [str(number) for number in range(16)]
        await asyncio.sleep(6)
        assert sum(one.rpc_response.payload == "done" for one in scene.channel.packets) == 16
        scene.serve(_own)
        assert (await scene.ask(id="r18")).error.code == 7

    play(scenario)


@pytest.mark.parametrize(
    ("asked_ms", "limit_s"),
    [(0, UNSAID_RESPONSE_S), (2_000, 2), (int(MAX_RESPONSE_S * 1000) + 1, MAX_RESPONSE_S), (2**32 - 1, MAX_RESPONSE_S)],
)
def test_no_calls_take_every_place_for_good(asked_ms: int, limit_s: float):
    async def scenario(scene: Scene) -> None:
        running: set[str] = set()

        async def method(name: str, payload: str) -> str:
            running.add(payload)
            try:
                await asyncio.sleep(100_000)
            finally:
                running.discard(payload)
            return ""

        scene.serve(method)
        for number in range(16):
            scene.say(
                rpc_request=models.RpcRequest(
                    id=f"r{number}", method="m", payload=str(number), version=1, response_timeout_ms=asked_ms
                )
            )
        await asyncio.sleep(limit_s - 0.1)
        assert len(running) == 16
        await asyncio.sleep(0.2)
        assert not running
        refusals = [one.rpc_response.error.code for one in scene.channel.packets if one.HasField("rpc_response")]
        assert refusals == 16 * [RpcCode.RESPONSE_TIMEOUT]
        scene.serve(_own)
        assert (await scene.ask(id="next")).error.code == 7, "there is room again"

    play(scenario)


def test_the_end_of_the_leg_ends_what_runs():
    async def scenario(scene: Scene) -> None:
        ended: list[str] = []

        async def method(name: str, payload: str) -> str:
            try:
                await asyncio.sleep(1000)
            finally:
                ended.append("ended")
            return ""

        scene.serve(method)
        scene.say(rpc_request=models.RpcRequest(id="r", method="m", version=1, response_timeout_ms=900_000))
        await asyncio.sleep(1)
        await scene.world.leg.aclose()
        assert ended == ["ended"]

    play(scenario)
