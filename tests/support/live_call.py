"""A whole ``LiveCall`` in virtual time, on a leg that is none: what the media would tell it, a test tells it."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, cast

import msgspec

from oneinbox.core.events import AnyCallEvent, LineQuality
from oneinbox.core.spec import TurnSpec
from oneinbox.live.audio.tape import Tape, TapeDeck
from oneinbox.live.call import LiveCall
from oneinbox.live.media.leg import LegListener, MediaLeg
from oneinbox.live.providers.registry import CallProviders
from oneinbox.live.tools.toolbox import CallTools
from tests.support.conversation import make_spec
from tests.support.scripted import FakeLlm, FakePage, FakePlayout, FakeStt, FakeTts, FakeVad
from tests.support.scripted_tools import FakeTools
from tests.support.virtual_time import now_s, run_virtually

GREETING = "Hello, this is a greeting of ten words for you."


class FakeLeg(FakePage):
    """A leg, and the place where it comes from."""

    def __init__(self) -> None:
        super().__init__()
        self.playout = FakePlayout()
        self.sent: list[tuple[float, str, dict[str, Any]]] = []
        """Events for the page, with when they were sent."""

    def send_event(self, kind: str, data: Mapping[str, Any]) -> None:
        self.sent.append((now_s(), kind, dict(data)))

    def open_leg(self, *, room_name: str, identity: str, agent_name: str, listener: LegListener) -> MediaLeg:
        del room_name, identity, agent_name, listener
        return self

    def quality(self) -> LineQuality | None:
        return None

    async def perform_rpc(self, method: str, payload: str, timeout_s: float = 15.0) -> str:
        raise NotImplementedError

    def record(self, tape: Tape) -> None:
        raise NotImplementedError

    async def aclose(self) -> None: ...


class Connecting:
    """A call that a participant has joined."""

    def __init__(
        self, deck: TapeDeck, *, llm: FakeLlm | None = None, tools: FakeTools | None = None, **turns: Any
    ) -> None:
        self.events: list[AnyCallEvent] = []
        self.leg = FakeLeg()
        spec = msgspec.structs.replace(make_spec(first_message=GREETING, turns=TurnSpec(**turns)), join_timeout_s=30.0)
        self.call = LiveCall(
            spec,
            rooms=self.leg,
            providers=CallProviders(stt=FakeStt(), llm=llm or FakeLlm(), tts=FakeTts()),
            tools=CallTools(spec, cast(Any, None), cast(Any, None), self.events.append)  # it has none
            if tools is None
            else cast(Any, tools),
            vad=FakeVad(),
            worker_id="w1",
            emit=self.events.append,
            tapes=deck,
        )

    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def only(self, kind: type[Any]) -> Any:
        (found,) = [event for event in self.events if isinstance(event, kind)]
        return found


Scenario = Callable[[Connecting], Coroutine[Any, Any, None]]


def play(deck: TapeDeck, scenario: Scenario, **options: Any) -> Connecting:
    """Play a call up to its end; ``options`` are those of :class:`Connecting`."""

    async def run() -> Connecting:
        connecting = Connecting(deck, **options)
        async with asyncio.TaskGroup() as group:
            group.create_task(connecting.call.run())
            await asyncio.sleep(1)
            connecting.call.on_joined()
            await scenario(connecting)
        return connecting

    return run_virtually(run)
