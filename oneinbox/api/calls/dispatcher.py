"""The way from the API to whoever runs calls. The server's composition provides it."""

from typing import Protocol

from oneinbox.core.errors import AppError
from oneinbox.core.events import EndReason
from oneinbox.core.instructions import Instruction
from oneinbox.core.spec import CallSpec


class Dispatcher(Protocol):
    """Hands calls to workers."""

    def require_room(self) -> None:
        """Raise ``AppError`` of kind ``UNAVAILABLE`` where it is plain that no worker could take a call now.

        So a full server refuses without a transaction. It is :meth:`start_call` that decides.
        """
        ...

    async def start_call(self, spec: CallSpec) -> None:
        """Hand the call to a worker. Its row is committed already.

        Raises ``AppError`` of kind ``UNAVAILABLE`` when no worker can take it; then no worker has it.
        """
        ...

    async def stop_call(self, call_id: str, reason: EndReason) -> bool:
        """Ask the worker that has the call to end it; returns ``False`` when none has it."""
        ...

    async def tell_call(self, call_id: str, instruction: Instruction) -> bool:
        """Tell the worker that has the call something; returns ``False`` when none has it."""
        ...

    def calls_in_hand(self) -> frozenset[str]:
        """Return the calls that were handed over and whose end is not on record yet."""
        ...

    @property
    def draining(self) -> bool:
        """Whether the server is being stopped: it takes no more calls, and those it has go on."""
        ...

    def why_not_ready(self) -> AppError | None:
        """Return what :meth:`start_call` would raise now; ``None`` where a call would be taken."""
        ...
