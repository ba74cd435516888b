"""Agents on the wire."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from oneinbox.api.http.fields import (
    Answer,
    Body,
    JsonObject,
    Name,
    Pace,
    Ratio,
    ShortText,
    Text,
    Variables,
    Word,
    absent,
)
from oneinbox.api.models.schemas import DEFAULT

Seconds = int
SilenceTimeout = Annotated[
    Seconds, Field(ge=0, le=300, description="The call ends after both sides were silent for so long. 0: never.")
]
MaxDuration = Annotated[Seconds, Field(ge=30, le=7200, description="The call ends after so long, whoever speaks.")]
Phrases = Annotated[list[Annotated[ShortText, Field(min_length=1)]], Field(max_length=100)]

_PROVIDER = (
    "`default`, `openai` and `openai_compatible` are served by what this server has set up; `demo` is the demo. Other "
    "names are kept, and refused when a call is made."
)

_MODEL = "By the provider's name. Default: what the server has set up; an own account other than OpenAI's needs one."


class Transcriber(Body):
    """Speech to text. What is null or left out is the default."""

    provider: Word | None = Field(default=None, description=_PROVIDER)
    model: Word | None = Field(default=None, description=_MODEL)
    language: Word | None = Field(default=None, description="Default: the agent's `language`.")
    credential_id: Word | None = Field(default=None, description="Your own account with the provider.")


class Tts(Body):
    """Text to speech. What is null or left out is the default."""

    provider: Word | None = Field(default=None, description=_PROVIDER)
    credential_id: Word | None = Field(default=None, description="Your own account with the provider.")
    voice_id: Word | None = Field(
        default=None, description="A voice's id (`vc_...`, see `/v1/voices`), or the provider's own name of one."
    )
    model: Word | None = Field(default=None, description=_MODEL)
    speed: Pace | None = Field(default=None, description="Multiplied with the agent's `speed`. Default 1.")
    stability: Ratio | None = Field(
        default=None, description="Kept; no voice that is served now can be told it. Default 0.5."
    )


class TurnTaking(Body):
    """How the agent takes turns, beside `responsiveness` and `interruption_sensitivity`. Null or left out: the default."""

    first_message_interruptible: bool | None = Field(
        default=None, description="Whether the caller's voice can interrupt the first message. Default true."
    )
    end_of_turn_model: bool | None = Field(
        default=None,
        description="Whether a model also judges by the sound of a pause if the turn is over. Default true.",
    )
    reminder_count: Annotated[int, Field(ge=0, le=10)] | None = Field(
        default=None, description="How often a silent caller is asked whether they are still there. Default 0."
    )
    reminder_after_seconds: Annotated[float, Field(ge=1, le=300)] | None = Field(
        default=None, description="After how much silence. Default: an even share of the silence timeout."
    )
    reminders: Phrases | None = Field(default=None, description="What is said then, in turn. Default: in `language`.")
    acknowledgement_phrases: Phrases | None = Field(
        default=None,
        description='What the caller may say without stopping the agent, such as "okay". Default: by language.',
    )
    interruption_phrases: Phrases | None = Field(
        default=None, description='What stops the agent at once, such as "wait". Default: by language.'
    )


class AgentCreate(Body):
    """A new agent. Only its name is needed: a model (with a general prompt) and a voice are made for it."""

    name: Name = Field(description="Shown on the record, and in the room as the agent's name.", examples=["Front desk"])
    llm_id: Word | None = Field(default=None, description="The model it thinks with; left out: one is made for it.")
    webhook_id: Word | None = Field(
        default=None, description="The webhook that its calls are told to; null: to all of the organisation's."
    )
    transcriber: Transcriber | None = Field(default=None, description="Who understands the caller. Null: the defaults.")
    tts: Tts | None = Field(default=None, description="Who speaks, and how. Null: the defaults.")
    first_message: Text | None = Field(
        default=None, description="Said at once when the call begins; may hold `{{name}}`. Null: the caller begins."
    )
    end_call_phrases: Phrases = Field(default_factory=list, description="Said by the caller, they end the call.")
    silence_timeout_seconds: SilenceTimeout = 10
    max_duration_seconds: MaxDuration = 600
    interruption_sensitivity: Ratio = Field(default=0.5, description="How easily the caller interrupts the agent.")
    responsiveness: Ratio = Field(default=0.5, description="How soon the agent takes a pause for the end of a turn.")
    turn_taking: TurnTaking | None = Field(default=None, description="More of how turns are taken. Null: the defaults.")
    speed: Pace = Field(
        default=1.0,
        description="How fast the agent speaks; with `tts.speed` multiplied in, at least 0.5 and at most 2.",
    )
    language: Word = Field(
        default="en",
        description="What is spoken, as a tag such as `en` or `pt-BR`: told to the speech recognition, and the language of the "
        "agent's own lines.",
    )
    dynamic_variables: Variables = Field(
        default_factory=dict, description="What `{{name}}` holds where a call gives no value of its own."
    )
    voicemail_detection: bool = Field(default=False, description="Kept; not used yet.")
    voicemail_message: Text | None = Field(default=None, description="Kept; not used yet.")
    enable_recording: bool = Field(
        default=False, description="Records the sound of its calls, caller left and agent right: `recording_url`."
    )
    background_sound: Word | None = Field(default=None, description="Kept; not used yet.")
    emotions: bool = Field(default=False, description="Kept; not used yet.")
    job_description: Text | None = Field(default=None, description="Added below the model's prompt.")
    metadata: JsonObject = Field(default_factory=dict, description="Yours; kept and given back with the agent.")


class AgentPatch(Body):
    """What to change. Null is a value (where a field admits it); a field left out stays as it is.

    ``transcriber``, ``tts`` and ``turn_taking`` are merged: their fields left out stay too; null takes the whole back to its default.
    """

    name: Name = Field(default_factory=absent)
    llm_id: Word = Field(default_factory=absent)
    webhook_id: Word | None = Field(default_factory=absent)
    transcriber: Transcriber | None = Field(default_factory=absent)
    tts: Tts | None = Field(default_factory=absent)
    first_message: Text | None = Field(default_factory=absent)
    end_call_phrases: Phrases = Field(default_factory=absent)
    silence_timeout_seconds: SilenceTimeout = Field(default_factory=absent)
    max_duration_seconds: MaxDuration = Field(default_factory=absent)
    interruption_sensitivity: Ratio = Field(default_factory=absent)
    responsiveness: Ratio = Field(default_factory=absent)
    turn_taking: TurnTaking | None = Field(default_factory=absent)
    speed: Pace = Field(default_factory=absent)
    language: Word = Field(default_factory=absent)
    dynamic_variables: Variables = Field(default_factory=absent)
    voicemail_detection: bool = Field(default_factory=absent)
    voicemail_message: Text | None = Field(default_factory=absent)
    enable_recording: bool = Field(default_factory=absent)
    background_sound: Word | None = Field(default_factory=absent)
    emotions: bool = Field(default_factory=absent)
    job_description: Text | None = Field(default_factory=absent)
    metadata: JsonObject = Field(default_factory=absent)


class TranscriberAnswer(Answer):
    """Speech to text, with its defaults filled in."""

    provider: str = DEFAULT
    model: str | None = None
    language: str
    credential_id: str | None = None


class TtsAnswer(Answer):
    """Text to speech, with its defaults filled in."""

    provider: str = DEFAULT
    credential_id: str | None = None
    voice_id: str | None = None
    model: str | None = None
    speed: float = 1.0
    stability: float = 0.5


class TurnTakingAnswer(Answer):
    """How the agent takes turns, with the defaults filled in; null: by the language, or by the silence timeout."""

    first_message_interruptible: bool = True
    end_of_turn_model: bool = True
    reminder_count: int = 0
    reminder_after_seconds: float | None = None
    reminders: list[str] | None = None
    acknowledgement_phrases: list[str] | None = None
    interruption_phrases: list[str] | None = None


class ServingProviders(Answer):
    """Who would serve each stage of a call made now; null: nobody, because nothing is set up."""

    stt: str | None
    llm: str | None
    tts: str | None


class AgentAnswer(Answer):
    """An agent."""

    id: str = Field(examples=["agt_01jd2k"])
    name: str
    llm_id: str
    webhook_id: str | None
    transcriber: TranscriberAnswer
    tts: TtsAnswer
    first_message: str | None
    end_call_phrases: list[str]
    silence_timeout_seconds: int
    max_duration_seconds: int
    interruption_sensitivity: float
    responsiveness: float
    turn_taking: TurnTakingAnswer
    speed: float
    language: str
    dynamic_variables: dict[str, Any]
    voicemail_detection: bool
    voicemail_message: str | None
    enable_recording: bool
    background_sound: str | None
    emotions: bool
    job_description: str | None
    metadata: dict[str, Any]
    effective_system_prompt: str = Field(description="The model's prompt and the agent's job description together.")
    providers: ServingProviders
    created_at: datetime
    updated_at: datetime
