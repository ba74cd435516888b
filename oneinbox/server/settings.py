"""Every setting of the server, read once: flag, else environment, else ``oneinbox.toml``, else default.

An address, not a mode: no ``DATABASE_URL`` means SQLite in the data directory; no key and no address for a stage means
the demo where it can serve, else nothing. :func:`explain_stages` says in words which was chosen and why.
"""

import fcntl
import ipaddress
import json
import os
import secrets
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from oneinbox.core.errors import Stage
from oneinbox.core.link import IceServer
from oneinbox.core.outbound import AddressPolicy

_PREFIX = "ONEINBOX_"
_TOKEN_CHARS = 16
_THIS_MACHINE = ("127.0.0.0/8", "::1/128")
_OPENAI_URL = "https://api.openai.com/v1"


class SettingsError(Exception):
    """A setting cannot be understood. The message names it, where it was read, and the mend."""


class StageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where one stage is served: an OpenAI-compatible address, its key, its model, and why these were taken."""

    base_url: str
    api_key: str | None
    model: str | None
    voice: str | None
    why: str

    def __repr__(self) -> str:
        return f"StageSettings({self.base_url!r}, model={self.model!r}, why={self.why!r})"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator chose. Each field's variable is ``ONEINBOX_`` and its name in capitals."""

    host: str = "127.0.0.1"
    port: int = 8080
    media_host: str = "0.0.0.0,::"
    media_port: int = 7882
    """UDP and ICE-TCP of the first worker; the next workers take the numbers behind it."""
    announced_addresses: tuple[str, ...] = ()
    ice_servers: tuple[IceServer, ...] = ()
    data_dir: str = ""
    models_dir: str = ""
    public_url: str | None = None
    database_url: str | None = None
    workers: int = 0
    """Worker processes; 0 (also written ``auto``) means one for each core that this process may use."""
    max_calls_per_worker: int = 25
    max_worker_cpu: float = 0.85
    """Share of one core beyond which a worker takes no more calls; 0: whatever it uses."""
    max_tick_late_ms: float = 20.0
    """A worker of whose 20 ms ticks more than one in twenty are later than this takes no more calls; 0: it does."""
    drain_timeout_s: float = 600.0
    """How long live calls may go on after SIGTERM, and in a worker that is to be replaced."""
    metrics_token: str | None = None
    """Who sends it as a bearer token may read ``/metrics`` from anywhere."""
    metrics_allowed_networks: tuple[str, ...] | None = None
    """CIDR blocks from which ``/metrics`` may be read without a token; ``None``: this machine's own addresses, unless a
    proxy stands before the server (``public_url``): through it everybody comes from this machine."""
    join_timeout_s: float = 120.0
    rejoin_grace_s: float = 30.0
    """How long a participant that vanished (a reload, a lost network) may take to come back into its call."""
    allow_insecure_origins: bool = False
    sign_up_enabled: bool | None = None
    """Whether strangers may make accounts; ``None``: where only this machine can reach the server."""
    allowed_private_networks: tuple[str, ...] = ()
    """CIDR blocks, such as ``192.168.7.0/24``, that URLs given by users may lead to beside the public internet."""
    recordings_store: str | None = None
    """An S3-compatible bucket, or a part of it, by path: ``https://host/bucket/prefix``; ``None``: the data directory."""
    recordings_store_region: str = "us-east-1"
    recordings_store_key_id: str | None = None
    recordings_store_secret: str | None = None
    recordings_store_public_url: str | None = None
    """How browsers reach the bucket, where that is another address."""
    turn_logs: int = 0
    """Of how many calls, the newest, the log of turns is kept for ``oneinbox replay``; 0: none."""
    log_level: str = "INFO"
    stages: dict[str, StageSettings] = {}

    @property
    def worker_count(self) -> int:
        """How many workers to run."""
        return self.workers or usable_cores()

    @property
    def metrics_networks(self) -> tuple[str, ...]:
        """From where ``/metrics`` may be read without a token."""
        if self.metrics_allowed_networks is not None:
            return self.metrics_allowed_networks
        return _THIS_MACHINE if self.public_url is None else ()

    @property
    def data_path(self) -> Path:
        """The data directory."""
        return Path(self.data_dir)

    @property
    def recordings_path(self) -> Path:
        """Where workers write recordings, and where they stay unless a store is set up."""
        return self.data_path / "recordings"


def usable_cores() -> int:
    """How many cores this process may use: of the machine, by its affinity, and by the quota of its cgroup (a container)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))


def default_data_dir() -> Path:
    """``./data`` in a checkout (where ``pyproject.toml`` is), else the user's own data folder."""
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").is_file():
        return checkout / "data"
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "oneinbox"


def default_models_dir() -> Path:
    """Where ``scripts/fetch_models.py`` puts the model files."""
    return Path(sys.prefix) / "share" / "oneinbox" / "models"


