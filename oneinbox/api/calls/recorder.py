"""Writes what happens in calls to their records.

Laws:

1. A final status never changes, nor does anything that was written with it.
2. Each event is a short transaction of its own: a call is not a request, and a crash loses no finished turn.
3. Order and number do not matter: an event that comes twice, or late, changes nothing that a later one has settled.
4. After :meth:`Recorder.fail_all_open` no call of an earlier run is left without an end; what a server leaves that never
   comes back, :meth:`Recorder.fail_stranded` ends from another.
5. Webhooks are told of a change in its own transaction: of the start once, and of one end, after everything else.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta

import msgspec

from oneinbox.api.calls import repo, servers, telling
from oneinbox.api.db.database import Database, Rows
from oneinbox.api.db.tables import Call, CallFault, CallLatency, CallMessage, CallTool
from oneinbox.api.recordings import repo as recordings
from oneinbox.core.clock import utc_now
from oneinbox.core.events import (
    AnyCallEvent,
    CallActive,
    CallEnded,
    CallPrepared,
    CallStatus,
    EndReason,
    GreetingStarted,
    InformationExtracted,
    LatencyMeasured,
    MessageAdded,
    MessageAmended,
    MicrophoneSilent,
    ParticipantJoined,
    ProviderFailed,
    QualityMeasured,
    RecordingFinished,
    RecordingStarted,
    ToolCalled,
)

_log = logging.getLogger(__name__)

CONCURRENCY = "concurrency_at_dispatch"
"""The one entry of a call's metadata that the platform writes."""

Progress = CallPrepared | ParticipantJoined | CallActive | GreetingStarted | QualityMeasured | CallEnded
"""What carries a call's own row forward."""


class Recorder:
    """The only writer of a call's status once the call was handed to a worker."""

    def __init__(self, database: Database, server_id: str | None = None) -> None:
        self._database = database
        self._server_id = server_id
        """Whose calls an earlier run left open; ``None``: all calls are this server's."""

    async def record(self, event: AnyCallEvent) -> None:
        """Record one event. One of a call that is not on record is logged and dropped."""
        async with self._database.write() as rows:
            call = await repo.lock_call(rows, event.call_id)
            if call is None:
                _log.warning("an event (%s) of an unknown call %s is dropped", type(event).__name__, event.call_id)
                return
            match event:
                case MessageAdded() | MessageAmended():
                    await self._put_message(rows, call, event)
                case LatencyMeasured():
                    await repo.put_latency(rows, _latency(call, event))
                case ToolCalled():
                    await repo.put_tool(rows, _tool(call, event))
                case InformationExtracted():
                    _note(call, event)
                case ProviderFailed():
                    await repo.add_fault(rows, _fault(call, event))
                case RecordingStarted():
                    await recordings.begin(rows, call, event.name, self._server_id)
                case RecordingFinished():
                    await self._end_recording(rows, call, event)
                case MicrophoneSilent():
                    call.microphone_silent_at_s = event.at_s if event.silent else None
                case _:
                    if CallStatus(call.status).final:
                        return
                    if isinstance(event, CallPrepared) and call.worker_id is None:
                        await _note_concurrency(rows, call)
                    await self._advance(rows, call, event)
            repo.touch(call, utc_now())

    async def fail_calls(self, call_ids: Sequence[str], reason: EndReason) -> None:
        """End these calls for ``reason``, those that have not ended yet; their clock stops now."""
        now = utc_now()
        async with self._database.write() as rows:
            for call in await repo.lock_open_calls(rows, call_ids):
                duration_s = 0.0 if call.started_at is None else max((now - call.started_at).total_seconds(), 0.0)
                _end(call, reason, duration_s)
                await telling.tell_end(rows, call)

    async def fail_all_open(self, reason: EndReason = EndReason.SERVER_LOST) -> int:
        """End every call that an earlier run of this server left open; returns how many there were.

        Nobody saw when such a call died: it counts until its last recorded turn.
        """
        async with self._database.write() as rows:
            left_open = await repo.lock_open_calls(rows, server_id=self._server_id)
            for call in left_open:
                await self._end_unseen(rows, call, reason)
        if left_open:
            _log.warning("%d calls had not ended when the server last stopped: %s", len(left_open), reason)
        return len(left_open)

    async def fail_stranded(self) -> int:
        """End every call whose server has died (its lease has run out) or has gone; returns how many there were."""
        async with self._database.write() as rows:
            dead = await servers.remove_dead(rows, await servers.now_of(rows))
            stranded = await servers.lock_stranded_calls(rows)
            for call in stranded:
                await self._end_unseen(rows, call, EndReason.SERVER_LOST)
        if dead or stranded:
            _log.warning("servers that died: %s; calls lost with them: %d", ", ".join(dead) or "-", len(stranded))
        return len(stranded)

    @staticmethod
    async def _end_unseen(rows: Rows, call: Call, reason: EndReason) -> None:
        duration_s = 0.0 if call.started_at is None else await repo.spoken_until_s(rows, call.id)
        _end(call, reason, duration_s)
        if call.started_at is not None:
            call.ended_at = call.started_at + timedelta(seconds=duration_s)
        await telling.tell_end(rows, call)

    @staticmethod
    async def _advance(rows: Rows, call: Call, event: Progress) -> None:
        had_started = call.started_at is not None
        _advance(call, event)
        if call.started_at is not None and not had_started:
            await telling.tell_start(rows, call)
        if CallStatus(call.status).final:
            await telling.tell_end(rows, call)

    async def _end_recording(self, rows: Rows, call: Call, event: RecordingFinished) -> None:
        await recordings.begin(rows, call, event.name, self._server_id)
        duration_s, size_bytes = event.duration_s, event.size_bytes
        await recordings.end(rows, call.id, duration_s=duration_s, size_bytes=size_bytes, error=event.error)

    @staticmethod
    async def _put_message(rows: Rows, call: Call, event: MessageAdded | MessageAmended) -> None:
        """Put a message on record; one that is there already gives way only to its amendment, whichever comes first."""
        amended = isinstance(event, MessageAmended)
        message = _message(call, event.message if amended else event)
        stored = await repo.get_message(rows, message)
        if stored is not None and (not amended or stored.content == message.content):
            return
        await repo.put_message(rows, message)
        if not CallStatus(call.status).final:
            await telling.tell_message(rows, call, message)


