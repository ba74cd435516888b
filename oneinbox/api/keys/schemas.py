"""Keys on the wire."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from oneinbox.api.http.fields import Answer, Body, Instant, Name, ShortText, Word, absent

Origins = Annotated[
    list[ShortText],
    Field(
        max_length=200,
        description=(
            "The pages that may use the key: scheme and host (and port), no path, no trailing slash. "
            "`https://*.example.com` admits every subdomain; `*` alone admits every page."
        ),
        examples=[["https://example.com", "http://localhost:3000"]],
    ),
]


Limit = Annotated[int | None, Field(ge=0, le=1_000_000)]
AgentIds = Annotated[
    list[Word], Field(max_length=200, description="The agents that the key may call; empty: every one.")
]
Scopes = Annotated[list[Word], Field(max_length=50, description="Kept; not used yet.")]
Expiry = Annotated[Instant | None, Field(strict=False, description="From then on the key is refused; null: never.")]


class KeyLimits(Body):
    """What a publishable key may use up; null: no limit. They hold exactly, whatever comes at once."""

    calls_per_minute: Limit = Field(default=None, description="Calls started in any 60 seconds.")
    calls_per_minute_per_ip: Limit = Field(default=None, description="The same, for each address (IPv6: each /64).")
    max_concurrent_calls: Limit = Field(default=None, description="Calls that have not ended.")
    daily_minutes: Limit = Field(
        default=None,
        description="Minutes of all calls of a day (UTC), those that run included. When they are used up, the running calls "
        "end within a second (`budget_exhausted`). A call that has not ended counts with one minute at least.",
    )


class PublishableKeyCreate(Body):
    """A new publishable key."""

    name: Name = Field(examples=["Homepage widget"])
    allowed_origins: Origins
    scopes: Scopes = Field(default_factory=list)
    allowed_agent_ids: AgentIds = Field(default_factory=list)
    limits: KeyLimits = Field(default_factory=KeyLimits)
    expires_at: Expiry = None


class PublishableKeyPatch(Body):
    """What to change. Lists replace the whole list, ``limits`` are merged; ``is_active: false`` pauses the key."""

    name: Name = Field(default_factory=absent)
    allowed_origins: Origins = Field(default_factory=absent)
    is_active: bool = Field(default_factory=absent)
    allowed_agent_ids: AgentIds = Field(default_factory=absent)
    limits: KeyLimits | None = None
    expires_at: Expiry = None


class PublishableKeyAnswer(Answer):
    """A publishable key, without the key itself."""

    id: str
    name: str
    key_prefix: str = Field(examples=["oi_pk_live_7Gq2"])
    last4: str
    is_active: bool
    allowed_origins: list[str]
    scopes: list[str]
    allowed_agent_ids: list[str]
    limits: KeyLimits
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")
    created_at: datetime
    updated_at: datetime

    @field_validator("allowed_agent_ids", "limits", mode="before")
    @classmethod
    def _nothing_stored(cls, value: Any, info: ValidationInfo) -> Any:
        """Keys made before there were limits have none."""
        if value is None:
            return [] if info.field_name == "allowed_agent_ids" else {}
        return value


class PublishableKeyCreated(PublishableKeyAnswer):
    """A new publishable key, with the key itself: this is the only time it is shown."""

    key: str


class ApiKeyCreate(Body):
    """A new secret key."""

    name: Name = Field(examples=["Backend"])
    scopes: Scopes = Field(default_factory=list)
    expires_at: Expiry = None


class ApiKeyPatch(Body):
    """What to change. ``is_active: false`` pauses the key."""

    name: Name = Field(default_factory=absent)
    is_active: bool = Field(default_factory=absent)
    expires_at: Expiry = None


class ApiKeyAnswer(Answer):
    """A secret key, without the key itself."""

    id: str
    name: str
    key_prefix: str = Field(examples=["oi_sk_live_7Gq2"])
    last4: str
    scopes: list[str]
    is_active: bool
    expires_at: datetime | None
    created_at: datetime
    last_used_at: datetime | None = Field(description="To the minute.")


class ApiKeyCreated(ApiKeyAnswer):
    """A new secret key, with the key itself: this is the only time it is shown."""

    api_key: str
