"""Running the tools that the language model asks for: side by side, once each, and to their end whatever becomes of the reply.

A reply asks here only once its turn is certain. A tool that has begun goes on when the caller interrupts, and its result
stands in the history for the next reply. Every call is told of twice, under one id: as it begins and as it ends.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec

from oneinbox.core.events import AnyCallEvent, LatencyMeasured, ToolCalled
from oneinbox.core.spec import CallSpec
from oneinbox.live.engine.ear import Spawn
from oneinbox.live.engine.history import Exchange, History, ToolRun
from oneinbox.live.engine.ports import Tool, ToolCall, ToolOutcome, Tools

_log = logging.getLogger(__name__)

MOST_RESULT_CHARS = 16_000
"""Of a result that the language model, and the record, are given."""
END_GRACE_S = 3.0
"""How long tools that run at the end of a call may take to finish."""


class Acting:
    """The tools of one round at work."""

    def __init__(self, exchange: Exchange, awaited: Sequence["asyncio.Task[None]"], *, hang_up: bool) -> None:
        self.exchange = exchange
        self.hang_up = hang_up
        """The call is to end once what was said has been heard."""
        self._awaited = awaited

    async def wait(self) -> bool:
        """Wait for the results that the reply needs; return whether the language model is to say something to them.

        Cancelled, it leaves the tools running.
        """
        if self._awaited:
            await asyncio.wait(self._awaited)
        runs = self.exchange.runs
        only_started = all(run.in_background and not (run.outcome and run.outcome.is_error) for run in runs)
        return not self.hang_up and not (self.exchange.text and only_started)


class ToolRuns:
    """The tools of one call at work."""

    def __init__(
        self,
        spec: CallSpec,
        tools: Tools | None,
        history: History,
        *,
        spawn: Spawn,
        emit: Callable[[AnyCallEvent], None],
        clock_s: Callable[[], float],
    ) -> None:
        self._spec = spec
        self._tools = tools
        self._history = history
        self._spawn = spawn
        self._emit = emit
        self._clock_s = clock_s
        """Seconds since the call's clock started."""
        self._running: set[asyncio.Task[None]] = set()

    def act(
        self, text: str, calls: Sequence[ToolCall], turn: int, *, ask_patience: Callable[[], None], refusal: str = ""
    ) -> Acting:
        """Start the tools that a reply of ``turn`` asks for after saying ``text``.

        ``ask_patience`` is called where the agent is to say something meanwhile. With a ``refusal`` none is run, and each
        is answered with it.
        """
        found = [(call, self._find(call.name)) for call in calls]
        asked = [(call, tool is not None and tool.in_background) for call, tool in found]
        exchange = self._history.begin_exchange(text, asked)
        awaited: list[asyncio.Task[None]] = []
        hang_up = asks = False
        for run, (_, tool) in zip(exchange.runs, found, strict=True):
            if tool is None or refusal:
                self._refuse(run, turn, refusal or f"There is no tool {run.call.name!r}.")
                continue
            hang_up = hang_up or tool.ends_call
            task = self._start(run, tool, turn)
            if not tool.in_background:
                awaited.append(task)
            asks = asks or tool.speaks
        if asks and not text and not hang_up:
            ask_patience()
        return Acting(exchange, awaited, hang_up=hang_up)

    async def finish(self) -> None:
        """Give what still runs a moment to end; whoever cancels it afterwards is told of in the record, too."""
        if self._running:
            await asyncio.wait(self._running, timeout=END_GRACE_S)

    def _find(self, name: str) -> Tool | None:
        return None if self._tools is None else self._tools.find(name)

    def _start(self, run: ToolRun, tool: Tool, turn: int) -> "asyncio.Task[None]":
        start_s = self._clock_s()
        self._tell(run, turn, start_s)
        task = self._spawn(self._run(run, tool, turn, start_s), f"tool-{run.call.name}")
        self._running.add(task)

        def done(task: "asyncio.Task[None]") -> None:
            self._running.discard(task)
            if run.outcome is None:  # cancelled, perhaps before its first step
                run.outcome = ToolOutcome(content="The call ended before this was done.", is_error=True)
                self._tell(run, turn, start_s)

        task.add_done_callback(done)
        return task

    async def _run(self, run: ToolRun, tool: Tool, turn: int, start_s: float) -> None:
        outcome = await self._outcome(run.call, tool)
        if len(outcome.content) > MOST_RESULT_CHARS:
            content = f"{outcome.content[:MOST_RESULT_CHARS]} [the rest is left out]"
            outcome = ToolOutcome(content=content, is_error=outcome.is_error)
        run.outcome = outcome
        self._tell(run, turn, start_s)
        if not run.in_background:
            ms = round((self._clock_s() - start_s) * 1000, 1)
            self._emit(LatencyMeasured(call_id=self._spec.call_id, part=f"tool:{run.call.name}", turn=turn, ms=ms))

    async def _outcome(self, call: ToolCall, tool: Tool) -> ToolOutcome:
        try:
            arguments = msgspec.json.decode(call.arguments)
        except msgspec.DecodeError:
            arguments = None
        if not isinstance(arguments, dict):
            return ToolOutcome(content="The arguments are not a JSON object.", is_error=True)
        try:
            return await tool.run(arguments, key=f"{self._spec.call_id}-{call.call_id}")  # pyright: ignore[reportUnknownArgumentType] - keys of JSON objects are texts
        except Exception:  # noqa: BLE001 - a tool's bug must cost its result, not the call
            _log.exception("call %s: the tool %s broke", self._spec.call_id, call.name)
            return ToolOutcome(content="The tool failed.", is_error=True)

    def _refuse(self, run: ToolRun, turn: int, why: str) -> None:
        run.outcome = ToolOutcome(content=why, is_error=True)
        self._tell(run, turn, self._clock_s())

    def _tell(self, run: ToolRun, turn: int, start_s: float) -> None:
        outcome = run.outcome
        self._emit(
            ToolCalled(
                call_id=self._spec.call_id,
                tool_call_id=run.call.call_id,
                name=run.call.name,
                arguments=run.call.arguments,
                result=None if outcome is None else outcome.content,
                is_error=outcome is not None and outcome.is_error,
                turn=turn,
                start_s=round(start_s, 3),
                duration_ms=None if outcome is None else round((self._clock_s() - start_s) * 1000, 1),
            )
        )
