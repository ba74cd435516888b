"""The organisation's own call outcomes on the wire."""

import re
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from oneinbox.api.http.fields import Answer, Body, ShortText, absent

_NOT_A_WORD = re.compile(r"[^a-z0-9]+")
_MAX_NAME = 40


def _visible(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise PydanticCustomError("blank", "a label is a line of visible text")
    return text.strip()


Label = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_visible)]
OutcomeName = Annotated[str, Field(max_length=_MAX_NAME, pattern=r"^[a-z][a-z0-9_]*$")]
Description = Annotated[ShortText, Field(max_length=500)]


class OutcomeCreate(Body):
    """A new outcome."""

    label: Label = Field(examples=["Wants a callback"])
    name: OutcomeName | None = Field(
        default=None, description="How programs name it; left out: made from the label.", examples=["wants_a_callback"]
    )
    description: Description | None = Field(default=None, description="When a call turned out so.")
    is_active: bool = True


class OutcomePatch(Body):
    """What to change. The ``name`` stays: calls have it."""

    label: Label = Field(default_factory=absent)
    description: Description | None = Field(default_factory=absent)
    is_active: bool = Field(
        default_factory=absent, description="False: new calls do not get it; calls that have it keep it."
    )


class OutcomeAnswer(Answer):
    """An outcome."""

    id: str = Field(examples=["cou_01jd2k"])
    name: str
    label: str
    description: str | None
    is_active: bool
    created_at: datetime
    updated_at: datetime


def name_of(label: str) -> str:
    """Return the name that a label gives: ``Wants a callback`` is ``wants_a_callback``; empty where it gives none."""
    word = _NOT_A_WORD.sub("_", label.lower()).strip("_")
    return word.lstrip("0123456789_")[:_MAX_NAME].rstrip("_")
