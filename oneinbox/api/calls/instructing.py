"""Telling a live call something, whichever server runs it."""

from typing import Any

import msgspec

from oneinbox.api.calls import servers
from oneinbox.api.calls.dispatcher import Dispatcher
from oneinbox.api.db.database import Database
from oneinbox.api.db.tables import Call
from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.core.events import CallStatus
from oneinbox.core.instructions import AddContext, Instruction

TELL = "tell"
"""The command's name; its body is the instruction."""


class CallTeller:
    """Tells calls. ``server_id``: this server, where several share the database."""

    def __init__(self, database: Database, dispatcher: Dispatcher, server_id: str | None) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._server_id = server_id

    async def tell(self, call: Call, instruction: Instruction) -> None:
        """Hand the instruction to the call. Raises ``AppError`` (``call_not_live``) where nobody could heed it.

        Context is taken as soon as the call is made, anything that is to be heard once both sides can hear each other.
        """
        status = CallStatus(call.status)
        heard = status is CallStatus.IN_PROGRESS or (isinstance(instruction, AddContext) and not status.final)
        if not heard or not await self._hand_over(call, instruction):
            raise call_not_live(call)

    async def _hand_over(self, call: Call, instruction: Instruction) -> bool:
        if call.server_id is None or call.server_id == self._server_id:
            return await self._dispatcher.tell_call(call.id, instruction)
        async with self._database.write() as rows:
            if not await servers.lives(rows, call.server_id):
                return False
            await servers.ask_server(rows, call, TELL, msgspec.to_builtins(instruction))
        return True


def read_instruction(body: dict[str, Any]) -> Instruction:
    """Return what stands in a command's body."""
    return msgspec.convert(body, Instruction)


def call_not_live(call: Call) -> AppError:
    """Return the refusal of what only a live call can do."""
    return AppError(
        "call_not_live", f"the call is {call.status}: only a call in progress can be told this", ErrorKind.CONFLICT
    )
