"""``CallSpec``: everything a call needs, resolved once, frozen, sent down to the live half."""

from typing import Any

import msgspec

from oneinbox.core.errors import Stage


class StageSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Who serves one stage of the call, and how to reach them.

    ``provider`` names an adapter of ``live/providers`` (``openai_compatible``, ``demo``); ``options`` holds what only
    that adapter understands. ``repr`` hides the key, so that a spec may be logged.
    """

    provider: str
    model: str | None = None
    base_url: str | None = None
    addresses: tuple[str, ...] = ()
    """The only IP addresses that ``base_url`` may be reached at; empty: whatever its host resolves to."""
    api_key: str | None = None
    options: dict[str, Any] = {}

    def __repr__(self) -> str:
        key = None if self.api_key is None else "***"
        return f"StageSpec({self.provider!r}, model={self.model!r}, base_url={self.base_url!r}, api_key={key})"


class LlmSpec(StageSpec, frozen=True, kw_only=True):
    """The language model and how it is asked. ``system_prompt`` is rendered: no ``{{name}}`` is left to fill."""

    system_prompt: str = ""
    temperature: float | None = None
    max_tokens: int | None = None

    __repr__ = StageSpec.__repr__


class SttSpec(StageSpec, frozen=True, kw_only=True):
    """Speech to text."""

    language: str = "en"

    __repr__ = StageSpec.__repr__


class TtsSpec(StageSpec, frozen=True, kw_only=True):
    """Text to speech. ``speed`` is a factor (0.5-2.0, 1 is the voice's own pace); ``stability`` runs 0-1."""

    voice: str | None = None
    speed: float = 1.0
    stability: float | None = None

    __repr__ = StageSpec.__repr__


class TurnSpec(msgspec.Struct, frozen=True, kw_only=True):
    """How the agent takes turns. Times in seconds, sensitivities 0-1."""

    silence_timeout_s: float = 10.0
    max_duration_s: float = 600.0
    interruption_sensitivity: float = 0.5
    responsiveness: float = 0.5
    end_call_phrases: tuple[str, ...] = ()
    first_message_interruptible: bool = True
    """Whether the caller's voice can interrupt the first message."""
    end_of_turn_model: bool = True
    """Whether the end-of-turn model is asked, where the worker has it."""
    reminder_count: int = 0
    """How often a silent caller is asked whether they are still there."""
    reminder_after_s: float = 0.0
    """After how much silence; 0: what is even before the silence timeout."""
    reminders: tuple[str, ...] = ()
    """What is said then, in turn; empty: the language's own line."""
    acknowledgement_phrases: tuple[str, ...] | None = None
    """What the caller may say without stopping the agent; ``None``: what the language has."""
    interruption_phrases: tuple[str, ...] | None = None
    """What stops the agent at once; ``None``: what the language has."""


class ToolSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A tool the language model may call: its name, when to use it, and the JSON schema of its arguments."""

    name: str
    type: str
    description: str
    parameters: dict[str, Any] = {}
    config: dict[str, Any] = {}
    """What its type adds; headers and credentials stand here in clear."""

    def __repr__(self) -> str:
        return f"ToolSpec({self.name!r}, type={self.type!r})"


class CallSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One call, ready to be spoken. Nothing in it changes once it is made."""

    call_id: str
    org_id: str
    agent_id: str
    agent_name: str
    room_name: str
    identity: str
    """The participant identity that the token names; nobody else may join the room."""
    first_message: str | None
    llm: LlmSpec
    stt: SttSpec
    tts: TtsSpec
    turns: TurnSpec
    tools: tuple[ToolSpec, ...] = ()
    variables: dict[str, Any] = {}
    untrusted: tuple[str, ...] = ()
    """Those of the variables that a visitor's page sent: data for the model, and nothing to build an address, a header or
    another instruction with."""
    enable_recording: bool = False
    join_timeout_s: float = 120.0
    """How long after its making the call waits for the participant to join."""

    def trusted_variables(self) -> dict[str, Any]:
        """Return the variables that the organisation itself has set."""
        return {name: value for name, value in self.variables.items() if name not in self.untrusted}

    @property
    def recording_name(self) -> str:
        """Where its recording is kept, below whatever keeps recordings."""
        return f"{self.org_id}/{self.call_id}.ogg"

    def providers(self) -> dict[str, str]:
        """Return the provider of each stage, as the call's record shows it."""
        return {
            Stage.STT: self.stt.provider,
            Stage.LLM: self.llm.provider,
            Stage.TTS: self.tts.provider,
        }
