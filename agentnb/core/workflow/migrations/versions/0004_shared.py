"""Whether a worker shares its process with others."""  # noqa: INP001 - Alembic runs it, nobody imports it

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    postgres = op.get_bind().dialect.name == "postgresql"
    schema, prefix = ("agentnb", "") if postgres else (None, "agentnb_")
    column = sa.Column("shared", sa.Integer(), nullable=False, server_default=sa.text("0"))
    op.add_column(f"{prefix}worker", column, schema=schema)
