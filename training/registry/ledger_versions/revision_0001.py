"""The account as it was first kept: spaces, models, promotions and pins.

Ledgers of before there were revisions have these tables, and are taken as they are.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables that are missing."""
    op.create_table(
        "spaces",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("space_id", sa.String(64), nullable=False, unique=True),
        sa.Column("item_space_id", sa.String(64), nullable=False),
        sa.Column("partition", sa.String(10), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "models",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("consumer", sa.String(64), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("space_id", sa.String(64), nullable=False),
        sa.Column("partition", sa.String(10), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.UniqueConstraint("consumer", "version"),
        if_not_exists=True,
    )
    op.create_table(
        "promotions",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("partition", sa.String(10), nullable=False),
        sa.Column("space_id", sa.String(64), nullable=False),
        sa.Column("pointer", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "pins",
        sa.Column("consumer", sa.String(64), primary_key=True),
        sa.Column("space_id", sa.String(64), nullable=False),
        if_not_exists=True,
    )
