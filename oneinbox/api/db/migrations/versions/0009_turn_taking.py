"""How agents take turns.

Revision ID: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column; what nobody said is the default of the day."""
    op.add_column(
        "agents", sa.Column("turn_taking", sa.JSON(none_as_null=True), nullable=False, server_default=sa.text("'{}'"))
    )
