"""LiveKit's own Python client, unchanged, against the endpoint over loopback."""

import asyncio
import gc
import socket

import psutil
import pytest
from livekit import rtc
from livekit.protocol import models

from oneinbox.core.link import MediaSettings
from oneinbox.live.engine.ports import Caption
from oneinbox.live.media.embedded.peer import Peer
from tests.support.media_client import HEARD_HZ, MediaClient
from tests.support.media_server import MediaServer, RecordingListener, media_server, token, until
from tests.support.media_signal import likeness, peak_hz, quiet_ms, rms, samples, tone
from tests.support.speech import need_prompts, prompt


def open_leg(server: MediaServer, room: str = "web-1"):
    listener = RecordingListener()
    return server.media.open_leg(room_name=room, identity="caller", agent_name="Ann", listener=listener), listener


def human_speech(seconds: float) -> bytes:
    need_prompts()
    return prompt("demo-congrats")[: int(seconds * 32_000)]


def captions_of_two() -> list[Caption]:
    return [
        Caption(segment_id="a1", from_agent=True, text="Good", final=False),
        Caption(segment_id="a1", from_agent=True, text="Good morning.", final=True),
        Caption(segment_id="u1", from_agent=False, text="I", final=False),
        Caption(segment_id="u1", from_agent=False, text="I would like", final=False),
        Caption(segment_id="u1", from_agent=False, text="I would like a table.", final=True),
    ]