async def _note_concurrency(rows: Rows, call: Call) -> None:
    """Write down how busy the organisation was. The column takes a new object only: a changed one is not seen."""
    concurrency = await repo.open_calls_until(rows, call.org_id, call.created_at)
    call.custom_metadata = {**call.custom_metadata, CONCURRENCY: concurrency}


def _advance(call: Call, event: Progress) -> None:
    """Carry an open call's record forward, never back."""
    match event:
        case CallPrepared():
            call.worker_id, call.setup_ms = event.worker_id, event.setup_ms
            if call.status == CallStatus.QUEUED:
                call.status = CallStatus.INITIATED.value
        case ParticipantJoined():
            call.wait_ms = event.wait_ms
        case CallActive():
            call.answer_ms = event.answer_ms
            call.status = CallStatus.IN_PROGRESS.value
            call.started_at = call.started_at or utc_now() - timedelta(milliseconds=event.since_ms)
        case GreetingStarted():
            call.greeting_ms = event.delay_ms
        case QualityMeasured():
            call.quality = msgspec.to_builtins(event.quality)
        case CallEnded():
            call.worker_load1, call.worker_mem_pct = event.worker_load1, event.worker_mem_pct
            _end(call, event.reason, event.duration_s)


def _end(call: Call, reason: EndReason, duration_s: float) -> None:
    now = utc_now()
    call.status = reason.status.value
    call.end_reason = reason.value
    call.duration_seconds = round(duration_s, 3)
    call.ended_at = now
    call.updated_at = now


def _message(call: Call, event: MessageAdded) -> CallMessage:
    return CallMessage(
        call_id=call.id,
        id=event.message_id,
        org_id=call.org_id,
        role=event.role.value,
        content=event.content.replace("\0", ""),
        turn=event.turn,
        start_s=event.start_s,
        end_s=event.end_s,
        interrupted=event.interrupted,
        confidence=event.confidence,
        typed=event.typed,
    )


def _tool(call: Call, event: ToolCalled) -> CallTool:
    return CallTool(
        call_id=call.id,
        id=event.tool_call_id.replace("\0", ""),
        org_id=call.org_id,
        name=event.name.replace("\0", ""),
        arguments=event.arguments.replace("\0", ""),
        result=None if event.result is None else event.result.replace("\0", ""),
        is_error=event.is_error,
        turn=event.turn,
        start_s=event.start_s,
        duration_ms=event.duration_ms,
    )


def _note(call: Call, event: InformationExtracted) -> None:
    noted = call.extracted_data or {}
    values = msgspec.json.decode(msgspec.json.encode(event.values).replace(b"\\u0000", b""))
    call.extracted_data = {**noted, event.name: {**noted.get(event.name, {}), **values}}


def _latency(call: Call, event: LatencyMeasured) -> CallLatency:
    return CallLatency(org_id=call.org_id, call_id=call.id, part=event.part, turn=event.turn, ms=event.ms)


def _fault(call: Call, event: ProviderFailed) -> CallFault:
    return CallFault(
        org_id=call.org_id,
        call_id=call.id,
        provider=event.provider,
        stage=event.stage,
        kind=event.kind,
        detail=event.detail.replace("\0", "")[:1_000],
        at=utc_now(),
    )
