"""Knowledge bases: the rules."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Literal

from oneinbox.api.audit import trail
from oneinbox.api.db.database import Database, Rows
from oneinbox.api.db.owned import fetch_all_owned, fetch_owned, page_of_owned
from oneinbox.api.db.tables import KnowledgeBase, KnowledgeFile, KnowledgeJob, KnowledgeSource
from oneinbox.api.http.auth import Caller
from oneinbox.api.http.paging import Page, PageRequest
from oneinbox.api.http.upload import Form, SentFile
from oneinbox.api.knowledge import repo
from oneinbox.api.knowledge.documents import READERS
from oneinbox.api.knowledge.reading import UnreadableError, text_of_bytes, text_of_html, tidy, token_count
from oneinbox.api.knowledge.schemas import (
    JobAnswer,
    JobBrief,
    KnowledgeBaseAnswer,
    KnowledgeBaseCreate,
    KnowledgeBasePatch,
    SourceAdded,
    SourceAddedWithBase,
    SourceAnswer,
)
from oneinbox.core.clock import utc_now
from oneinbox.core.errors import AppError, ErrorKind
from oneinbox.core.ids import new_id
from oneinbox.net.outbound import OutboundGuard

_TEXT_FILES = (".txt", ".md", ".csv", ".html", ".htm")
_FILE_TYPES = (*_TEXT_FILES, *READERS)
_MAX_NAME_CHARS = 255
_MAX_NAMED = 10
_MAX_JOBS = 20
_MAX_SOURCES = 1_000
_SHOWN_CHARS = 200
_FORM_FIELDS = frozenset({"type", "source"})


class KnowledgeService:
    """Making knowledge bases, and putting sources into them."""

    def __init__(self, database: Database, outbound: OutboundGuard) -> None:
        self._database = database
        self._outbound = outbound

    async def create(self, caller: Caller, body: KnowledgeBaseCreate) -> KnowledgeBaseAnswer:
        """Make a knowledge base."""
        row = _new_base(caller.org_id, body)
        async with self._database.write() as rows:
            rows.add(row)
            await trail.record(rows, caller, "knowledge_base.created", "knowledge_base", row.id)
        return KnowledgeBaseAnswer.model_validate(row)

    async def page(self, org_id: str, asked: PageRequest) -> Page[KnowledgeBaseAnswer]:
        """Return one page of knowledge bases, newest first."""
        async with self._database.read() as rows:
            found, total = await page_of_owned(rows, KnowledgeBase, org_id, asked.limit, asked.offset)
        items = [KnowledgeBaseAnswer.model_validate(row) for row in found]
        return Page(items=items, total=total, limit=asked.limit, offset=asked.offset)

    async def get(self, org_id: str, base_id: str) -> KnowledgeBaseAnswer:
        """Return one knowledge base."""
        async with self._database.read() as rows:
            return KnowledgeBaseAnswer.model_validate(await _find(rows, org_id, base_id))

    async def update(self, caller: Caller, base_id: str, body: KnowledgeBasePatch) -> KnowledgeBaseAnswer:
        """Change what the body says."""
        async with self._database.write() as rows:
            row = await _find(rows, caller.org_id, base_id)
            for name, value in body.said().items():
                setattr(row, name, value)
            row.updated_at = utc_now()
            await trail.record(rows, caller, "knowledge_base.updated", "knowledge_base", row.id)
        return KnowledgeBaseAnswer.model_validate(row)

    async def delete(self, caller: Caller, base_id: str) -> None:
        """Delete a knowledge base that no model has, and everything in it."""
        async with self._database.write() as rows:
            row = await _find(rows, caller.org_id, base_id)
            users = await repo.models_knowing(rows, caller.org_id, base_id, _MAX_NAMED)
            if users:
                raise AppError(
                    "knowledge_base_in_use",
                    f"the knowledge base is used by {', '.join(users)}: take it out of their knowledge_base_ids first",
                    ErrorKind.CONFLICT,
                )
            await rows.delete(row)
            await trail.record(rows, caller, "knowledge_base.deleted", "knowledge_base", base_id)

    # ---- sources ----------------------------------------------------------------------------------------------------

    async def add_source(self, caller: Caller, base_id: str, form: Form) -> SourceAdded:
        """Put a source into a knowledge base. Text is read at once, a page or a document soon."""
        async with self._database.write() as rows:
            base = await _find(rows, caller.org_id, base_id)
            _, job = await self._add(rows, caller, base, form)
        return SourceAdded(job=JobBrief.model_validate(job))

    async def add_source_with_base(self, caller: Caller, form: Form) -> SourceAddedWithBase:
        """Make a knowledge base that is named after its first source."""
        async with self._database.write() as rows:
            name = tidy(_source_name(form))[:_MAX_NAME_CHARS] or "(source)"
            base = _new_base(caller.org_id, KnowledgeBaseCreate(name=name))
            rows.add(base)
            await trail.record(rows, caller, "knowledge_base.created", "knowledge_base", base.id)
            await rows.flush()
            source, job = await self._add(rows, caller, base, form)
        return SourceAddedWithBase(
            knowledge_base_id=base.id,
            source=SourceAnswer.model_validate(source),
            job=JobBrief.model_validate(job),
            message=f"the knowledge base {base.name!r} was made for this source",
        )

    async def sources(self, org_id: str, base_id: str) -> list[SourceAnswer]:
        """Return the sources, newest first."""
        async with self._database.read() as rows:
            await _find(rows, org_id, base_id)
            return [SourceAnswer.model_validate(row) for row in await repo.sources_of(rows, org_id, base_id)]

    async def delete_source(self, caller: Caller, base_id: str, source_id: str) -> None:
        """Take a source out of a knowledge base."""
        async with self._database.write() as rows:
            row = await fetch_owned(rows, KnowledgeSource, caller.org_id, source_id)
            if row is None or row.knowledge_base_id != base_id:
                raise AppError("source_not_found", f"there is no source {source_id[:80]!r}", ErrorKind.NOT_FOUND)
            await rows.delete(row)
            await trail.record(rows, caller, "knowledge_source.deleted", "knowledge_source", source_id)

    async def jobs(self, org_id: str, base_id: str) -> list[JobAnswer]:
        """Return the newest jobs."""
        async with self._database.read() as rows:
            await _find(rows, org_id, base_id)
            return [JobAnswer.model_validate(row) for row in await repo.jobs_of(rows, org_id, base_id, _MAX_JOBS)]

    async def job(self, org_id: str, base_id: str, job_id: str) -> JobAnswer:
        """Return one job."""
        async with self._database.read() as rows:
            row = await fetch_owned(rows, KnowledgeJob, org_id, job_id)
        if row is None or row.knowledge_base_id != base_id:
            raise AppError("job_not_found", f"there is no job {job_id[:80]!r}", ErrorKind.NOT_FOUND)
        return JobAnswer.model_validate(row)

    async def _add(
        self, rows: Rows, caller: Caller, base: KnowledgeBase, form: Form
    ) -> tuple[KnowledgeSource, KnowledgeJob]:
        if len(await repo.sources_of(rows, caller.org_id, base.id)) >= _MAX_SOURCES:
            raise AppError(
                "too_many_sources", f"a knowledge base holds {_MAX_SOURCES} sources at most", ErrorKind.CONFLICT
            )
        if _kind_of(form) == "url":
            self._outbound.require(_source_name(form), param="source")
        source = _new_source(base, form)
        job = _new_job(source)
        rows.add(source)
        await rows.flush()
        rows.add(job)
        file = form.files.get("file")
        if file is not None and _suffix(file.name) in READERS:
            rows.add(KnowledgeFile(source_id=source.id, org_id=caller.org_id, data=file.data))
        elif source.type != "url":
            settle(source, job, base.chunk_size, *_read_now(form, file))
        await trail.record(rows, caller, "knowledge_source.created", "knowledge_source", source.id)
        return source, job


def _new_source(base: KnowledgeBase, form: Form) -> KnowledgeSource:
    file = form.files.get("file")
    return KnowledgeSource(
        id=new_id("kbs"),
        org_id=base.org_id,
        knowledge_base_id=base.id,
        type=_kind_of(form),
        source=_source_name(form),
        status="processing",
        token_count=0,
        chunk_count=0,
        created_at=utc_now(),
        file_name=file and file.name[:_MAX_NAME_CHARS],
        mime_type=(file and (file.media_type or "")[:_MAX_NAME_CHARS]) or None,
        file_size=file and len(file.data),
    )


def _new_job(source: KnowledgeSource) -> KnowledgeJob:
    return KnowledgeJob(
        id=new_id("kbj"),
        org_id=source.org_id,
        knowledge_base_id=source.knowledge_base_id,
        knowledge_base_source_id=source.id,
        type="ingest_source",
        status="queued",
        payload={},
        created_at=source.created_at,
    )


def settle(source: KnowledgeSource, job: KnowledgeJob, chunk_size: int, text: str, problem: str | None) -> None:
    """Write down what became of a source: its text, or why there is none."""
    now = utc_now()
    job.started_at = job.started_at or now
    job.completed_at = now
    if problem is None and not text:
        problem = "there is no text in it"
    if problem is not None:
        source.status, source.error_message = "error", problem
        job.status, job.error_message = "failed", problem
        return
    tokens = token_count(text)
    source.status, source.content = "ready", text
    source.token_count, source.chunk_count = tokens, -(-tokens // chunk_size)
    job.status = "completed"
    job.payload = {"chunks": source.chunk_count, "tokens": tokens, "vector_indexed": False}


async def require_knowledge_bases(rows: Rows, org_id: str, base_ids: Sequence[str], *, param: str) -> None:
    """Refuse a list that names a base which is not there, or another organisation's."""
    found = {row.id for row in await fetch_all_owned(rows, KnowledgeBase, org_id, base_ids)}
    for index, base_id in enumerate(base_ids):
        if base_id not in found:
            raise _not_found(base_id, param=f"{param}.{index}")


