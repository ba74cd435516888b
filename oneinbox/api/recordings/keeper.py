"""Sees every recording to where it stays, and away when its call is deleted, whatever dies or fails in between.

What is to be done stands in the table; each step is written down when it is done, and may be done twice. A store that is
out is tried again and again, ever more seldom; the file stays on the disk until the store has it.
"""

import asyncio
import logging
import random
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from oneinbox.api.config import ApiConfig
from oneinbox.api.db.database import Database, Rows
from oneinbox.api.db.outbox import EventType, listeners_of, tell
from oneinbox.api.db.tables import Call, Recording
from oneinbox.api.recordings import repo
from oneinbox.api.recordings.links import RecordingLinks
from oneinbox.api.recordings.repo import RecordingStatus
from oneinbox.api.recordings.store import S3Store, StoreError
from oneinbox.core import ogg
from oneinbox.core.clock import utc_now
from oneinbox.core.tasks import TaskScope

_log = logging.getLogger(__name__)

_IDLE_S = 0.5
_AT_ONCE = 4
_FIRST_DELAY_S, _MAX_DELAY_S = 2.0, 600.0
_SETTLED_S = 2.0
"""A file that was not written to for so long is not being written any more."""
_MAX_ERROR = 300


class RecordingKeeper:
    """The background work of recordings: one a server process."""

    def __init__(self, database: Database, config: ApiConfig, *, idle_s: float = _IDLE_S) -> None:
        self._database = database
        self._directory = config.recordings_dir
        self._server_id = config.server_id
        self._public_url = config.public_url
        self._links = RecordingLinks(config)
        self._store = None if config.recordings_store is None else S3Store(config.recordings_store)
        self._idle_s = idle_s
        self._scope = TaskScope("recordings")

    def start(self) -> None:
        """Begin; :meth:`aclose` ends it."""
        self._scope.spawn(self._run(), "keep")

    async def aclose(self) -> None:
        """Stop. What was under way is done again at the next start."""
        await self._scope.aclose()

    async def _run(self) -> None:
        while True:
            try:
                worked = await self.work()
            except SQLAlchemyError:
                _log.exception("the table of recordings cannot be read or written")
                worked = 0
            if not worked:
                await asyncio.sleep(self._idle_s)

    async def work(self) -> int:
        """Do what is due, a few recordings at a time; return how many there were."""
        async with self._database.read() as rows:
            found = await repo.due(rows, utc_now(), self._server_id, _AT_ONCE)
        await asyncio.gather(*(self._advance(recording) for recording in found))
        return len(found)

    async def _advance(self, recording: Recording) -> None:
        try:
            match RecordingStatus(recording.status):
                case RecordingStatus.DELETING:
                    await self._delete(recording)
                case RecordingStatus.RECORDING | RecordingStatus.CUT:
                    await self._mend(recording)
                case RecordingStatus.WRITTEN:
                    await self._keep(recording)
                case _:
                    await asyncio.to_thread(self._path(recording).unlink, missing_ok=True)
                    await self._note(recording, on_disk=False)
        except (StoreError, OSError) as error:
            await self._put_off(recording, error)

    def _path(self, recording: Recording) -> Path:
        return self._directory / recording.name

    def _is_fresh(self, recording: Recording) -> bool:
        """Whether somebody may still be writing it."""
        try:
            return time.time() - self._path(recording).stat().st_mtime < _SETTLED_S
        except FileNotFoundError:
            return False

    # ---- steps

    async def _mend(self, recording: Recording) -> None:
        """The worker died, or could not go on: what it wrote is made a whole file."""
        why = recording.error or "the worker died: the last second may be missing"
        if recording.status == RecordingStatus.RECORDING and await asyncio.to_thread(self._is_fresh, recording):
            await self._note(recording, later_s=_SETTLED_S)
            return
        try:
            found = await asyncio.to_thread(ogg.mend, self._path(recording))
        except (FileNotFoundError, ogg.BadOggError):
            await asyncio.to_thread(self._path(recording).unlink, missing_ok=True)
            await self._note(recording, status=RecordingStatus.FAILED, error=why, on_disk=False)
            return
        await self._note(
            recording,
            status=RecordingStatus.WRITTEN,
            error=why,
            duration_s=found.duration_s,
            size_bytes=found.size_bytes,
        )

    async def _keep(self, recording: Recording) -> None:
        store = None
        if self._store is not None:
            try:
                await self._store.put(recording.name, self._path(recording))
            except FileNotFoundError as error:
                await self._note(recording, status=RecordingStatus.FAILED, error=str(error), on_disk=False)
                return
            store = self._store.url
        await self._note(recording, status=RecordingStatus.AVAILABLE, store=store)

    async def _delete(self, recording: Recording) -> None:
        if self._store is not None:  # an upload that was under way when its call was deleted has not been written down
            await self._store.delete(recording.name)
        await asyncio.to_thread(self._path(recording).unlink, missing_ok=True)
        async with self._database.write() as rows:
            found = await repo.lock(rows, recording.call_id)
            if found is not None:
                await rows.delete(found)

    # ---- what is written down

    async def _note(self, recording: Recording, *, later_s: float = 0.0, **values: Any) -> None:
        """Write a step down, unless the call was deleted meanwhile."""
        async with self._database.write() as rows:
            found = await repo.lock(rows, recording.call_id)
            if found is None or found.status != recording.status:
                return
            for name, value in values.items():
                setattr(found, name, value)
            found.attempts, found.delayed_by, found.updated_at = 0, None, utc_now()
            found.next_try_at = found.updated_at + timedelta(seconds=later_s)
            if values.get("status") == RecordingStatus.AVAILABLE:
                await self._tell(rows, found)

    async def _tell(self, rows: Rows, recording: Recording) -> None:
        call = await rows.get(Call, recording.call_id)
        if call is None:
            return
        facts = {
            "status": call.status,
            "recording_url": self._links.url(recording, self._public_url) if self._public_url is not None else None,
            "recording_duration_seconds": recording.duration_s,
        }
        await tell(rows, await listeners_of(rows, call), call, EventType.RECORDING_AVAILABLE, facts)

    async def _put_off(self, recording: Recording, error: Exception) -> None:
        delay_s = min(_FIRST_DELAY_S * 2 ** min(recording.attempts, 20), _MAX_DELAY_S)
        delay_s *= random.uniform(0.9, 1.1)  # noqa: S311 - spreads load, guards nothing
        _log.warning("recording %s: %s; tried again in %.0f s", recording.name, error, delay_s)
        async with self._database.write() as rows:
            found = await repo.lock(rows, recording.call_id)
            if found is not None and found.status == recording.status:
                found.attempts += 1
                found.next_try_at = utc_now() + timedelta(seconds=delay_s)
                found.delayed_by = str(error)[:_MAX_ERROR]
