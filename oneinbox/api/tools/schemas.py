"""Tools on the wire: eight types, told apart by ``type``."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from oneinbox.api.http.fields import Answer, Body, Name, Text, Word, absent
from oneinbox.api.tools.fields import (
    CalendarConfig,
    ExtractionSchema,
    Headers,
    MessagingConfig,
    Method,
    Parameters,
    PhoneText,
    ToolParameter,
)

ToolType = Literal[
    "api_call",
    "transfer_call",
    "end_call",
    "send_sms",
    "send_email",
    "schedule_calendar_event",
    "extract_information",
    "mcp_server",
]
ResponsePath = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^.\s]+(?:\.[^.\s]+)*$")]
ToolUrl = Annotated[str, Field(max_length=2048)]
_DESCRIPTION = "When the language model is to use it, written as a condition."
Description = Annotated[Text, Field(min_length=1, max_length=4_000)]


TimeoutSeconds = Annotated[float, Field(ge=1, le=120)]
_TIMEOUT = "How long it may take, all tries together."
_HEADERS = "May hold `{{name}}`. Kept encrypted; shown masked."
_BEARER = "A `custom` integration whose key is sent as `Authorization: Bearer ...`."


class _Tool(Body):
    name: Name = Field(
        description="What the model calls it by, with `_` for what is no letter, digit, `_` or `-`.",
        examples=["Look up an order"],
    )
    description: Description = Field(description=_DESCRIPTION, examples=["When the caller asks where an order is"])
    run_in_background: bool = Field(default=False, description="The conversation does not wait for its result.")
    speak_during_execution: bool = Field(default=False, description="The agent says something while it runs.")


class ApiCallTool(_Tool):
    """Asks a server of yours."""

    type: Literal["api_call"]
    url: ToolUrl = Field(
        description="May hold `{{name}}` behind its host.", examples=["https://api.example.com/orders"]
    )
    method: Method = Field(description="GET and DELETE send the arguments in the query, the others as a JSON body.")
    headers: Headers = Field(default_factory=dict, description=_HEADERS)
    parameters: Parameters = Field(
        default_factory=list[ToolParameter], description="The arguments that the language model gives."
    )
    credential_id: Word | None = Field(default=None, description=_BEARER)
    timeout_seconds: TimeoutSeconds = Field(default=10, description=_TIMEOUT)
    max_retries: Annotated[int, Field(ge=0, le=3)] = Field(
        default=1, description="Tries after the first, where nothing can have happened twice."
    )
    response_path: ResponsePath | None = Field(
        default=None, description="The part of a JSON answer that the model sees.", examples=["data.order.status"]
    )


class McpServerTool(_Tool):
    """A Model Context Protocol server (streamable HTTP): the model can use each of its tools."""

    type: Literal["mcp_server"]
    url: ToolUrl = Field(description="Its one address.", examples=["https://tools.example.com/mcp"])
    headers: Headers = Field(default_factory=dict, description=_HEADERS)
    credential_id: Word | None = Field(default=None, description=_BEARER)
    timeout_seconds: TimeoutSeconds = Field(default=10, description="How long each of its tools may take.")
    allowed_tools: list[Word] | None = Field(
        default=None, max_length=128, description="Which of its tools the model may use; null: all."
    )


class TransferCallTool(_Tool):
    """Hands the caller over to a person."""

    type: Literal["transfer_call"]
    transfer_to: PhoneText = Field(description="That person's number.")


class EndCallTool(_Tool):
    """Ends the call."""

    type: Literal["end_call"]


class SendSmsTool(_Tool):
    """Sends a text message from the call's own number."""

    type: Literal["send_sms"]
    messaging_config: MessagingConfig


class SendEmailTool(_Tool):
    """Sends an e-mail."""

    type: Literal["send_email"]
    messaging_config: MessagingConfig
    credential_id: Word | None = Field(default=None, description="Your account with Resend or SendGrid.")


class CalendarTool(_Tool):
    """Books a slot."""

    type: Literal["schedule_calendar_event"]
    calendar_config: CalendarConfig
    credential_id: Word | None = Field(default=None, description="Your account with Cal.com.")


class ExtractTool(_Tool):
    """Notes down what is learnt in the call."""

    type: Literal["extract_information"]
    extraction_schema: ExtractionSchema


ToolCreate = Annotated[
    ApiCallTool
    | TransferCallTool
    | EndCallTool
    | SendSmsTool
    | SendEmailTool
    | CalendarTool
    | ExtractTool
    | McpServerTool,
    Field(discriminator="type"),
]
AnyTool = (
    ApiCallTool
    | TransferCallTool
    | EndCallTool
    | SendSmsTool
    | SendEmailTool
    | CalendarTool
    | ExtractTool
    | McpServerTool
)
TOOL: TypeAdapter[AnyTool] = TypeAdapter(ToolCreate)


class ToolPatch(Body):
    """What to change; ``type`` stays as it is. Each field has to belong to the tool's type."""

    name: Name = Field(default_factory=absent)
    description: Description = Field(default_factory=absent)
    run_in_background: bool = Field(default_factory=absent)
    speak_during_execution: bool = Field(default_factory=absent)
    url: ToolUrl = Field(default_factory=absent)
    method: Method = Field(default_factory=absent)
    headers: Headers = Field(
        default_factory=absent, description="Replaces all; a value sent as `****` keeps the stored one."
    )
    parameters: Parameters = Field(default_factory=absent)
    transfer_to: PhoneText = Field(default_factory=absent)
    extraction_schema: ExtractionSchema = Field(default_factory=absent)
    messaging_config: MessagingConfig = Field(default_factory=absent)
    calendar_config: CalendarConfig = Field(default_factory=absent)
    credential_id: Word | None = Field(default_factory=absent)
    timeout_seconds: TimeoutSeconds = Field(default_factory=absent)
    max_retries: Annotated[int, Field(ge=0, le=3)] = Field(default_factory=absent)
    response_path: ResponsePath | None = Field(default_factory=absent)
    allowed_tools: list[Word] | None = Field(default_factory=absent, max_length=128)


class ToolAnswer(Answer):
    """A tool. Fields that do not belong to its type are null."""

    id: str = Field(examples=["tool_01jd2k"])
    type: ToolType
    name: str
    description: str
    run_in_background: bool
    speak_during_execution: bool
    url: str | None = None
    method: Method | None = None
    headers: dict[str, str] | None = Field(default=None, description="Values are masked.")
    parameters: list[ToolParameter] | None = None
    transfer_to: str | None = None
    extraction_schema: ExtractionSchema | None = None
    messaging_config: MessagingConfig | None = None
    calendar_config: CalendarConfig | None = None
    credential_id: str | None = None
    timeout_seconds: float | None = None
    max_retries: int | None = None
    response_path: str | None = None
    allowed_tools: list[str] | None = None
    created_at: datetime
    updated_at: datetime
