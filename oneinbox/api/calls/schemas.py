"""Calls on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from oneinbox.api.agents.schemas import ServingProviders
from oneinbox.api.http.fields import Answer, Body, JsonObject, Pace, Ratio, Text, Variables, Word, absent
from oneinbox.api.models.schemas import Temperature

Status = Literal["queued", "initiated", "in_progress", "completed", "failed"]
CallType = Literal["web", "outbound", "inbound"]
CallDirection = Literal["inbound", "outbound"]

OutcomeWord = Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z][A-Za-z0-9]*(?:[ _-][A-Za-z0-9]+)*$")]
WebhookUrl = Annotated[str, Field(min_length=1, max_length=2048)]

_VARIABLES = "Fill `{{name}}` in the prompt and the first message."
_METADATA = "Kept on the call's record, and given back with it. The entry `concurrency_at_dispatch` is the platform's."


# ---- starting -------------------------------------------------------------------------------------------------------


class LlmOverrides(Body):
    """What differs from the agent's model in this call. Null: nothing."""

    provider: Word | None = None
    model: Word | None = None
    temperature: Temperature | None = None
    system_prompt: Text | None = None


class TranscriberOverrides(Body):
    """What differs from the agent's transcriber in this call. Null: nothing."""

    provider: Word | None = None
    model: Word | None = None
    language: Word | None = None


class TtsOverrides(Body):
    """What differs from the agent's voice in this call. Null: nothing."""

    provider: Word | None = None
    voice_id: Word | None = None
    model: Word | None = None
    speed: Pace | None = None
    stability: Ratio | None = None


class CallOverrides(Body):
    """Laid over the agent's stored configuration for this call only. Null: nothing."""

    llm: LlmOverrides | None = None
    transcriber: TranscriberOverrides | None = None
    tts: TtsOverrides | None = None
    first_message: Text | None = Field(default=None, description="Empty: the caller begins.")


class WebCallTokenRequest(Body):
    """A web call, asked for by a web page.

    With a publishable key `variables` are the visitor's own words: up to 50 of 1,000 characters, which reach the model as
    data and not as instructions, and `metadata` has up to 16,384 characters.
    """

    agent_id: Word = Field(description="The agent to talk with (`agt_...`).", examples=["agt_01jd2k"])
    variables: Variables | None = Field(default=None, description=_VARIABLES, examples=[{"customer_name": "Suman"}])
    metadata: JsonObject | None = Field(default=None, description=_METADATA, examples=[{"source": "homepage_widget"}])


class WebCallRequest(WebCallTokenRequest):
    """A web call, asked for by a server."""

    overrides: CallOverrides | None = None
    webhook_url: WebhookUrl | None = Field(
        default=None,
        description="Told of everything that happens in this call, in addition to the webhooks that are set up. Signed "
        "with the secret of `GET /v1/webhooks/call-secret`.",
    )


class CallPatch(Body):
    """What to change of a call's record. Null takes the outcome off."""

    outcome: OutcomeWord | None = Field(
        default_factory=absent, description="Such as `not_interested`; kept as `Not Interested`."
    )


CallText = Annotated[Text, Field(min_length=1, max_length=5_000, pattern=r"\S")]


class SayRequest(Body):
    """What the agent is to say."""

    text: CallText = Field(examples=["Your driver has just arrived."])
    interruptible: bool = Field(default=True, description="Whether the caller's voice stops it.")
    interrupt: bool = Field(
        default=False, description="Whether the agent breaks off its own words for it. False: when nobody speaks."
    )


class ContextRequest(Body):
    """What has become known."""

    text: CallText = Field(examples=["The customer has just paid the open invoice."])


class MessageRequest(Body):
    """What the caller says in writing."""

    text: CallText = Field(examples=["My order number is 4711."])


class ToldAnswer(Answer):
    """The call was told."""

    call_id: str
    status: Literal["accepted"]


