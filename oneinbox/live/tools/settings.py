"""What every tool's record says of how the conversation goes on while it runs."""

from oneinbox.core.spec import ToolSpec


class ToolSettings:
    """The settings of one tool, as the engine asks for them."""

    def __init__(self, spec: ToolSpec) -> None:
        self._in_background = bool(spec.config.get("run_in_background"))
        self._speaks = bool(spec.config.get("speak_during_execution"))

    @property
    def in_background(self) -> bool:
        """Whether the conversation goes on without its result."""
        return self._in_background

    @property
    def speaks(self) -> bool:
        """Whether the agent says something while it runs."""
        return self._speaks

    @property
    def ends_call(self) -> bool:
        """Whether the call ends with it."""
        return False
