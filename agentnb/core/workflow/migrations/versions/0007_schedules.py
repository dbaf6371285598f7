"""Schedules, which make workflows at their times."""  # noqa: INP001 - Alembic runs it, nobody imports it

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    postgres = op.get_bind().dialect.name == "postgresql"
    schema, prefix = ("agentnb", "") if postgres else (None, "agentnb_")
    op.create_table(
        f"{prefix}schedule",
        sa.Column("scope", sa.Text(), primary_key=True, nullable=False),
        sa.Column("name", sa.Text(), primary_key=True, nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("due", sa.Double(), nullable=True),
        sa.Column("paused", sa.Integer(), nullable=False),
        sa.Column("fired", sa.Integer(), nullable=False),
        sa.Column("last", sa.Double(), nullable=True),
        sa.Column("last_id", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        schema=schema,
    )
    op.create_index(f"{prefix}schedule_due", f"{prefix}schedule", ["scope", "due"], schema=schema)
