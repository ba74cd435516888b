"""Applies the revisions. Loads Alembic: import it only where there is something to apply."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from oneinbox.api.db.migrations import HEAD


def config() -> Config:
    """Return Alembic's configuration for our revisions."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return made


def is_known(revision: str) -> bool:
    """Whether this release has ``revision`` in its history."""
    try:
        return ScriptDirectory.from_config(config()).get_revision(revision) is not None  # pyright: ignore[reportUnnecessaryComparison] - the stub says never None
    except CommandError:
        return False


def upgrade(connection: Connection) -> None:
    """Apply every missing revision on ``connection``, in its open transaction."""
    made = config()
    made.attributes["connection"] = connection
    command.upgrade(made, HEAD)
