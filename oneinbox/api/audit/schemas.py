"""The audit log on the wire."""

from datetime import datetime

from pydantic import Field

from oneinbox.api.http.fields import Answer


class AuditEventAnswer(Answer):
    """One change: what, by whom, from where."""

    id: str
    org_id: str
    user_id: str | None = Field(description="The signed-in person; null for a key, and for the command line.")
    api_key_id: str | None = Field(description="The secret or publishable key.")
    action: str = Field(examples=["agent.created"])
    resource_type: str = Field(examples=["agent"])
    resource_id: str | None
    request_id: str | None = Field(description="The X-Request-Id of the request that made the change.")
    ip: str | None
    user_agent: str | None
    payload_hash: str | None = Field(description="A keyed SHA-256 of the request's body: equal bodies, equal hashes.")
    created_at: datetime


class AuditEventList(Answer):
    """Events, newest first. ``next_cursor`` leads to the ones before; null at the end."""

    items: list[AuditEventAnswer]
    next_cursor: str | None
    has_more: bool
    limit: int
