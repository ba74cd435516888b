"""What a live call can be told from outside, beside to end."""

import msgspec


class Say(msgspec.Struct, frozen=True, kw_only=True, tag="say"):
    """The agent says ``text`` as soon as nobody speaks."""

    text: str
    interruptible: bool = True
    """Whether the caller's voice stops it."""
    interrupt: bool = False
    """Whether the agent breaks off what it is saying, or about to say, for it."""


class AddContext(msgspec.Struct, frozen=True, kw_only=True, tag="context"):
    """Something has become known: the agent knows it from now on, and says nothing to it now."""

    text: str


class UserMessage(msgspec.Struct, frozen=True, kw_only=True, tag="message"):
    """The caller said this in writing: a turn of its own, which the agent answers."""

    text: str


Instruction = Say | AddContext | UserMessage
