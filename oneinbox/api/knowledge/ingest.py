"""Fetches the pages that knowledge bases were given, in the background. What a dead process left undone is done again."""

import asyncio
import logging
from datetime import timedelta

import httpx
from sqlalchemy.exc import SQLAlchemyError

from oneinbox.api.db.database import Database
from oneinbox.api.db.tables import KnowledgeBase, KnowledgeJob, KnowledgeSource
from oneinbox.api.knowledge import repo
from oneinbox.api.knowledge.reading import UnreadableError, text_of_bytes, text_of_html
from oneinbox.api.knowledge.service import settle
from oneinbox.core.clock import utc_now
from oneinbox.core.outbound import UrlRefusedError
from oneinbox.core.tasks import TaskScope
from oneinbox.net.outbound import OutboundGuard

_log = logging.getLogger(__name__)

MAX_PAGE_BYTES = 5 * 1024 * 1024
_FETCH_LIMIT_S = 30.0
_LOST_AFTER = timedelta(minutes=5)
_IDLE_S = 1.0
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
        self._scope.spawn(self._run(), "ingest")

    async def aclose(self) -> None:
        """Stop. What was being fetched is fetched again by the next one to start, after a while."""
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
        text, problem = await self._fetch(source.source)
        async with self._database.write() as rows:
            kept_job = await rows.get(KnowledgeJob, job.id)
            kept = await rows.get(KnowledgeSource, source.id)
            base = await rows.get(KnowledgeBase, job.knowledge_base_id)
            if kept_job is not None and kept is not None and base is not None:  # else deleted meanwhile
                settle(kept, kept_job, base.chunk_size, text, problem)
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

    async def _fetch(self, url: str) -> tuple[str, str | None]:
        """Return the page's text, and why there is none."""
        try:
            async with asyncio.timeout(_FETCH_LIMIT_S):
                return await self._read_page(url), None
        except (UrlRefusedError, UnreadableError) as error:
            return "", str(error)
        except httpx.TooManyRedirects:
            return "", "the page leads from one address to the next too often"
        except TimeoutError:
            return "", "the page did not come in time"
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError):  # the last for names that only look international
            return "", "the page cannot be reached"
        except Exception:  # noqa: BLE001 - the boundary to foreign pages: whatever one does, its job ends and the next begins
            _log.exception("a page could not be read")
            return "", "the page cannot be read"

    async def _read_page(self, url: str) -> str:
        async with (
            self._outbound.open_client(follow_redirects=True) as client,
            client.stream("GET", url) as answer,
        ):
            if not answer.is_success:
                raise UnreadableError(f"the page answers {answer.status_code}")
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise UnreadableError("the page comes in an encoding that was not asked for")
            media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
            if media_type != "text/html" and media_type not in _PLAIN:
                raise UnreadableError(
                    f"the page is neither HTML nor text ({media_type[:50] or 'it does not say what'})"
                )
            body = bytearray()
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > MAX_PAGE_BYTES:
                    raise UnreadableError(f"the page is larger than {MAX_PAGE_BYTES} bytes")
            if media_type != "text/html":
                return text_of_bytes(bytes(body), answer.charset_encoding or "utf-8")
            return text_of_html(bytes(body).decode(_charset(answer.charset_encoding), errors="replace"))


def _charset(said: str | None) -> str:
    try:
        "".encode(said or "utf-8")
    except LookupError:
        return "utf-8"
    return said or "utf-8"
