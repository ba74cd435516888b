"""``CallEvent``: everything that happened in a call, sent up from the live half, in order.

Times named ``at_s`` are seconds since the call became active (the start of two-way audio), so that a transcript can
be laid beside a recording. Events before that moment carry none.
"""

from enum import StrEnum
from typing import Any

import msgspec


class CallStatus(StrEnum):
    """Where a call stands. ``completed`` and ``failed`` are final."""

    QUEUED = "queued"
    INITIATED = "initiated"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """Whether a call of this status can no longer change."""
        return self in (CallStatus.COMPLETED, CallStatus.FAILED)


class EndOwner(StrEnum):
    """Whose doing an end was: who should read about it first."""

    CALLER = "caller"
    ACCOUNT = "account"
    OPERATOR = "operator"


class EndReason(StrEnum):
    """Why a call ended."""

    USER_HANGUP = "user_hangup"  # the participant left and said so
    USER_DISCONNECTED = "user_disconnected"  # the participant's connection was lost for good
    USER_NEVER_JOINED = "user_never_joined"  # nobody used the token in time
    END_CALL_PHRASE = "end_call_phrase"
    SILENCE_TIMEOUT = "silence_timeout"
    AGENT_HANGUP = "agent_hangup"  # the agent ended the call itself
    API_STOP = "api_stop"
    MAX_DURATION = "max_duration"
    BUDGET_EXHAUSTED = "budget_exhausted"  # the publishable key's minutes of the day were used up
    STT_FAILED = "stt_failed"
    LLM_FAILED = "llm_failed"
    TTS_FAILED = "tts_failed"
    MEDIA_FAILED = "media_failed"  # joined, but no media path could be made
    WORKER_LOST = "worker_lost"
    SERVER_LOST = "server_lost"  # the whole server died; found by another, or at its next start
    SERVER_SHUTDOWN = "server_shutdown"
    INTERNAL_ERROR = "internal_error"

    @property
    def owner(self) -> EndOwner:
        """Whose doing this end was."""
        if self in _CALLER:
            return EndOwner.CALLER
        return EndOwner.ACCOUNT if self in _ACCOUNT else EndOwner.OPERATOR

    @property
    def status(self) -> CallStatus:
        """The final status that a call with this end has."""
        return CallStatus.FAILED if self in _FAILED else CallStatus.COMPLETED


_CALLER = {
    EndReason.USER_HANGUP,
    EndReason.USER_DISCONNECTED,
    EndReason.USER_NEVER_JOINED,
    EndReason.END_CALL_PHRASE,
    EndReason.SILENCE_TIMEOUT,
}
_ACCOUNT = {
    EndReason.AGENT_HANGUP,
    EndReason.API_STOP,
    EndReason.MAX_DURATION,
    EndReason.BUDGET_EXHAUSTED,
    EndReason.STT_FAILED,
    EndReason.LLM_FAILED,
    EndReason.TTS_FAILED,
}
_FAILED = {
    EndReason.USER_NEVER_JOINED,
    EndReason.STT_FAILED,
    EndReason.LLM_FAILED,
    EndReason.TTS_FAILED,
    EndReason.MEDIA_FAILED,
    EndReason.WORKER_LOST,
    EndReason.SERVER_LOST,
    EndReason.SERVER_SHUTDOWN,
    EndReason.INTERNAL_ERROR,
}


class CallEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Something that happened in the call ``call_id``."""

    call_id: str


class CallPrepared(CallEvent, frozen=True, kw_only=True, tag="prepared"):
    """A worker holds the call and is ready for the participant: the call is ``initiated``."""

    worker_id: str
    setup_ms: float


class ParticipantJoined(CallEvent, frozen=True, kw_only=True, tag="joined"):
    """The participant's token was used; media is being set up."""

    wait_ms: float
    """From prepared to joined."""


class CallActive(CallEvent, frozen=True, kw_only=True, tag="active"):
    """Two-way audio stands: the call is ``in_progress``.

    Its clock started when the media path was up and the microphone published, which its first sound has now proved.
    """

    answer_ms: float
    """From joined to the clock's start."""
    since_ms: float = 0.0
    """From the clock's start to now."""


class GreetingStarted(CallEvent, frozen=True, kw_only=True, tag="greeting"):
    """The first sample of the agent's first message went out."""

    delay_ms: float
    """From the clock's start to that sample."""


class Role(StrEnum):
    """Whose words a message holds."""

    AGENT = "agent"
    USER = "user"


class MessageAdded(CallEvent, frozen=True, kw_only=True, tag="message"):
    """One side's turn is over: what was said, and when. An agent's ``content`` is only what was really played."""

    message_id: str
    role: Role
    content: str
    turn: int
    """Counts from 0; the user's turn and the reply to it have the same number, the greeting has 0."""
    start_s: float
    end_s: float
    interrupted: bool = False
    """The caller spoke over the agent, which stopped."""
    confidence: float | None = None
    typed: bool = False
    """The user typed or clicked this instead of speaking it."""


