"""Workflows that are paused and that have a deadline, and the backoff that a task has set."""  # noqa: INP001 - Alembic runs it, nobody imports it

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, and the index of the deadlines to come."""
    postgres = op.get_bind().dialect.name == "postgresql"
    schema, prefix = ("agentnb", "") if postgres else (None, "agentnb_")
    for name in ("paused", "deadline"):
        op.add_column(f"{prefix}workflow", sa.Column(name, sa.Double()), schema=schema)
    column = sa.Column("own_backoff", sa.Integer(), nullable=False, server_default=sa.text("0"))
    op.add_column(f"{prefix}task", column, schema=schema)
    where = sa.text("state = 'active' and deadline is not null")
    op.create_index(
        f"{prefix}workflow_deadline",
        f"{prefix}workflow",
        ["scope", "deadline"],
        schema=schema,
        sqlite_where=where,
        postgresql_where=where,
    )
