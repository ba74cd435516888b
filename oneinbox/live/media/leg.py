"""A leg: one participant's media connection, whatever the transport. The port that every transport fulfils."""

from enum import IntEnum
from typing import Protocol, runtime_checkable

from oneinbox.core.events import LineQuality
from oneinbox.live.audio.tape import Tape
from oneinbox.live.engine.ports import Page, Playout


class LegListener(Protocol):
    """Whoever runs the call. All methods are called on the worker's event loop, never block and never raise."""

    def on_joined(self) -> None:
        """The participant's token was used; media is being set up. Called once."""
        ...

    def on_active(self) -> None:
        """Two-way audio stands: the media path is up and the participant's microphone has been heard. Once."""
        ...

    def on_audio(self, pcm: bytes) -> None:
        """One 20 ms frame of the participant's 16 kHz audio, in order; gaps are concealed or filled with silence."""
        ...

    def on_text(self, text: str) -> None:
        """The participant typed (or clicked) something: a text stream of topic ``lk.chat``."""
        ...

    def on_left(self, *, said_goodbye: bool) -> None:
        """The participant is gone for good: it left (True), or its connection was lost (False). Called once."""
        ...


@runtime_checkable
class DigitListener(Protocol):
    """A listener may also be this: then it is told of keys that the participant dials."""

    def on_digit(self, digit: str) -> None:
        """One of ``0123456789*#ABCD`` was dialled: a data packet of LiveKit's ``SipDTMF``."""
        ...


@runtime_checkable
class ConnectionListener(Protocol):
    """A listener may also be this: then it is told a moment before ``on_active`` that the participant can hear."""

    def on_connected(self) -> None:
        """The media path is up and the microphone is published, but nothing came of it yet. Once.

        What is written to the playout is heard from now on.
        """
        ...


class RpcCode(IntEnum):
    """LiveKit's codes for calls that failed; applications have the numbers below 1001 and above 1999."""

    UNSUPPORTED_METHOD = 1400
    RECIPIENT_NOT_FOUND = 1401
    REQUEST_PAYLOAD_TOO_LARGE = 1402
    UNSUPPORTED_SERVER = 1403
    UNSUPPORTED_VERSION = 1404
    APPLICATION_ERROR = 1500
    CONNECTION_TIMEOUT = 1501
    RESPONSE_TIMEOUT = 1502
    RECIPIENT_DISCONNECTED = 1503
    RESPONSE_PAYLOAD_TOO_LARGE = 1504
    SEND_FAILED = 1505


class RpcError(Exception):
    """A call of a method at the other side failed, or is to fail: ``code`` is one of :class:`RpcCode`, or the method's own."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.data = data

    @classmethod
    def unsupported(cls) -> "RpcError":
        """Return what tells a caller that there is no such method here."""
        return cls(RpcCode.UNSUPPORTED_METHOD, "Method not supported at destination")


@runtime_checkable
class RpcListener(Protocol):
    """A listener may also be this: then methods of the agent's can be called by the page."""

    async def on_rpc(self, method: str, payload: str) -> str:
        """Carry out a call and return its answer, 15 KiB at most. Cancelled when its time is up, or the leg is closed.

        Its time is what the page asks for, at most 60 s; 15 s where it does not say.

        Raises :class:`RpcError`; for a method that there is not, :meth:`RpcError.unsupported`.
        """
        ...


@runtime_checkable
class AbsenceListener(Protocol):
    """A listener may also be this: then it is told when an active participant is away for a while."""

    def on_away(self) -> None:
        """The participant can neither hear nor be heard: its page is being reloaded, or its network is gone.

        What is written to the playout waits until it is back.
        """
        ...

    def on_back(self) -> None:
        """It is there again."""
        ...


@runtime_checkable
class MicrophoneListener(Protocol):
    """A listener may also be this: then it is told of a microphone that delivers nothing but zeros."""

    def on_microphone(self, *, silent: bool) -> None:
        """The microphone seems dead since 3 s (True), or after that something came of it (False)."""
        ...


class MediaLeg(Page, Protocol):
    """One participant's media connection, as the call sees it. It exists before the participant joins."""

    @property
    def playout(self) -> Playout:
        """The agent's mouth on this leg. What is written before the participant can hear it waits until then."""
        ...

    def quality(self) -> LineQuality | None:
        """Return how good the connection has been so far; ``None`` where nobody ever joined."""
        ...

    async def perform_rpc(self, method: str, payload: str, timeout_s: float = 15.0) -> str:
        """Call a method that the participant's page registered; return its answer, or raise :class:`RpcError`.

        ``payload`` and the answer are text of 15 KiB at most, JSON by custom.
        """
        ...

    def record(self, tape: Tape) -> None:
        """Have both sides' sound recorded; called in ``on_active``. What the agent said since ``on_connected`` is in it."""
        ...

    async def aclose(self) -> None:
        """Tell the participant that the call is over (LiveKit: leave, room deleted) and free everything."""
        ...
