"""The digest of the arguments that a step was called with."""  # noqa: INP001 - Alembic runs it, nobody imports it

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    postgres = op.get_bind().dialect.name == "postgresql"
    schema, prefix = ("agentnb", "") if postgres else (None, "agentnb_")
    column = sa.Column("input", sa.Text(), nullable=True)
    op.add_column(f"{prefix}task_step", column, schema=schema)
