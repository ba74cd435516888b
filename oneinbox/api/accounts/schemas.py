"""Accounts on the wire."""

from pydantic import Field

from oneinbox.api.http.fields import Answer, Body, Word


class SignInLinkRequest(Body):
    """The token of a one-use sign-in link."""

    token: Word


class SessionAnswer(Answer):
    """A session. Browsers have it as a cookie too, which scripts cannot read."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name
    expires_in_minutes: int


class OrganisationAnswer(Answer):
    """Who owns what the user sees."""

    id: str
    name: str


class MeAnswer(Answer):
    """Who is signed in."""

    id: str
    email: str
    name: str | None
    role: str = Field(examples=["owner"])
    organization: OrganisationAnswer