class MessageAmended(CallEvent, frozen=True, kw_only=True, tag="message_amended"):
    """The caller's words were understood better after their turn had been recorded without the final transcript."""

    message: MessageAdded
    """As it is to stand from now on, whole and under the same id."""


class LatencyMeasured(CallEvent, frozen=True, kw_only=True, tag="latency"):
    """One part of a turn's latency in milliseconds.

    ``part``: ``eou_delay`` (last speech to the decision that the turn ended), ``stt`` (last speech to the final
    transcript), ``llm_ttft`` (request to first token), ``tts_ttfb`` (text to first audio), ``perceived`` (last
    speech to first sample of the reply put on the wire), ``tool:<name>`` (a tool's running time).
    """

    part: str
    turn: int
    ms: float


class ToolCalled(CallEvent, frozen=True, kw_only=True, tag="tool"):
    """The agent uses a tool. Told as it begins, and again, under the same id, once ``result`` is there."""

    tool_call_id: str
    """Of its own within the call."""
    name: str
    arguments: str
    """JSON text, as the language model gave it."""
    result: str | None
    """What the language model is told that came of it; ``None`` while it runs."""
    is_error: bool = False
    turn: int
    start_s: float
    duration_ms: float | None = None


class InformationExtracted(CallEvent, frozen=True, kw_only=True, tag="extracted"):
    """The agent noted down what it has learnt; later values of a field replace earlier ones."""

    name: str
    """Of the tool that asked for it."""
    values: dict[str, Any]


class ProviderFailed(CallEvent, frozen=True, kw_only=True, tag="provider_failed"):
    """A provider failed; the call may go on."""

    provider: str
    stage: str
    kind: str
    detail: str


class LineQuality(msgspec.Struct, frozen=True, kw_only=True):
    """How good a call's connection has been, over the whole call so far.

    The caller's stream is measured as it arrives; what the caller's side heard of the agent, as its reports tell.
    ``None``: not known (yet). Shares are 0-1.
    """

    transport: str | None
    """``udp`` or ``tcp``: the path in use, or used last."""
    packets_received: int
    packets_sent: int
    loss: float
    """Of the caller's packets, those that never came."""
    late_packets: int
    """Those that came too late to be heard."""
    concealed_ms: float
    """Sound that was invented, or left silent, in place of what was missing."""
    recovered_ms: float
    """Sound that was restored from redundancy."""
    jitter_ms_p50: float | None
    jitter_ms_p95: float | None
    round_trip_ms_p50: float | None
    round_trip_ms_p95: float | None
    agent_loss: float | None
    """Of the agent's packets, those that the caller's side reports lost."""
    agent_jitter_ms: float | None
    ice_ms: float | None
    """From the participant's joining to the first path that was checked."""
    dtls_ms: float | None
    """From there to the keys of the sound."""
    resumes: int
    """The signalling broke and came back; the sound went on."""
    rejoins: int
    """A new connection into the same call, after a reload, say."""
    path_changes: int
    """The client moved to another address, or another way to us."""
    tick_late_ms_p95: float | None
    """How late the agent's frames of 20 ms were made."""
    ticks_skipped: int
    """Frames of the agent's that were never made, because the worker stood still."""


class QualityMeasured(CallEvent, frozen=True, kw_only=True, tag="quality"):
    """How good the connection has been so far: each such event replaces the one before."""

    quality: LineQuality


class RecordingStarted(CallEvent, frozen=True, kw_only=True, tag="recording_started"):
    """From the call's first moment on its sound is written to a file on the worker's machine."""

    name: str
    """The file's path below the directory of recordings."""


class RecordingFinished(CallEvent, frozen=True, kw_only=True, tag="recording_finished"):
    """The file is closed. Where ``error`` is there, it holds no more than was written before."""

    name: str
    duration_s: float
    size_bytes: int
    error: str | None = None


class MicrophoneSilent(CallEvent, frozen=True, kw_only=True, tag="microphone_silent"):
    """The caller's microphone delivers nothing but zeros; or, ``silent`` being false, something came of it after all."""

    silent: bool
    at_s: float


class CallEnded(CallEvent, frozen=True, kw_only=True, tag="ended"):
    """The last event of a call."""

    reason: EndReason
    duration_s: float
    """Seconds of two-way audio; 0 where it never stood."""
    worker_load1: float | None = None
    worker_mem_pct: float | None = None


AnyCallEvent = (
    CallPrepared
    | ParticipantJoined
    | CallActive
    | GreetingStarted
    | MessageAdded
    | MessageAmended
    | LatencyMeasured
    | ToolCalled
    | InformationExtracted
    | ProviderFailed
    | QualityMeasured
    | RecordingStarted
    | RecordingFinished
    | MicrophoneSilent
    | CallEnded
)