def load_settings(flags: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings; ``flags`` holds what the command line gave (``None`` where it gave nothing).

    Raises :class:`SettingsError`.
    """
    environ = os.environ if environ is None else environ
    given = {name: value for name, value in flags.items() if value is not None}
    from_file = _read_file(Path(environ.get(_PREFIX + "CONFIG", "oneinbox.toml")))
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(Settings):
        name = field.name
        if name == "stages":
            continue
        variable = _PREFIX + name.upper()
        if name in given:
            values[name] = _convert(given[name], field.type, f"--{name.replace('_', '-')}")
        elif variable in environ:
            values[name] = _convert(environ[variable], field.type, variable)
        elif name == "database_url" and environ.get("DATABASE_URL"):
            values[name] = environ["DATABASE_URL"]
        elif name in from_file:
            values[name] = _convert(from_file[name], field.type, f"{name} in oneinbox.toml")
    unknown = from_file.keys() - {field.name for field in msgspec.structs.fields(Settings)}
    if unknown:
        raise SettingsError(f"oneinbox.toml: unknown setting {min(unknown)!r}; remove it or correct its name")
    values["data_dir"] = str(Path(values.get("data_dir") or default_data_dir()).expanduser().absolute())
    values.setdefault("models_dir", str(default_models_dir()))
    settings = Settings(**values, stages=_stages(environ, from_file.get("stages", {})))
    _check(settings)
    return settings


def _read_file(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from None


def _convert(value: Any, wanted: Any, where: str) -> Any:
    if isinstance(value, str) and str(wanted).startswith("tuple"):
        value = _list(value, where)
    if value == "auto" and wanted is int:
        value = 0
    try:
        return msgspec.convert(value, wanted, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{where}: {error}") from None


def _list(value: str, where: str) -> Any:
    """A list in a variable is JSON (``[...]``) or, for plain words, separated by commas."""
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except json.JSONDecodeError as error:
            raise SettingsError(f"{where} is not valid JSON: {error}") from None
    return [part.strip() for part in value.split(",") if part.strip()]


def _check(settings: Settings) -> None:
    for name in ("port", "media_port"):
        if not 0 <= getattr(settings, name) <= 65535:
            raise SettingsError(f"{name} has to be between 0 and 65535, not {getattr(settings, name)}")
    if not 0 <= settings.rejoin_grace_s <= 3600:
        raise SettingsError(f"rejoin_grace_s has to be between 0 and 3600, not {settings.rejoin_grace_s}")
    _check_limits(settings)
    for address in settings.announced_addresses:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise SettingsError(f"announced_addresses: {address!r} is not an IP address") from None
    for server in settings.ice_servers:
        _check_ice_server(server)
    try:
        AddressPolicy.allowing(settings.allowed_private_networks)
    except ValueError as error:
        raise SettingsError(f"allowed_private_networks: {error}; write networks such as 192.168.7.0/24") from None
    _check_store(settings)
    if settings.public_url is not None and not settings.public_url.startswith(("http://", "https://")):
        raise SettingsError("public_url has to begin with http:// or https://")


def _check_ice_server(server: IceServer) -> None:
    for url in server.urls:
        if not url.startswith(("stun:", "stuns:", "turn:", "turns:")) or "://" in url:
            raise SettingsError(f"ice_servers: {url!r} is not an address such as turn:turn.example.com:3478")
    needs_credentials = any(url.startswith("turn") for url in server.urls)
    if needs_credentials and not server.secret and not (server.username and server.credential):
        raise SettingsError(f"ice_servers: {server.urls[0]!r} needs a secret, or a username and a credential")
    if server.secret and (server.username or server.credential):
        raise SettingsError(f"ice_servers: {server.urls[0]!r} has a secret: leave username and credential out")


def _check_store(settings: Settings) -> None:
    for name in ("recordings_store", "recordings_store_public_url"):
        parts = urlsplit(getattr(settings, name) or "https://host/bucket")
        if parts.scheme not in ("http", "https") or not parts.netloc or not parts.path.strip("/"):
            raise SettingsError(f"{name} has to be like https://s3.example.com/bucket, with or without a folder")
        if parts.query or parts.fragment or "@" in parts.netloc:
            raise SettingsError(f"{name} is an address alone: keys belong into recordings_store_key_id and ..._secret")
    if settings.recordings_store and not (settings.recordings_store_key_id and settings.recordings_store_secret):
        raise SettingsError("recordings_store needs recordings_store_key_id and recordings_store_secret")


def _check_limits(settings: Settings) -> None:
    for name, least in (
        ("workers", 0),
        ("max_calls_per_worker", 1),
        ("max_worker_cpu", 0),
        ("max_tick_late_ms", 0),
        ("drain_timeout_s", 0),
    ):
        if not getattr(settings, name) >= least:  # which NaN is not either
            raise SettingsError(f"{name} has to be {least} or more, not {getattr(settings, name)}")
    if settings.metrics_token is not None and len(settings.metrics_token) < _TOKEN_CHARS:
        raise SettingsError(f"metrics_token has to have {_TOKEN_CHARS} characters or more")
    for network in settings.metrics_allowed_networks or ():
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise SettingsError(f"metrics_allowed_networks: {error}; write networks such as 10.1.0.0/16") from None


def _stages(environ: Mapping[str, str], from_file: Mapping[str, Any]) -> dict[str, StageSettings]:
    """Each stage by its own address or key, else by the OpenAI key, else not at all."""
    stages: dict[str, StageSettings] = {}
    shared_key = environ.get("OPENAI_API_KEY") or None
    shared_url = environ.get("OPENAI_BASE_URL") or None
    for stage in Stage:

        def own(what: str, stage: Stage = stage) -> str | None:
            in_file = from_file.get(str(stage), {}).get(what.lower())
            return environ.get(f"{_PREFIX}{stage.upper()}_{what}") or in_file or None

        url, key = own("BASE_URL"), own("API_KEY")
        if url is not None:
            # A key is never sent to an address it was not given for.
            why = f"{_PREFIX}{stage.upper()}_BASE_URL is set"
        elif key is not None:
            url, why = shared_url or _OPENAI_URL, f"{_PREFIX}{stage.upper()}_API_KEY is set"
        elif shared_key is not None or shared_url is not None:
            url, key = shared_url or _OPENAI_URL, shared_key
            why = "OPENAI_API_KEY is set" if shared_key else "OPENAI_BASE_URL is set"
        else:
            continue
        if not url.startswith(("http://", "https://")):
            raise SettingsError(f"the address of {stage} has to begin with http:// or https://, not {url!r}")
        stages[stage] = StageSettings(
            base_url=url.rstrip("/"),
            api_key=key,
            model=own("MODEL"),
            voice=own("VOICE") if stage is Stage.TTS else None,
            why=why,
        )
    return stages


def explain_stages(settings: Settings) -> list[tuple[str, str, str]]:
    """Return for each stage: its name, who serves agents that name nobody, and why."""
    rows: list[tuple[str, str, str]] = []
    for stage in Stage:
        chosen = settings.stages.get(stage)
        if chosen is not None:
            model = f" ({chosen.model})" if chosen.model else ""
            rows.append((stage, f"{chosen.base_url}{model}", chosen.why))
        elif stage is Stage.TTS:
            rows.append((stage, "demo voice (espeak-ng)", "no key or address is set"))
        else:
            rows.append((stage, "demo, for the demo agent only", "no key or address is set"))
    return rows


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """What signs tokens and encrypts credentials.

    Made at the first start, kept in the data directory, readable by its owner only.
    """

    participant_tokens: str
    sessions: str
    credentials: tuple[str, ...] = ()
    """The keys of stored credentials, the newest first; older ones stay until everything is encrypted anew."""

    def __repr__(self) -> str:
        return "Secrets(***)"


def load_secrets(data_dir: Path) -> Secrets:
    """Read the secrets, or make them (or those that a release before this one did not know) where there are none yet."""
    path = data_dir / "secrets.json"
    data_dir.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        made = Secrets(
            participant_tokens=secrets.token_urlsafe(48),
            sessions=secrets.token_urlsafe(48),
            credentials=(secrets.token_urlsafe(48),),
        )
        temporary = _written(path, made)
        try:
            os.link(temporary, path)  # whoever starts first makes them; a second start at the same moment reads those
        except FileExistsError:
            pass
        temporary.unlink()
    found = _read_secrets(path)
    return found if found.credentials else _change(path, _with_credentials_key)


def add_credentials_key(data_dir: Path) -> Secrets:
    """Put a new key for credentials before the old ones, and return all. The first step of their rotation."""
    load_secrets(data_dir)
    return _change(
        data_dir / "secrets.json",
        lambda found: msgspec.structs.replace(found, credentials=(secrets.token_urlsafe(48), *found.credentials)),
    )


def forget_old_credentials_keys(data_dir: Path) -> None:
    """Keep of the keys for credentials the newest two. The last step of their rotation.

    The one before stays until the next rotation, for what a server may have been writing with it at that moment.
    """
    _change(data_dir / "secrets.json", lambda found: msgspec.structs.replace(found, credentials=found.credentials[:2]))


def _with_credentials_key(found: Secrets) -> Secrets:
    if found.credentials:
        return found
    return msgspec.structs.replace(found, credentials=(secrets.token_urlsafe(48),))


def _change(path: Path, change: Callable[[Secrets], Secrets]) -> Secrets:
    """Rewrite the file, alone: two processes that each added a key would lose one, and what it had encrypted."""
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        changed = change(_read_secrets(path))
        _written(path, changed).replace(path)
    return changed


def _read_secrets(path: Path) -> Secrets:
    return msgspec.json.decode(path.read_bytes(), type=Secrets)


def _written(path: Path, made: Secrets) -> Path:
    """Write the secrets beside ``path``, readable by nobody else, and return where."""
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.touch(mode=0o600)
    temporary.write_bytes(msgspec.json.encode(made))
    return temporary
