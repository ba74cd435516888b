"""Scripted tools for conversations in virtual time."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oneinbox.live.engine.ports import ToolOutcome
from tests.support.virtual_time import now_s


@dataclass
class FakeTool:
    """Takes ``takes_s`` and gives ``result``; notes every run: its arguments, key, begin and end (None: cancelled)."""

    takes_s: float = 0.0
    result: str = "done"
    is_error: bool = False
    bug: bool = False
    in_background: bool = False
    speaks: bool = False
    ends_call: bool = False
    runs: list[tuple[dict[str, Any], str]] = field(default_factory=list[tuple[dict[str, Any], str]])
    begun: list[float] = field(default_factory=list[float])
    ended: list[float] = field(default_factory=list[float])

    async def run(self, arguments: Mapping[str, Any], *, key: str) -> ToolOutcome:
        self.runs.append((dict(arguments), key))
        self.begun.append(now_s())
        await asyncio.sleep(self.takes_s)
        if self.bug:
            raise KeyError("a bug of the tool")
        self.ended.append(now_s())
        return ToolOutcome(content=self.result, is_error=self.is_error)


@dataclass
class FakeTools:
    """The tools of one call, by name."""

    by_name: Mapping[str, FakeTool]

    async def prepare(self) -> None:
        await asyncio.sleep(0.01)

    def find(self, name: str) -> FakeTool | None:
        return self.by_name.get(name)

    async def aclose(self) -> None: ...
