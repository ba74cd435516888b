import pytest
from livekit.protocol import models

from oneinbox.live.engine.ports import Caption
from oneinbox.live.media.embedded.data import DataQueue, Inbox, caption_packets, event_packet
from oneinbox.live.media.embedded.names import new_names

NAMES = new_names("web-1", "caller", "Ann")


def caption(text: str, *, segment: str = "s1", final: bool = False, from_agent: bool = True) -> Caption:
    return Caption(segment_id=segment, from_agent=from_agent, text=text, final=final)


def parsed(packets: list[bytes]) -> list[models.DataPacket]:
    return [models.DataPacket.FromString(packet) for packet in packets]


@pytest.mark.parametrize("from_agent", [True, False])
def test_a_caption_is_a_text_stream_of_whoever_spoke(from_agent: bool):
    header, chunk, trailer = parsed(
        caption_packets(caption("héllo", final=True, from_agent=from_agent), NAMES, "TR_mic")
    )
    assert {packet.participant_identity for packet in (header, chunk, trailer)} == {"agent" if from_agent else "caller"}
    assert header.participant_sid == (NAMES.agent_sid if from_agent else NAMES.user_sid)
    assert header.kind == models.DataPacket.RELIABLE
    assert header.stream_header.topic == "lk.transcription"
    assert dict(header.stream_header.attributes) == {
        "lk.segment_id": "s1",
        "lk.transcription_final": "true",
        "lk.transcribed_track_id": NAMES.agent_track_sid if from_agent else "TR_mic",
    }
    assert header.stream_header.total_length == len("héllo".encode())
    assert chunk.stream_chunk.content.decode() == "héllo"
    assert len({header.stream_header.stream_id, chunk.stream_chunk.stream_id, trailer.stream_trailer.stream_id}) == 1


def test_a_long_caption_is_cut_between_characters():
    text = "ä€😀" * 5000
    chunks = [packet.stream_chunk for packet in parsed(caption_packets(caption(text), NAMES, None))[1:-1]]
    assert len(chunks) > 2
    assert [chunk.chunk_index for chunk in chunks] == list(range(len(chunks)))
    assert "".join(chunk.content.decode() for chunk in chunks) == text


def test_an_event_is_json_of_its_topic():
    (packet,) = parsed([event_packet("suggestions", {"phrases": ["yes", "no"]}, NAMES)])
    assert packet.user.topic == "oi.event"
    assert packet.user.payload == b'{"type":"suggestions","phrases":["yes","no"]}'
    assert packet.participant_identity == "agent"
    with pytest.raises(ValueError, match="bytes"):
        event_packet("big", {"x": "x" * 100_000}, NAMES)


class FakeChannel:
    def __init__(self):
        self.readyState = "open"
        self.bufferedAmount = 0
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)


def test_what_is_put_before_the_channel_opens_is_sent_in_order_when_it_does():
    queue, channel = DataQueue(), FakeChannel()
    queue.put([b"1", b"2"])
    queue.put([b"3"])
    channel.readyState = "connecting"
    queue.attach(channel)
    assert channel.sent == []
    channel.readyState = "open"
    queue.attach(channel)
    queue.put([b"4"])
    assert channel.sent == [b"1", b"2", b"3", b"4"]


def test_a_waiting_caption_gives_way_to_its_later_state():
    queue, channel = DataQueue(), FakeChannel()
    queue.put([b"hel"], "caption s1")
    queue.put([b"event"])
    queue.put([b"hello"], "caption s1")
    queue.attach(channel)
    assert channel.sent == [b"event", b"hello"]


def test_a_channel_that_is_full_keeps_the_rest_waiting():
    queue, channel = DataQueue(), FakeChannel()
    queue.attach(channel)
    channel.bufferedAmount = 1 << 20
    queue.put([b"later"])
    assert channel.sent == []
    channel.bufferedAmount = 0
    queue.attach(channel)
    assert channel.sent == [b"later"]


def test_a_queue_that_nobody_empties_forgets_the_oldest():
    queue, channel = DataQueue(), FakeChannel()
    for number in range(1000):
        queue.put([str(number).encode()])
    queue.attach(channel)
    assert channel.sent[-1] == b"999"
    assert len(channel.sent) <= 257


def stream(*contents: bytes, topic: str = "lk.chat", stream_id: str = "a", reason: str = "", **header) -> list[bytes]:
    packets = [
        models.DataPacket(
            stream_header=models.DataStream.Header(
                stream_id=stream_id, topic=topic, text_header=models.DataStream.TextHeader(), **header
            )
        )
    ]
    packets += [
        models.DataPacket(stream_chunk=models.DataStream.Chunk(stream_id=stream_id, content=c)) for c in contents
    ]
    packets.append(models.DataPacket(stream_trailer=models.DataStream.Trailer(stream_id=stream_id, reason=reason)))
    return [packet.SerializeToString() for packet in packets]


def texts(packets: list[bytes]) -> list[str]:
    inbox = Inbox()
    return [text for packet in packets if (text := inbox.receive(packet)) is not None]


def test_typed_text_is_put_together():
    assert texts(stream("grüß ".encode()[:4], "grüß ".encode()[4:], b"dich")) == ["grüß dich"]


def test_streams_may_be_interleaved():
    one, two = stream(b"one", stream_id="1"), stream(b"two", stream_id="2")
    assert texts([packet for pair in zip(one, two, strict=True) for packet in pair]) == ["one", "two"]


def test_a_plain_packet_of_the_topic_is_text_too():
    packet = models.DataPacket(user=models.UserPacket(payload=b" hi ", topic="lk.chat"))
    assert texts([packet.SerializeToString()]) == ["hi"]


def test_a_stream_in_one_packet_is_text_too():
    assert texts(stream(inline_content=b"inline")[:1]) == ["inline"]


@pytest.mark.parametrize(
    "packets",
    [
        stream(b"x", topic="other"),
        stream(*[b"x" * 15_000] * 5),
        stream(b"x", reason="aborted"),
        stream(b"\xff\xfe"),
        stream(b"   "),
        stream(b"x")[1:],
        stream(b"x", compression=1),
        stream(inline_content=b"x" * 66_000)[:1],
        [models.DataPacket(user=models.UserPacket(payload=b"x", topic="other")).SerializeToString()],
        [models.DataPacket(user=models.UserPacket(payload=b"x" * 66_000, topic="lk.chat")).SerializeToString()],
        [b"\xff\xff\xff"],
        [b""],
    ],
)
def test_what_is_not_typed_text_is_ignored(packets: list[bytes]):
    assert texts(packets) == []


def test_streams_that_never_end_are_forgotten():
    inbox = Inbox()
    for number in range(1000):
        inbox.receive(stream(stream_id=str(number))[0])
    assert len(inbox._open) <= 8
    inbox.clear()
    assert not inbox._open
