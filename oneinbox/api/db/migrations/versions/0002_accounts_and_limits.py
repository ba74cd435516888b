"""Passwords, secret keys by REST, limits, idempotency, the audit log.

Revision ID: 0002
"""

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
