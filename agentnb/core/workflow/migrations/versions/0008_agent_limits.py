"""Limits of agents over all workers."""  # noqa: INP001 - Alembic runs it, nobody imports it

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    postgres = op.get_bind().dialect.name == "postgresql"
    schema, prefix = ("agentnb", "") if postgres else (None, "agentnb_")
    op.create_table(
        f"{prefix}agent_limit",
        sa.Column("scope", sa.Text(), primary_key=True, nullable=False),
        sa.Column("agent", sa.Text(), primary_key=True, nullable=False),
        sa.Column("rate", sa.Integer(), nullable=True),
        sa.Column("per", sa.Double(), nullable=True),
        sa.Column("concurrency", sa.Integer(), nullable=True),
        sa.Column("starts", sa.BigInteger(), nullable=False),
        schema=schema,
    )
    op.create_table(
        f"{prefix}agent_start",
        sa.Column("scope", sa.Text(), primary_key=True, nullable=False),
        sa.Column("agent", sa.Text(), primary_key=True, nullable=False),
        sa.Column("slot", sa.Integer(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        schema=schema,
    )
