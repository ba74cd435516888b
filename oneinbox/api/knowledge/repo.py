"""Queries over knowledge bases, their sources and jobs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, or_, select, update

from oneinbox.api.db.database import Rows
from oneinbox.api.db.tables import KnowledgeBase, KnowledgeFile, KnowledgeJob, KnowledgeSource, LanguageModel


async def sources_of(rows: Rows, org_id: str, base_id: str) -> Sequence[KnowledgeSource]:
    """Return the base's sources, newest first, without their content."""
    query = (
        select(KnowledgeSource)
        .where(KnowledgeSource.org_id == org_id, KnowledgeSource.knowledge_base_id == base_id)
        .order_by(KnowledgeSource.created_at.desc(), KnowledgeSource.id.desc())
    )
    return (await rows.execute(query)).scalars().all()


async def jobs_of(rows: Rows, org_id: str, base_id: str, limit: int) -> Sequence[KnowledgeJob]:
    """Return the base's newest jobs."""
    query = (
        select(KnowledgeJob)
        .where(KnowledgeJob.org_id == org_id, KnowledgeJob.knowledge_base_id == base_id)
        .order_by(KnowledgeJob.created_at.desc(), KnowledgeJob.id.desc())
        .limit(limit)
    )
    return (await rows.execute(query)).scalars().all()


async def models_knowing(rows: Rows, org_id: str, base_id: str, limit: int) -> list[str]:
    """Return ids of models that have the base."""
    query = select(LanguageModel.id, LanguageModel.knowledge_base_ids).where(LanguageModel.org_id == org_id)
    return [row[0] for row in (await rows.execute(query)).all() if base_id in row[1]][:limit]


@dataclass(frozen=True)
class ReadySource:
    """A source whose text is there."""

    id: str
    name: str
    tokens: int
    chunk_size: int


async def ready_sources(rows: Rows, org_id: str, base_ids: Sequence[str]) -> list[ReadySource]:
    """Return every source of these bases that was read, oldest first."""
    query = (
        select(KnowledgeSource.id, KnowledgeSource.source, KnowledgeSource.token_count, KnowledgeBase.chunk_size)
        .join(KnowledgeBase, KnowledgeBase.id == KnowledgeSource.knowledge_base_id)
        .where(
            KnowledgeSource.org_id == org_id,
            KnowledgeSource.knowledge_base_id.in_(base_ids),
            KnowledgeSource.status == "ready",
        )
        .order_by(KnowledgeSource.created_at, KnowledgeSource.id)
    )
    return [ReadySource(*row) for row in (await rows.execute(query)).all()]


async def contents(rows: Rows, org_id: str, source_ids: Sequence[str]) -> dict[str, str]:
    """Return what these sources say."""
    query = select(KnowledgeSource.id, KnowledgeSource.content).where(
        KnowledgeSource.org_id == org_id, KnowledgeSource.id.in_(source_ids)
    )
    return {row[0]: row[1] or "" for row in (await rows.execute(query)).all()}


async def drop_file(rows: Rows, source_id: str) -> None:
    """Delete a source's file as it was sent, where there is one."""
    await rows.execute(delete(KnowledgeFile).where(KnowledgeFile.source_id == source_id))


async def waiting_job(rows: Rows, lost_before: datetime) -> KnowledgeJob | None:
    """Return the oldest job that nobody works on; one begun before ``lost_before`` died with its process."""
    query = select(KnowledgeJob).where(_waiting(lost_before)).order_by(KnowledgeJob.created_at).limit(1)
    return (await rows.execute(query)).scalar_one_or_none()


async def claim_job(rows: Rows, now: datetime, lost_before: datetime) -> KnowledgeJob | None:
    """Take that job; ``None`` where another process was quicker."""
    job = await waiting_job(rows, lost_before)
    if job is None:
        return None
    taken = await rows.execute(
        update(KnowledgeJob)
        .where(KnowledgeJob.id == job.id, _waiting(lost_before))
        .values(status="running", started_at=now)
        .execution_options(synchronize_session=False)
    )
    return job if cast("CursorResult[Any]", taken).rowcount == 1 else None


def _waiting(lost_before: datetime) -> ColumnElement[bool]:
    return or_(
        KnowledgeJob.status == "queued",
        (KnowledgeJob.status == "running") & (KnowledgeJob.started_at < lost_before),
    )
