"""What the API half is told by whoever composes the server. Nothing here is read from the environment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from oneinbox.core.errors import Stage
from oneinbox.core.outbound import AddressPolicy

MAX_BODY_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class StageDefault:
    """Who serves a stage for every agent that names nobody: an adapter of ``live/providers``, and how to reach it.

    ``model`` and ``voice`` may stay ``None``: the adapter has defaults of its own.
    """

    provider: str = "openai_compatible"
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    model: str | None = None
    voice: str | None = None


@dataclass(frozen=True, kw_only=True)
class StageDefaults:
    """The operator's choice for each stage; ``None`` where nothing was chosen."""

    stt: StageDefault | None = None
    llm: StageDefault | None = None
    tts: StageDefault | None = None

    def of(self, stage: Stage) -> StageDefault | None:
        """Return the operator's choice for ``stage``."""
        return {Stage.STT: self.stt, Stage.LLM: self.llm, Stage.TTS: self.tts}[stage]


@dataclass(frozen=True, kw_only=True)
class StoreAddress:
    """A bucket of any store that speaks S3, addressed by path: ``https://host/bucket`` or ``.../bucket/prefix``."""

    url: str
    key_id: str
    secret: str = field(repr=False)
    region: str = "us-east-1"
    public_url: str | None = None
    """How browsers reach the same bucket, where that is another address."""


@dataclass(frozen=True, kw_only=True)
class ApiConfig:
    """Everything the API needs to know about its surroundings."""

    token_secret: str = field(repr=False)
    """Signs participant tokens; the signalling sockets check them with the same."""
    token_issuer: str
    session_secret: str = field(repr=False)
    """Signs dashboard sessions."""
    credential_keys: Callable[[], Sequence[str]] = field(repr=False)
    """Tells what stored secrets are sealed with, as it is now: the first for writing, all for reading."""
    outbound: AddressPolicy = field(default_factory=AddressPolicy)
    """Where URLs that users give may lead."""
    public_url: str | None = None
    """How browsers reach this server (``https://talk.example.com``); ``None``: by the host of each request."""
    join_ttl_s: int = 120
    """How long a participant token lets its holder join, and a call waits for its participant."""
    stages: StageDefaults = StageDefaults()
    sign_up_enabled: bool = True
    """Whether strangers may make accounts, each with an organisation of its own."""
    demo_enabled: bool = True
    """Whether the keyless demo (scripted replies, demo ear and voice) may serve calls."""
    allow_insecure_origins: bool = False
    """Whether a publishable key may list ``http://`` origins other than this machine's own."""
    max_body_bytes: int = MAX_BODY_BYTES
    session_minutes: int = 7 * 24 * 60
    sign_in_link_minutes: int = 15
    server_id: str | None = None
    """Which server this is, where several share a database: each closes only the calls that it left open itself."""
    recordings_dir: Path = Path("recordings")
    """Where workers write recordings; they stay there unless there is a store."""
    recordings_store: StoreAddress | None = None
    stop_wait_s: float = 2.0
    """How long ``POST /v1/calls/{id}/stop`` waits for the end to be on record."""
