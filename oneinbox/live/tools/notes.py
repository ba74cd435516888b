"""Tools that ask nobody: ending the call, noting down what was learnt, and those that this call cannot have."""

from collections.abc import Callable, Mapping
from typing import Any

from oneinbox.core.events import AnyCallEvent, InformationExtracted
from oneinbox.core.spec import ToolSpec
from oneinbox.live.engine.ports import ToolOutcome
from oneinbox.live.tools.arguments import UnfitError, checked
from oneinbox.live.tools.settings import ToolSettings


class EndCall:
    """``end_call``: the call ends once what was said with it has been heard."""

    in_background = False
    speaks = False
    ends_call = True

    async def run(self, arguments: Mapping[str, Any], *, key: str) -> ToolOutcome:
        """Say so; the engine does it."""
        del arguments, key
        return ToolOutcome(content="The call ends, unless the caller goes on.")


class ExtractInformation(ToolSettings):
    """``extract_information``: what the model has learnt goes to the call's record."""

    def __init__(self, spec: ToolSpec, *, call_id: str, emit: Callable[[AnyCallEvent], None]) -> None:
        super().__init__(spec)
        self._spec = spec
        self._call_id = call_id
        self._emit = emit

    async def run(self, arguments: Mapping[str, Any], *, key: str) -> ToolOutcome:
        """Note the values down; whatever is noted later is added, or replaces."""
        del key
        try:
            values = checked(arguments, self._spec.parameters)
        except UnfitError as error:
            return ToolOutcome(content=str(error), is_error=True)
        self._emit(InformationExtracted(call_id=self._call_id, name=self._spec.name, values=values))
        return ToolOutcome(content="Noted.")


class NotAvailable:
    """A tool that this call cannot have: the model is told why, so that it can tell the caller."""

    in_background = False
    speaks = False
    ends_call = False

    def __init__(self, why: str) -> None:
        self._why = why

    async def run(self, arguments: Mapping[str, Any], *, key: str) -> ToolOutcome:
        """Say why not."""
        del arguments, key
        return ToolOutcome(content=f"Not done: {self._why} Tell the caller, and offer something else.", is_error=True)
