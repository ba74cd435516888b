"""What agents did and noted in calls.

Revision ID: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the table, and add the column."""
    op.add_column("calls", sa.Column("extracted_data", sa.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "call_tools",
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("is_error", sa.Boolean(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("start_s", sa.Double[float](), nullable=False),
        sa.Column("duration_ms", sa.Double[float](), nullable=True),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name=op.f("fk_call_tools_call_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organisations.id"], name=op.f("fk_call_tools_org_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("call_id", "id", name=op.f("pk_call_tools")),
    )
