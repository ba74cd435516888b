"""The participant's page as a leg speaks with it over data: captions and events out; typed text, keys and calls in.

It outlives the peers by which it is reached: what is shown while nobody is there waits in the queue.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from livekit.protocol import models

from oneinbox.live.engine.ports import Caption
from oneinbox.live.media.embedded import data
from oneinbox.live.media.embedded.data import Channel
from oneinbox.live.media.embedded.limits import DataAllowance
from oneinbox.live.media.embedded.names import RoomNames
from oneinbox.live.media.embedded.rpc import RpcLine
from oneinbox.live.media.leg import DigitListener, LegListener

_log = logging.getLogger(__name__)

_REMEMBERED_CAPTIONS = 200
_HAND_OVER_STEPS, _HAND_OVER_STEP_S = 50, 0.02


class Connection(Protocol):
    """A peer, or a pair of them."""

    @property
    def down(self) -> bool:
        """Whether it was closed, or failed."""
        ...


class PageLine:
    """The data side of one leg. ``names()`` tells what everybody is called now; ``spawn`` runs what takes time."""

    def __init__(
        self,
        listener: LegListener,
        names: Callable[[], RoomNames],
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
    ) -> None:
        self._listener = listener
        self._names = names
        self._outbox = data.DataQueue()
        self._inbox = data.Inbox()
        self.rpc = RpcLine(listener, names, self._outbox, spawn)
        self._allowance = DataAllowance()
        self._shown: OrderedDict[str, Caption] = OrderedDict()
        self.closed = False
        """The participant is gone for good: nothing that still arrives is told."""

    @property
    def last_sequence(self) -> int:
        """The sequence of the last reliable packet that arrived."""
        return self._inbox.last_sequence

    def attach(self, channel: Channel | None) -> None:
        """Send by ``channel`` from now on; ``None``: keep everything until there is one again."""
        self._outbox.attach(channel)

    def detach(self) -> None:
        """The peer in use is dropped: what the client had begun to say will not be finished."""
        self._outbox.attach(None)
        self._inbox.clear()
        self.rpc.page_gone()

    def show_caption(self, caption: Caption, microphone_sid: str | None) -> None:
        """Show or replace a stretch of transcript."""
        self._shown[caption.segment_id] = caption
        if len(self._shown) > _REMEMBERED_CAPTIONS:
            self._shown.popitem(last=False)
        self._put(caption, microphone_sid)

    async def handed_over(self, peer: Connection) -> None:
        """Return when nothing waits for ``peer`` any more, after a second at the latest.

        A call may end in the moment between a page's media and its data channel; the page is to know why it ended.
        """
        for _ in range(_HAND_OVER_STEPS):
            if self._outbox.is_empty or peer.down:
                return
            await asyncio.sleep(_HAND_OVER_STEP_S)

    def retell(self) -> None:
        """Show again what was shown, to a page that may have been loaded anew and know nothing of it."""
        for caption in self._shown.values():
            self._put(caption, None)

    def _put(self, caption: Caption, microphone_sid: str | None) -> None:
        packets = data.caption_packets(caption, self._names(), microphone_sid)
        self._outbox.put(packets, f"caption {caption.segment_id}")

    def send_event(self, kind: str, values: Mapping[str, Any]) -> None:
        """Send an event of topic ``oi.event``."""
        self._outbox.put([data.event_packet(kind, values, self._names())])

    def receive(self, message: bytes) -> None:
        """Take one message of a data channel; a flood is dropped, and logged once."""
        flooded = self._allowance.exceeded
        if not self._allowance.take(len(message), asyncio.get_running_loop().time()):
            if not flooded:
                _log.warning("%s sends too much data: the rest is dropped", self._names().user_identity)
            return
        match self._inbox.receive(message):
            case str() as text if not self.closed:
                self._listener.on_text(text)
            case data.DialledDigit(digit) if not self.closed and isinstance(self._listener, DigitListener):
                self._listener.on_digit(digit)
            case models.RpcRequest() as request if not self.closed:
                self.rpc.asked(request)
            case models.RpcAck() as ack:
                self.rpc.acknowledged(ack)
            case models.RpcResponse() as response:
                self.rpc.answered(response)
            case _:
                pass
