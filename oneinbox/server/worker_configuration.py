"""What a worker is told when it starts, made from the server's settings."""

from oneinbox.core.link import Configure, MediaSettings
from oneinbox.server.settings import Secrets, Settings

TOKEN_ISSUER = "oneinbox"  # noqa: S105 - a claim, not a password


def configuration(settings: Settings, secrets: Secrets, worker_id: str, number: int) -> Configure:
    """Return the first message to a worker. ``number`` is added to the media port, where one is set."""
    return Configure(
        worker_id=worker_id,
        media=MediaSettings(
            bind_host=settings.media_host,
            port=settings.media_port + number if settings.media_port else 0,
            announced_addresses=settings.announced_addresses,
            ice_servers=settings.ice_servers,
            rejoin_grace_s=settings.rejoin_grace_s,
        ),
        models_dir=settings.models_dir,
        recordings_dir=str(settings.recordings_path),
        turn_logs=settings.turn_logs,
        turn_logs_dir=str(settings.data_path / "turns"),
        token_secret=secrets.participant_tokens,
        token_issuer=TOKEN_ISSUER,
        warm=() if settings.stages else ("demo",),
        allowed_networks=settings.allowed_private_networks,
        log_level=settings.log_level,
    )
