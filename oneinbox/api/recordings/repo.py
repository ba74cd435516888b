"""Queries over recordings."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from sqlalchemy import and_, exists, or_, select

from oneinbox.api.db.database import Rows
from oneinbox.api.db.tables import Call, Recording
from oneinbox.core.clock import utc_now


class RecordingStatus(StrEnum):
    """Where a recording stands."""

    RECORDING = "recording"  # the call goes on
    WRITTEN = "written"  # the file is whole, and not where it is to stay yet
    CUT = "cut"  # the file broke off, and is to be mended
    AVAILABLE = "available"
    FAILED = "failed"  # there is nothing to hear
    DELETING = "deleting"  # its call was deleted


async def begin(rows: Rows, call: Call, name: str, server_id: str | None) -> None:
    """Note that a call is being recorded; once."""
    if await rows.get(Recording, call.id) is not None:
        return
    now = utc_now()
    rows.add(
        Recording(
            call_id=call.id,
            org_id=call.org_id,
            server_id=server_id,
            name=name,
            status=RecordingStatus.RECORDING.value,
            on_disk=True,
            attempts=0,
            next_try_at=now,
            created_at=now,
            updated_at=now,
        )
    )


async def end(rows: Rows, call_id: str, *, duration_s: float, size_bytes: int, error: str | None) -> None:
    """Note that the file is closed, where that was not known."""
    recording = await rows.get(Recording, call_id, with_for_update=True)
    if recording is None or recording.status != RecordingStatus.RECORDING:
        return
    recording.status = (RecordingStatus.WRITTEN if error is None else RecordingStatus.CUT).value
    recording.duration_s, recording.size_bytes, recording.error = duration_s, size_bytes, error
    recording.updated_at = utc_now()


async def forget(rows: Rows, call_id: str) -> None:
    """Have the call's recording deleted, wherever it is."""
    recording = await rows.get(Recording, call_id, with_for_update=True)
    if recording is not None:
        recording.status = RecordingStatus.DELETING.value
        recording.attempts, recording.next_try_at = 0, utc_now()


async def recordings_of(rows: Rows, call_ids: Sequence[str]) -> dict[str, Recording]:
    """Return the recordings of these calls, by call."""
    found = (await rows.execute(select(Recording).where(Recording.call_id.in_(call_ids)))).scalars()
    return {recording.call_id: recording for recording in found}


async def get(rows: Rows, call_id: str) -> Recording | None:
    """Return the call's recording, whoever's it is."""
    return await rows.get(Recording, call_id)


async def lock(rows: Rows, call_id: str) -> Recording | None:
    """Return the recording for a change; nobody else changes it until the transaction ends."""
    return await rows.get(Recording, call_id, with_for_update=True)


async def due(rows: Rows, now: datetime, server_id: str | None, limit: int) -> list[Recording]:
    """Return recordings on this server's disk that there is something to do with."""
    ended = exists().where(Call.id == Recording.call_id, Call.ended_at.is_not(None))
    unfinished = (RecordingStatus.WRITTEN.value, RecordingStatus.CUT.value, RecordingStatus.DELETING.value)
    query = (
        select(Recording)
        .where(
            Recording.next_try_at <= now,
            or_(Recording.server_id == server_id, Recording.server_id.is_(None)),
            or_(
                Recording.status.in_(unfinished),
                and_(Recording.status == RecordingStatus.RECORDING.value, ended),
                and_(
                    Recording.status == RecordingStatus.AVAILABLE.value, Recording.on_disk, Recording.store.is_not(None)
                ),
            ),
        )
        .order_by(Recording.next_try_at)
        .limit(limit)
    )
    return list((await rows.execute(query)).scalars())
