"""What webhooks are told of calls. Everything is written in the caller's transaction, with the change itself."""

from typing import Any

from oneinbox.api.calls import repo
from oneinbox.api.calls.answer import in_order, timeline, transcript_of
from oneinbox.api.calls.schemas import CallMessageAnswer
from oneinbox.api.db.database import Rows
from oneinbox.api.db.outbox import EventType, listeners_of, tell
from oneinbox.api.db.tables import Call, CallMessage
from oneinbox.core.events import CallStatus, EndReason


async def tell_start(rows: Rows, call: Call) -> None:
    """Tell that two-way audio stands."""
    facts = {"status": call.status, "started_at": _time(call.started_at)}
    await tell(rows, await listeners_of(rows, call), call, EventType.CALL_STARTED, facts)


async def tell_message(rows: Rows, call: Call, message: CallMessage) -> None:
    """Tell that one side's turn is over."""
    listeners = await listeners_of(rows, call)
    if listeners:
        facts = {"status": call.status, "message": _message(message)}
        await tell(rows, listeners, call, EventType.TRANSCRIPT_PARTIAL, facts)


async def tell_end(rows: Rows, call: Call) -> None:
    """Tell that the call ended, or that it never connected; behind an end, its transcript."""
    listeners = await listeners_of(rows, call)
    if not listeners:
        return
    never_connected = call.started_at is None and call.status == CallStatus.FAILED
    ended = EventType.CALL_FAILED if never_connected else EventType.CALL_ENDED
    await tell(rows, listeners, call, ended, _end_facts(call))
    if call.started_at is not None and any(EventType.TRANSCRIPT_FINAL in listener.events for listener in listeners):
        (history,) = await repo.histories(rows, [call])
        spoken = in_order(history.messages)
        facts = {
            "status": call.status,
            "transcript": transcript_of(spoken),
            "messages": [message.model_dump(mode="json") for message in timeline(history)],
        }
        await tell(rows, listeners, call, EventType.TRANSCRIPT_FINAL, facts)


def _end_facts(call: Call) -> dict[str, Any]:
    reason = None if call.end_reason is None else EndReason(call.end_reason)
    return {
        "status": call.status,
        "end_reason": call.end_reason,
        "end_owner": None if reason is None else reason.owner.value,
        "duration_seconds": call.duration_seconds,
        "started_at": _time(call.started_at),
        "ended_at": _time(call.ended_at),
        "outcome": call.outcome,
        "summary": None,
    }


def _message(message: CallMessage) -> dict[str, Any]:
    return CallMessageAnswer.model_validate(message).model_dump(mode="json")


def _time(at: Any) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")
