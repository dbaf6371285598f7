"""The host, the executor and the start of a worker."""  # noqa: INP001 - Alembic runs it, nobody imports it

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    postgres = op.get_bind().dialect.name == "postgresql"
    schema, prefix = ("agentnb", "") if postgres else (None, "agentnb_")
    for name, kind in (("host", sa.Text()), ("executor", sa.Text()), ("started", sa.Double())):
        op.add_column(f"{prefix}worker", sa.Column(name, kind, nullable=True), schema=schema)
