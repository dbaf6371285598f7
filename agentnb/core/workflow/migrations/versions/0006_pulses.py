"""Signs of life of attempts that run in other processes, and the identity of a scope."""  # noqa: INP001 - Alembic runs it, nobody imports it

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    postgres = op.get_bind().dialect.name == "postgresql"
    schema, prefix = ("agentnb", "") if postgres else (None, "agentnb_")
    op.create_table(
        f"{prefix}pulse",
        sa.Column("task_id", sa.Text(), primary_key=True, nullable=False),
        sa.Column("entry", sa.Integer(), nullable=False),
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("begun", sa.Double(), nullable=False),
        sa.Column("silent", sa.Double(), nullable=False),
        schema=schema,
    )
    op.create_table(
        f"{prefix}identity",
        sa.Column("scope", sa.Text(), primary_key=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        schema=schema,
    )
    if postgres:
        # A sign of life updates a row in its page.
        op.execute("alter table agentnb.pulse set (fillfactor = 50)")
