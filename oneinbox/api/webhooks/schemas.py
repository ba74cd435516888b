"""Webhooks on the wire."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from oneinbox.api.http.fields import Answer, Body, Name, absent

Event = Literal[
    "call.started",
    "call.ended",
    "call.failed",
    "call.recording.available",
    "transcript.partial",
    "transcript.final",
    "call.analyzed",
]
Status = Literal["active", "disabled"]
Url = Annotated[str, Field(min_length=1, max_length=2048)]


def _unrepeated(events: list[str]) -> list[str]:
    return list(dict.fromkeys(events))


Events = Annotated[list[Event], Field(min_length=1, max_length=20), AfterValidator(_unrepeated)]


class WebhookCreate(Body):
    """A new webhook."""

    name: Name = Field(examples=["CRM"])
    url: Url = Field(examples=["https://example.com/oneinbox"])
    events: Events = Field(examples=[["call.ended", "transcript.final"]])


class WebhookPatch(Body):
    """What to change. ``events`` replaces the whole list; ``status: active`` lets a disabled webhook go on."""

    name: Name = Field(default_factory=absent)
    url: Url = Field(default_factory=absent)
    events: Events = Field(default_factory=absent)
    status: Status = Field(default_factory=absent)


class WebhookAnswer(Answer):
    """A webhook, without its secret."""

    id: str = Field(examples=["wh_01jd2k"])
    name: str
    url: str
    events: list[Event]
    status: Status = Field(description="`disabled`: by you, or because the endpoint answered 410.")
    created_at: datetime
    updated_at: datetime


class WebhookWithSecret(WebhookAnswer):
    """A webhook with its signing secret, which is shown when it is made or changed."""

    secret: str = Field(description="Standard Webhooks: checks the signature of what arrives.", examples=["whsec_..."])


class CallSecretAnswer(Answer):
    """The secret that signs what goes to calls' own `webhook_url`."""

    secret: str = Field(examples=["whsec_..."])


class DeliveryAnswer(Answer):
    """One event's way to one endpoint: its latest attempt, and the next."""

    id: str = Field(examples=["whd_01jd2k"])
    webhook_id: str | None
    event: str = Field(examples=["call.ended"])
    event_id: str = Field(description="The same in every attempt: header `webhook-id`.")
    status: Literal["pending", "delivered", "failed"]
    attempt: int = Field(description="How many attempts were begun.")
    response_status: int | None
    response_body: str | None = Field(description="The first 2,000 bytes.")
    error: str | None
    next_retry_at: datetime | None
    completed_at: datetime | None
    created_at: datetime
