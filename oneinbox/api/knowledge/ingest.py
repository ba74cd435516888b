"""Reads the pages and files that knowledge bases were given, in the background. What a dead process left is done again."""

import asyncio
import logging
from collections.abc import Awaitable
from datetime import timedelta
from pathlib import PurePath

import httpx
from sqlalchemy.exc import SQLAlchemyError

from oneinbox.api.db.database import Database
from oneinbox.api.db.tables import KnowledgeBase, KnowledgeFile, KnowledgeJob, KnowledgeSource
from oneinbox.api.knowledge import repo
from oneinbox.api.knowledge.reader_process import READ_LIMIT_S, read_in_process
from oneinbox.api.knowledge.reading import UnreadableError, text_of_bytes, text_of_html
from oneinbox.api.knowledge.service import settle
from oneinbox.core.clock import utc_now
from oneinbox.core.outbound import UrlRefusedError
from oneinbox.core.tasks import TaskScope
from oneinbox.net.outbound import OutboundGuard

_log = logging.getLogger(__name__)

MAX_PAGE_BYTES = 5 * 1024 * 1024
_FETCH_LIMIT_S = 30.0
_LOST_AFTER = timedelta(seconds=READ_LIMIT_S + 2 * _FETCH_LIMIT_S)
_IDLE_S = 1.0
_READERS = 2
"""Jobs that one process does at a time: one slow file does not hold up the next."""
_DOCUMENTS = {
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.ms-excel": ".xls",
}
_PLAIN = ("text/plain", "text/markdown", "text/csv", "application/json")


class Ingestor:
    """The background work of knowledge bases: one a server process."""

    def __init__(self, database: Database, outbound: OutboundGuard, *, idle_s: float = _IDLE_S) -> None:
        self._database = database
        self._outbound = outbound
        self._idle_s = idle_s
        self._scope = TaskScope("knowledge")

    def start(self) -> None:
        """Begin; :meth:`aclose` ends it."""
        for number in range(_READERS):
            self._scope.spawn(self._run(), f"read {number}")

    async def aclose(self) -> None:
        """Stop. What was being read is read again by the next one to start, after a while."""
        await self._scope.aclose()

    async def run_one(self) -> bool:
        """Do the oldest job, where there is one; returns whether there was."""
        now = utc_now()
        async with self._database.read() as rows:
            if await repo.waiting_job(rows, now - _LOST_AFTER) is None:
                return False
        async with self._database.write() as rows:
            job = await repo.claim_job(rows, now, now - _LOST_AFTER)
            source = None if job is None else await rows.get(KnowledgeSource, job.knowledge_base_source_id)
        if job is None or source is None:
            return False
        text, problem = await self._read(source)
        async with self._database.write() as rows:
            kept_job = await rows.get(KnowledgeJob, job.id)
            kept = await rows.get(KnowledgeSource, source.id)
            base = await rows.get(KnowledgeBase, job.knowledge_base_id)
            if kept_job is not None and kept is not None and base is not None:  # else deleted meanwhile
                settle(kept, kept_job, base.chunk_size, text, problem)
                await repo.drop_file(
                    rows, source.id
                )  # its text is what is used; whoever wants it read anew sends it anew
        return True

    async def _run(self) -> None:
        while True:
            try:
                worked = await self.run_one()
            except SQLAlchemyError:
                _log.exception("the jobs of knowledge bases could not be read")
                worked = False
            if not worked:
                await asyncio.sleep(self._idle_s)

    async def _read(self, source: KnowledgeSource) -> tuple[str, str | None]:
        """Return the source's text, and why there is none."""
        if source.type == "url":
            return await _or_problem("page", self._fetch(source.source))
        return await _or_problem("file", self._read_file(source))

    async def _read_file(self, source: KnowledgeSource) -> str:
        async with self._database.read() as rows:
            file = await rows.get(KnowledgeFile, source.id)
        if file is None:
            raise UnreadableError("its bytes are gone: send it again")
        return await read_in_process(PurePath(source.source.lower()).suffix, file.data)

    async def _fetch(self, url: str) -> str:
        async with asyncio.timeout(_FETCH_LIMIT_S):
            media_type, charset, body = await self._download(url)
        if suffix := _DOCUMENTS.get(media_type):
            return await read_in_process(suffix, body)
        if media_type == "text/html":
            return text_of_html(body.decode(_charset(charset), errors="replace"))
        return text_of_bytes(body, charset or "utf-8")

    async def _download(self, url: str) -> tuple[str, str | None, bytes]:
        """Return what sort of page it is, its charset if it says one, and its bytes."""
        async with (
            self._outbound.open_client(follow_redirects=True) as client,
            client.stream("GET", url) as answer,
        ):
            if not answer.is_success:
                raise UnreadableError(f"it answers {answer.status_code}")
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise UnreadableError("it comes in an encoding that was not asked for")
            media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
            if media_type != "text/html" and media_type not in _PLAIN and media_type not in _DOCUMENTS:
                raise UnreadableError(f"it is no text or document ({media_type[:80] or 'it does not say what'})")
            body = bytearray()
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > MAX_PAGE_BYTES:
                    raise UnreadableError(f"it is larger than {MAX_PAGE_BYTES} bytes")
            return media_type, answer.charset_encoding, bytes(body)


async def _or_problem(what: str, reading: Awaitable[str]) -> tuple[str, str | None]:
    """Return what was read, or why nothing was."""
    try:
        return await reading, None
    except UrlRefusedError as error:
        problem = str(error)
    except UnreadableError as error:
        problem = f"the {what} cannot be read: {error}"
    except httpx.TooManyRedirects:
        problem = f"the {what} leads from one address to the next too often"
    except TimeoutError:
        problem = f"the {what} did not come in time"
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError):  # the last for names that only look international
        problem = f"the {what} cannot be reached"
    except Exception:  # noqa: BLE001 - the boundary to foreign pages and files: whatever one does, its job ends and the next begins
        _log.exception("a %s could not be read", what)
        problem = f"the {what} cannot be read"
    return "", problem


def _charset(said: str | None) -> str:
    try:
        "".encode(said or "utf-8")
    except LookupError:
        return "utf-8"
    return said or "utf-8"
