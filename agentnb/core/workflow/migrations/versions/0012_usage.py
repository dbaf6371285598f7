"""The use that a task has made of language models."""  # noqa: INP001 - Alembic runs it, nobody imports it

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    postgres = op.get_bind().dialect.name == "postgresql"
    schema, prefix = ("agentnb", "") if postgres else (None, "agentnb_")
    op.add_column(f"{prefix}task", sa.Column("usage", sa.Text(), nullable=True), schema=schema)
