"""Language models on the wire."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from oneinbox.api.http.fields import Answer, Body, Name, ShortText, Text, Word, absent

GENERAL_PROMPT = (
    "You are a friendly and capable voice agent. You are speaking with a person on a live call.\n"
    "Answer in one to three short spoken sentences. Use plain words: no lists, no headings, no symbols, no emoji.\n"
    "Ask one question at a time. If you did not understand, say so and ask again. If you do not know something, say "
    "so; never invent facts. When the person wants to end the call, say goodbye."
)
"""What a model is told when nobody wrote a prompt."""

DEFAULT = "default"
"""The provider of a stage for which nobody named one: whatever the operator of this server has set up."""

Temperature = Annotated[float, Field(ge=0, le=2)]
MaxTokens = Annotated[int, Field(ge=1, le=128_000)]
Ids = Annotated[list[Word], Field(max_length=200)]
_PROVIDER = (
    "`default`, `openai` and `openai_compatible` are served by what this server has set up for language models; "
    "`demo` is the scripted demo. With a `credential_id`, `openai`, `groq`, `gemini` and `openai_compatible` are reached with "
    "your own account. Other names are kept, and refused when a call is made."
)


class ModelCreate(Body):
    """A new language model set-up."""

    name: Name = Field(description="For people.", examples=["Support model"])
    provider: Word = Field(default=DEFAULT, description=_PROVIDER)
    model: Word | None = Field(default=None, description="Null: the server's default model.", examples=["gpt-4o-mini"])
    system_prompt: Text = Field(
        default=GENERAL_PROMPT, description="May hold `{{name}}`, which a call's variables fill."
    )
    temperature: Temperature = Field(default=0.7, description="How freely it words its replies.")
    max_tokens: MaxTokens | None = Field(default=4000, description="Of one reply. Null: what the provider allows.")
    tool_ids: Ids = Field(default_factory=list, description="What the model may do, see `/v1/tools`.")
    knowledge_base_ids: Ids = Field(
        default_factory=list,
        description="What it knows: up to 10,000 tokens stand in its prompt; of more, it searches.",
    )
    custom_websocket_url: ShortText | None = Field(
        default=None, description="A `ws://` or `wss://` address on the public internet. Kept; not used yet."
    )
    credential_id: Word | None = Field(default=None, description="Your own account with the provider.")


class ModelPatch(Body):
    """What to change. Takes effect for every agent that uses the model, from its next call on."""

    name: Name = Field(default_factory=absent)
    provider: Word = Field(default_factory=absent, description=_PROVIDER)
    model: Word | None = Field(default_factory=absent)
    system_prompt: Text = Field(default_factory=absent)
    temperature: Temperature = Field(default_factory=absent)
    max_tokens: MaxTokens | None = Field(default_factory=absent)
    tool_ids: Ids = Field(default_factory=absent)
    knowledge_base_ids: Ids = Field(default_factory=absent)
    custom_websocket_url: ShortText | None = Field(default_factory=absent)
    credential_id: Word | None = Field(default_factory=absent)


class ModelAnswer(Answer):
    """A language model set-up."""

    id: str = Field(examples=["llm_01jd2k"])
    name: str
    provider: str
    model: str | None
    system_prompt: str
    temperature: float
    max_tokens: int | None
    tool_ids: list[str]
    knowledge_base_ids: list[str]
    custom_websocket_url: str | None
    credential_id: str | None
    created_at: datetime
    updated_at: datetime
