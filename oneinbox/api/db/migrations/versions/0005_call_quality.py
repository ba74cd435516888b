"""How good a call's connection was.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column."""
    op.add_column("calls", sa.Column("quality", sa.JSON(none_as_null=True), nullable=True))
