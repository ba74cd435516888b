"""Knowledge bases on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from oneinbox.api.http.fields import Answer, Body, Name, absent

ChunkSize = Annotated[int, Field(ge=64, le=4096, description="Tokens.")]
SourceType = Literal["file", "url", "text"]
SourceStatus = Literal["processing", "ready", "error"]
JobStatus = Literal["queued", "running", "completed", "failed"]


class KnowledgeBaseCreate(Body):
    """A new knowledge base."""

    name: Name = Field(examples=["Opening hours and prices"])
    chunk_size: ChunkSize = 512
    multilingual: bool = False


class KnowledgeBasePatch(Body):
    """What to change."""

    name: Name = Field(default_factory=absent)
    chunk_size: ChunkSize = Field(default_factory=absent)
    multilingual: bool = Field(default_factory=absent)


class KnowledgeBaseAnswer(Answer):
    """A knowledge base."""

    id: str = Field(examples=["kb_01jd2k"])
    name: str
    chunk_size: int
    multilingual: bool
    created_at: datetime
    updated_at: datetime


class SourceAnswer(Answer):
    """Something a knowledge base was made from."""

    id: str = Field(examples=["kbs_01jd2k"])
    knowledge_base_id: str
    type: SourceType
    source: str = Field(description="The URL, the file's name, or the beginning of the text.")
    status: SourceStatus
    error_message: str | None
    chunk_count: int
    token_count: int = Field(description="An estimate: a token is four bytes of UTF-8.")
    file_name: str | None
    mime_type: str | None
    file_size: int | None
    created_at: datetime


class JobBrief(Answer):
    """A job that has just been taken."""

    id: str = Field(examples=["kbj_01jd2k"])
    status: JobStatus


class SourceAdded(Answer):
    """A source was taken; the job tells when it has been read."""

    job: JobBrief


class SourceAddedWithBase(Answer):
    """A knowledge base was made for the source."""

    knowledge_base_id: str
    source: SourceAnswer
    job: JobBrief
    message: str


class JobAnswer(Answer):
    """The reading of one source."""

    id: str
    knowledge_base_id: str
    knowledge_base_source_id: str
    type: Literal["ingest_source"]
    status: JobStatus
    payload: dict[str, Any] = Field(examples=[{"chunks": 3, "tokens": 1200, "vector_indexed": False}])
    error_message: str | None
    started_at: datetime | None
    completed_at: datetime | None
    created_at: datetime
