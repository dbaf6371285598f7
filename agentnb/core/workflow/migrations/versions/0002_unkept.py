"""Descriptions of results that could not be kept, of tasks and of steps."""  # noqa: INP001 - Alembic runs it, nobody imports it

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    postgres = op.get_bind().dialect.name == "postgresql"
    schema, prefix = ("agentnb", "") if postgres else (None, "agentnb_")
    for table in ("task", "task_step"):
        column = sa.Column("unkept", sa.Text(), nullable=True)
        op.add_column(prefix + table, column, schema=schema)