class WebCallAnswer(Answer):
    """A web call that waits for its participant, and what a browser needs to join it."""

    id: str = Field(examples=["call_abc123"])
    agent_id: str = Field(examples=["agt_01jd2k"])
    type: CallType = Field(examples=["web"])
    status: Status = Field(examples=["queued"])
    room_name: str = Field(examples=["web-2006ff52"])
    server_url: str = Field(
        description="WebSocket address that the Web SDK connects to.", examples=["wss://voice.oneinbox.ai"]
    )
    participant_token: str = Field(
        description="Lets one participant join this call, once, within two minutes.",
        examples=["eyJhbGciOiJIUzI1NiJ9..."],
    )
    created_at: datetime = Field(examples=["2023-11-07T05:31:56Z"])


# ---- the record -----------------------------------------------------------------------------------------------------


class CallMessageAnswer(Answer):
    """One side's turn. An agent's ``content`` is what was really heard of it."""

    id: str = Field(
        description="The same in webhooks and, as `segmentId`, in the Web SDK; what an agent says after a tool has its own.",
        examples=["msg_01jd2k"],
    )
    role: Literal["agent", "user"]
    content: str
    start_s: float = Field(description="Seconds since the call became active.")
    end_s: float
    turn: int
    interrupted: bool = Field(description="The caller spoke over the agent, which stopped.")
    typed: bool
    confidence: float | None


class ToolCallAnswer(Answer):
    """The agent uses a tool."""

    role: Literal["tool_call"]
    name: str
    arguments: str = Field(description="JSON text, as the language model gave it.", examples=['{"order": 7}'])
    tool_call_id: str
    turn: int
    start_s: float = Field(description="Seconds since the call became active.")


class ToolResultAnswer(Answer):
    """What came of it: what the language model was told."""

    role: Literal["tool_result"]
    tool_call_id: str
    content: str
    is_error: bool
    turn: int
    start_s: float
    duration_ms: float | None = Field(description="How long the tool ran.")


class AnalysisAnswer(Answer):
    """What is known of a call beside its words. Null: nobody has found out (yet)."""

    outcome: str | None
    summary: str | None
    sentiment: str | None
    extracted_data: dict[str, Any] = Field(
        description="What `extract_information` tools noted, by the tool's name.",
        examples=[{"capture_lead_info": {"budget": 1200}}],
    )


class LatencySummary(Answer):
    """One part of the latency over the whole call, in milliseconds."""

    avg_ms: float
    p50_ms: float
    min_ms: float
    max_ms: float
    samples: int


class LatencyEvent(Answer):
    """One part of one turn's latency."""

    type: str = Field(examples=["llm_ttft"])
    turn: int
    ms: float


class TurnLatency(Answer):
    """All parts of one turn's latency side by side, in milliseconds; null where one was not measured."""

    turn: int
    eou_delay: float | None
    stt: float | None
    llm_ttft: float | None
    tts_ttfb: float | None
    perceived: float | None = Field(description="Last speech to the first sound of the reply: what the caller felt.")


class ConnectLatency(Answer):
    """How long it took until the first word, in milliseconds; null where it was not reached."""

    setup_ms: float | None = Field(description="Dead air before the greeting: from joining to its first sound.")
    dispatch_to_answer_ms: float | None = Field(description="From the call's making to the participant's joining.")
    answer_to_active_ms: float | None = Field(
        description="From joining to the media path, with the microphone published."
    )
    active_to_greeting_ms: float | None = Field(description="From there to the greeting's first sound.")
    prepare_ms: float | None = Field(description="How long the worker needed to be ready for the participant.")


class PerceivedLatency(Answer):
    """What the caller felt: last speech to the first sound of the reply."""

    avg_ms: float
    p50_ms: float
    turns: int


class CallWorker(Answer):
    """The worker that ran the call, and how loaded its machine was at the end."""

    worker_id: str
    load1: float | None
    mem_pct: float | None


class CallLatencyAnswer(Answer):
    """Where the time went. A part without samples is null.

    ``events`` holds the parts that follow one another (their sum is the turn's latency); ``stt`` and ``perceived``
    overlap with them and stand in ``turns``.
    """

    llm_ttft: LatencySummary | None
    tts_ttfb: LatencySummary | None
    eou_delay: LatencySummary | None
    stt: LatencySummary | None
    events: list[LatencyEvent]
    turns: list[TurnLatency]
    connect: ConnectLatency
    perceived: PerceivedLatency | None
    providers: ServingProviders
    worker: CallWorker | None


