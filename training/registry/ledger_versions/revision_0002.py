"""Every decision of a gate instead of its last one, and what is about to be done to the pointer.

The last decisions are taken over as first attempts; the table `gate_decisions` that they stood in is left behind.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables that are missing, and copy the decisions of a ledger that kept the last ones alone."""
    op.create_table(
        "gates",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("partition", sa.String(10), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("accepted", sa.Boolean, nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.UniqueConstraint("subject", "partition", "attempt"),
        if_not_exists=True,
    )
    op.create_table(
        "intents",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("pointer", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        if_not_exists=True,
    )
    if sa.inspect(op.get_bind()).has_table("gate_decisions"):
        op.execute(
            "insert into gates (subject, partition, attempt, accepted, decision) "
            "select subject, partition, 1, accepted, decision from gate_decisions "
            "where not exists (select 1 from gates) order by sequence"
        )
