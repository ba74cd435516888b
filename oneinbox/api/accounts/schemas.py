"""Accounts on the wire."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from oneinbox.api.http.fields import Answer, Body, Name, ShortText, Word, absent

_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]+\.[^@\s.\x00-\x1f\x7f]+")


class SignInLinkRequest(Body):
    """The token of a one-use sign-in link."""

    token: Word


def _an_email(text: str) -> str:
    """Whether mail arrives is seen when it is sent; this finds what can be none."""
    if not _EMAIL.fullmatch(text.strip()):
        raise PydanticCustomError("no_email", "this is no e-mail address")
    return text


Email = Annotated[str, Field(max_length=254, examples=["ann@example.com"]), AfterValidator(_an_email)]
Password = Annotated[str, Field(min_length=8, max_length=1_000)]


class SignUpRequest(Body):
    """A new account, with an organisation of its own."""

    email: Email
    password: Password
    name: Name | None = None
    organization_name: Name | None = None


class SignInRequest(Body):
    """An e-mail and its password."""

    email: Annotated[ShortText, Field(max_length=254)]
    password: Annotated[str, Field(max_length=1_000)]


class SessionAnswer(Answer):
    """A session. Browsers have it as a cookie too, which scripts cannot read."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name
    expires_in_minutes: int


class OrganisationAnswer(Answer):
    """Who owns what the user sees."""

    id: str
    name: str


class OrganisationPatch(Body):
    """What to change."""

    name: Name = Field(default_factory=absent)


class MeAnswer(Answer):
    """Who is signed in."""

    id: str
    email: str
    name: str | None
    role: str = Field(examples=["owner"])
    organization: OrganisationAnswer
