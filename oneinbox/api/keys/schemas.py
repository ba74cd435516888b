"""Keys on the wire."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from oneinbox.api.http.fields import Answer, Body, Name, ShortText, Word, absent

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


class PublishableKeyCreate(Body):
    """A new publishable key."""

    name: Name = Field(examples=["Homepage widget"])
    allowed_origins: Origins
    scopes: list[Word] = Field(default_factory=list, max_length=50, description="Kept; not used yet.")


class PublishableKeyPatch(Body):
    """What to change. ``allowed_origins`` replaces the whole list; ``is_active: false`` pauses the key."""

    name: Name = Field(default_factory=absent)
    allowed_origins: Origins = Field(default_factory=absent)
    is_active: bool = Field(default_factory=absent)


class PublishableKeyAnswer(Answer):
    """A publishable key, without the key itself."""

    id: str
    name: str
    key_prefix: str = Field(examples=["oi_pk_live_7Gq2"])
    last4: str
    is_active: bool
    allowed_origins: list[str]
    scopes: list[str]
    last_used_at: datetime | None = Field(description="To the minute.")
    created_at: datetime
    updated_at: datetime


class PublishableKeyCreated(PublishableKeyAnswer):
    """A new publishable key, with the key itself: this is the only time it is shown."""

    key: str