def _new_base(org_id: str, body: KnowledgeBaseCreate) -> KnowledgeBase:
    now = utc_now()
    return KnowledgeBase(id=new_id("kb"), org_id=org_id, created_at=now, updated_at=now, **body.model_dump())


def _kind_of(form: Form) -> Literal["file", "url", "text"]:
    unknown = (form.fields.keys() - _FORM_FIELDS) | (form.files.keys() - {"file"})
    if unknown:
        raise _wrong_form(f"the field {min(unknown)[:50]!r} is not known here", min(unknown)[:50])
    if form.files:
        if form.fields:
            raise _wrong_form("send a file, or type and source: not both", "file")
        return "file"
    kind = form.fields.get("type")
    if kind not in ("url", "text"):
        raise _wrong_form("send a file, or the type `url` or `text` and a source", "type")
    if not form.fields.get("source", "").strip():
        raise _wrong_form("send the URL or the text as `source`", "source")
    return kind


def _source_name(form: Form) -> str:
    kind = _kind_of(form)
    if kind == "file":
        name = tidy(PurePath(form.files["file"].name.replace("\\", "/")).name)
        if not name:
            raise _wrong_form("the file needs a name", "file")
        if len(name) > _MAX_NAME_CHARS:
            raise _wrong_form(f"a file's name may have {_MAX_NAME_CHARS} characters at most", "file")
        if _suffix(name) not in _FILE_TYPES:
            raise AppError(
                "file_type_not_supported",
                f"send a file whose name ends in {', '.join(_FILE_TYPES[:-1])} or {_FILE_TYPES[-1]}",
                ErrorKind.INVALID,
                param="file",
            )
        return name
    source = form.fields["source"].strip()
    if kind == "url":
        return source
    return tidy(source)[:_SHOWN_CHARS] or "(text)"


def _suffix(name: str) -> str:
    return PurePath(name.lower()).suffix


def _read_now(form: Form, file: SentFile | None) -> tuple[str, str | None]:
    """Return the text, and why there is none."""
    if file is None:
        return tidy(form.fields["source"]), None
    try:
        text = text_of_bytes(file.data)
        return text_of_html(text) if _suffix(file.name).startswith(".htm") else text, None
    except UnreadableError as error:
        return "", f"the file cannot be read: {error}"


def _wrong_form(message: str, param: str) -> AppError:
    return AppError("invalid_source", message, ErrorKind.INVALID, param=param)


async def _find(rows: Rows, org_id: str, base_id: str) -> KnowledgeBase:
    row = await fetch_owned(rows, KnowledgeBase, org_id, base_id)
    if row is None:
        raise _not_found(base_id)
    return row


def _not_found(base_id: str, *, param: str | None = None) -> AppError:
    kind = ErrorKind.NOT_FOUND if param is None else ErrorKind.INVALID
    return AppError("knowledge_base_not_found", f"there is no knowledge base {base_id[:80]!r}", kind, param=param)