class ProviderFailure(Answer):
    """A provider's failure in the call, whether the call went on or not."""

    provider: str
    stage: str
    kind: str
    detail: str
    at: datetime


class CallQuality(Answer):
    """How good the connection was, over the whole call so far. Shares are 0-1; null: not known."""

    transport: Literal["udp", "tcp"] | None = Field(description="What the sound went by, at last.")
    packets_received: int = Field(description="Of the caller's sound.")
    packets_sent: int = Field(description="Of the agent's sound.")
    loss: float = Field(description="Share of the caller's packets that never came.")
    late_packets: int = Field(description="The caller's packets that came too late to be heard.")
    concealed_ms: float = Field(description="Sound that was invented, or left silent, for what was missing.")
    recovered_ms: float = Field(description="Missing sound that was restored from redundancy.")
    jitter_ms_p50: float | None
    jitter_ms_p95: float | None
    round_trip_ms_p50: float | None
    round_trip_ms_p95: float | None
    agent_loss: float | None = Field(description="Share of the agent's packets that the caller's side reports lost.")
    agent_jitter_ms: float | None = Field(description="As the caller's side reports.")
    ice_ms: float | None = Field(description="From joining to the first path that was checked.")
    dtls_ms: float | None = Field(description="From there to the keys of the sound.")
    resumes: int = Field(description="How often the signalling broke and came back while the sound went on.")
    rejoins: int = Field(description="How often the caller came back with a new connection, after a reload, say.")
    path_changes: int = Field(description="How often the caller went over to another address or transport.")
    tick_late_ms_p95: float | None = Field(description="95 % of the agent's 20 ms frames were made at most this late.")
    ticks_skipped: int = Field(description="The agent's frames that were never made: the worker stood still.")


class CallRecording(Answer):
    """What became of the call's recording."""

    status: Literal["recording", "written", "cut", "available", "failed", "deleting"] = Field(
        description="`written` and `cut` are on their way to `available` (`cut`: it broke off and is being mended)."
    )
    duration_s: float | None
    size_bytes: int | None
    error: str | None = Field(description="Why it is not, or not wholly, there.")


class CallAnswer(Answer):
    """A call's record. Every field is always there; null: not known (yet)."""

    id: str
    agent_id: str
    type: CallType
    status: Status
    from_number: str | None
    to_number: str | None
    room_name: str
    direction: CallDirection | None
    scheduled_at: datetime | None
    variables: dict[str, Any]
    started_at: datetime | None
    ended_at: datetime | None
    duration_seconds: float | None = Field(description="Seconds of two-way audio.")
    end_reason: str | None = Field(examples=["user_hangup"])
    end_owner: Literal["caller", "account", "operator"] | None = Field(description="Whose doing the end was.")
    transcript: str | None = Field(deprecated=True, description="Use `messages`.")
    messages: list[CallMessageAnswer | ToolCallAnswer | ToolResultAnswer]
    recording_url: str | None = Field(
        description="The sound of the call (Ogg Opus, caller left, agent right), at an address that holds for four "
        "hours; fetch the call again for a fresh one. Only with the agent's `enable_recording`, after the end."
    )
    recording: CallRecording | None = Field(description="Null: it is not recorded.")
    microphone_silent_at_s: float | None = Field(
        description="When it was clear, in seconds since the call became active, that the caller's microphone delivered "
        "nothing but zeros. Null: it did not, or something came of it later."
    )
    analysis: AnalysisAnswer | None
    latency: CallLatencyAnswer
    quality: CallQuality | None
    provider_failures: list[ProviderFailure]
    cost_cents: float | None
    metadata: dict[str, Any] = Field(
        description="What the call was made with, and `concurrency_at_dispatch`: how many calls of the organisation had "
        "not ended when a worker took this one, itself included."
    )
    twilio_call_sid: str | None
    outcome: str | None
    ai_summary: str | None
    credits_used: float | None = Field(description="Active minutes.")
    created_at: datetime
    updated_at: datetime