@pytest.mark.parametrize(
    ("udp", "tcp", "dual"),
    [(True, False, False), (False, True, False), (True, True, True)],
    ids=["udp only", "tcp only", "older signalling"],
)
async def test_a_whole_call(udp: bool, tcp: bool, dual: bool):
    speech = human_speech(3)
    async with media_server() as server:
        server.media.allow_transports(udp=udp, tcp=tcp)
        leg, listener = open_leg(server)
        leg.set_attributes({"lk.agent.state": "initializing"})
        leg.playout.write(tone(1000, 2.5, 24_000))
        client = await MediaClient().join(server.url, token("web-1"), dual=dual)
        agent = client.room.remote_participants["agent"]
        assert agent.kind == models.ParticipantInfo.AGENT
        assert agent.name == "Ann"
        assert agent.attributes == {"lk.agent.state": "initializing"}

        leg.send_event("suggestions", {"phrases": ["yes"]})
        await until(lambda: bool(client.events), what="the event")
        for caption in captions_of_two():  # the channel is open: none of them has to wait, and so none is replaced
            leg.show_caption(caption)
        leg.set_attributes({"lk.agent.state": "listening"})
        await client.room.local_participant.send_text("typed text", topic="lk.chat")
        await client.room.local_participant.publish_data(b"clicked", topic="lk.chat")
        await client.say(speech)

        assert listener.events == ["joined", "active"]
        assert listener.frame_sizes == {640}
        assert likeness(listener.pcm, samples(speech)[16_000:32_000]) > 0.9
        heard = client.heard()
        steady = heard[HEARD_HZ // 2 : HEARD_HZ * 2]
        assert peak_hz(steady, HEARD_HZ) == pytest.approx(1000, abs=3)
        assert rms(steady) == pytest.approx(8000 / 2**0.5, rel=0.1)
        await until(lambda: leg.playout.played_samples == 60_000, what="the tone's last sample")

        await until(lambda: sum(bool(text) for _, _, text, _ in client.captions) == 5, what="the captions")
        assert client.captions == [
            ("agent", "a1", "Good", False),
            ("agent", "a1", "Good morning.", True),
            ("caller", "u1", "I", False),
            ("caller", "u1", "I would like", False),
            ("caller", "u1", "I would like a table.", True),
        ]
        published = [*client.room.local_participant.track_publications, *agent.track_publications]
        assert client.caption_tracks == set(published)
        assert client.attributes == {"lk.agent.state": "listening"}
        assert client.events == [b'{"type":"suggestions","phrases":["yes"]}']
        assert listener.texts == ["typed text", "clicked"]
        assert 0 <= server.media.tick_late_ms < 1000

        await client.leave()
        await until(lambda: "left, goodbye" in listener.events, what="the goodbye")
        await leg.aclose()
        assert set(server.media.holdings().values()) == {0}


async def test_silence_is_silent_and_what_is_cleared_is_not_heard():
    async with media_server() as server:
        leg, listener = open_leg(server)
        client = await MediaClient().join(server.url, token("web-1"))
        await client.say(bytes(32_000 // 2))
        await until(lambda: "active" in listener.events, what="two-way audio")
        leg.playout.write(tone(700, 5, 24_000))
        await client.say(bytes(32_000))
        leg.playout.clear()
        played = leg.playout.played_samples
        await client.say(bytes(16_000))  # what is on the way is heard out
        client.heard()
        await client.say(bytes(32_000))
        assert rms(client.heard()) < 30
        assert leg.playout.played_samples == played
        assert 12_000 < played < 36_000
        await client.leave()
        await leg.aclose()


async def test_a_token_lets_in_once():
    async with media_server() as server:
        leg, listener = open_leg(server)
        once = token("web-1")
        client = await MediaClient().join(server.url, once)
        with pytest.raises(rtc.ConnectError, match=r"(?i)401|already used|unauthorized"):
            await MediaClient().join(server.url, once)
        assert listener.events[0] == "joined"
        assert client.room.isconnected()
        await client.leave()
        await leg.aclose()


@pytest.mark.parametrize("dual", [False, True], ids=["newer signalling", "older signalling"])
async def test_a_lost_socket_costs_no_sound(dual: bool):
    """Signalling breaks in mid-sentence of both sides: every sample of either arrives all the same."""
    speech = human_speech(5)
    async with media_server() as server:
        leg, listener = open_leg(server)
        client = await MediaClient().join(server.url, token("web-1"), dual=dual)
        await client.say(bytes(32_000))
        await until(lambda: "active" in listener.events, what="two-way audio")
        await client.room.local_participant.send_text("before", topic="lk.chat")
        leg.playout.write(tone(1000, 7, 24_000))
        await client.say(bytes(16_000))
        listener.pcm.clear()
        client.heard()
        talking = asyncio.ensure_future(client.say(speech))
        await asyncio.sleep(1)
        server.cut_signalling()
        await talking
        await client.say(bytes(16_000))
        await until(lambda: len(server.connections) == 1, what="the new socket")
        await until(lambda: client.resumed > 0, what="the end of the reconnect")
        heard = client.heard()
        quiet = quiet_ms(heard, HEARD_HZ)
        alike = likeness(listener.pcm, speech)
        print(f"likeness over the cut {alike:.3f}; the agent was not heard for {quiet:.0f} ms")
        assert alike > 0.9  # all of it, in one piece: nothing missing and nothing put between
        assert quiet < 60
        assert client.subscribed == 1
        assert listener.events == ["joined", "active"]
        await client.room.local_participant.send_text("after", topic="lk.chat")
        await until(lambda: listener.texts == ["before", "after"], what="the texts, each once")
        leg.show_caption(Caption(segment_id="a2", from_agent=True, text="Still here.", final=True))
        await until(lambda: ("agent", "a2", "Still here.", True) in client.captions, what="the caption")
        await client.leave()
        await until(lambda: "left, goodbye" in listener.events, what="the goodbye")
        await leg.aclose()
        assert set(server.media.holdings().values()) == {0}


async def test_where_the_transport_is_gone_too_a_full_join_leads_back_into_the_same_leg():
    speech = human_speech(3)
    async with media_server() as server:
        leg, listener = open_leg(server)
        client = await MediaClient().join(server.url, token("web-1"))
        await client.say(bytes(16_000))
        await until(lambda: "active" in listener.events, what="two-way audio")

        assert leg._peer is not None
        leg._peer.down = True  # type: ignore[misc]  # as if its DTLS had ended: it cannot be resumed
        server.cut_signalling()
        before = len(listener.pcm)
        await client.say(bytes(3_200))
        assert len(listener.pcm) > before  # media does not need signalling
        await until(lambda: client.subscribed == 2, what="the agent's voice after the full reconnect")
        client.heard()
        listener.pcm.clear()
        leg.playout.write(tone(800, 3, 24_000))
        leg.show_caption(Caption(segment_id="a2", from_agent=True, text="Still here.", final=True))
        await client.say(speech)
        assert likeness(listener.pcm, samples(speech)[16_000:32_000]) > 0.9
        heard = client.heard()
        assert peak_hz(heard[HEARD_HZ // 2 : HEARD_HZ * 2], HEARD_HZ) == pytest.approx(800, abs=3)
        await until(lambda: ("agent", "a2", "Still here.", True) in client.captions, what="the caption")
        assert listener.events == ["joined", "active"]
        await client.leave()
        await until(lambda: "left, goodbye" in listener.events, what="the goodbye")
        await leg.aclose()
        assert set(server.media.holdings().values()) == {0}


async def test_whoever_comes_with_a_rejoin_token_takes_over():
    async with media_server() as server:
        leg, listener = open_leg(server)
        first = await MediaClient().join(server.url, token("web-1"))
        second = await MediaClient().join(server.url, token("web-1", rejoin=True))
        await until(lambda: first.disconnected is not None, what="the first one's end")
        assert first.disconnected == models.DUPLICATE_IDENTITY
        await second.say(bytes(16_000))
        await until(lambda: "active" in listener.events, what="two-way audio")
        assert listener.events == ["joined", "active"]
        await first.leave()
        await second.leave()
        await leg.aclose()


async def test_the_end_of_the_call_reaches_the_client():
    async with media_server() as server:
        leg, listener = open_leg(server)
        client = await MediaClient().join(server.url, token("web-1"))
        await client.say(bytes(16_000))
        leg.send_event("ended", {"reason": "api_stop"})
        await leg.aclose()
        await until(lambda: client.disconnected is not None, what="the end")
        assert client.disconnected == models.ROOM_DELETED
        assert client.events == [b'{"type":"ended","reason":"api_stop"}']
        assert listener.events == ["joined", "active"]
        assert set(server.media.holdings().values()) == {0}
        await client.leave()


async def test_a_port_in_use_is_named():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        number = taken.getsockname()[1]
        with pytest.raises(OSError, match=str(number)):
            async with media_server(settings=MediaSettings(bind_host="127.0.0.1", port=number)):
                pass


async def test_thirty_calls_leave_nothing_behind():
    async with media_server() as server:
        process = psutil.Process()

        def ours() -> int:
            """Sockets of ours that are open: what the client's own library holds is not counted."""
            ports = {server.media_port, int(server.url.rpartition(":")[2])}
            return sum(found.laddr and found.laddr.port in ports for found in process.net_connections("inet"))

        quiet, tasks = ours(), len(asyncio.all_tasks())
        for number in range(30):
            server.media.allow_transports(udp=number % 2 == 0, tcp=number % 2 == 1)
            leg, listener = open_leg(server, f"web-{number}")
            leg.playout.write(tone(500, 1, 24_000))
            client = await MediaClient().join(server.url, token(f"web-{number}"))
            await client.say(bytes(6_400))
            await until(lambda heard=listener: "active" in heard.events, what="two-way audio")
            if number % 3:
                await client.leave()
                await until(lambda heard=listener: "left, goodbye" in heard.events, what="the goodbye")
                await leg.aclose()
            else:
                await leg.aclose()
                await client.leave()
        assert set(server.media.holdings().values()) == {0}
        await until(lambda: ours() == quiet, what="every socket's end")
        await until(lambda: len(asyncio.all_tasks()) <= tasks, what="every task's end")
        gc.collect()
        assert not [thing for thing in gc.get_objects() if isinstance(thing, Peer)]


async def test_a_client_says_who_it_is_and_asks_for_what_there_is_not():
    async with media_server() as server:
        leg, listener = open_leg(server)
        dialled: list[str] = []
        listener.on_digit = dialled.append  # type: ignore[attr-defined]  # this listener wants keys too
        client = await MediaClient().join(server.url, token("web-1"))
        me = client.room.local_participant
        await asyncio.wait_for(me.set_attributes({"plan": "gold"}), 3)
        await asyncio.wait_for(me.set_name("Jo"), 3)
        # The client counts the answer as done a moment before it shows the new name.
        await until(lambda: (me.attributes, me.name) == ({"plan": "gold"}, "Jo"), what="its new name and attributes")
        with pytest.raises(rtc.RpcError) as refused:
            await me.perform_rpc(destination_identity="agent", method="nothing", payload="{}")
        assert refused.value.code == rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD
        await me.publish_dtmf(code=5, digit="5")
        await until(lambda: dialled == ["5"], what="the dialled key")
        await client.leave()
        await leg.aclose()
