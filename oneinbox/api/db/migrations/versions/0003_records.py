"""Tools, knowledge bases, voices, integrations, outcomes, phone numbers.

Revision ID: 0003
"""

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables."""
