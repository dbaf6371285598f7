"""Indexes for bounded workflows apart from the others, and room for updates in place."""  # noqa: INP001 - Alembic runs it, nobody imports it

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ORDER = ["priority", "due", "place"]


def upgrade() -> None:
    """Make the indexes anew, and leave room in pages whose rows are updated often."""
    postgres = op.get_bind().dialect.name == "postgresql"
    schema, prefix = ("agentnb", "") if postgres else (None, "agentnb_")
    op.drop_index(f"{prefix}task_ready", f"{prefix}task", schema=schema)
    for index, table, columns, where in (
        ("task_ready", "task", ["scope", "agent", *_ORDER], "waiting' and max_parallel is null"),
        (
            "task_bounded",
            "task",
            ["workflow_id", "agent", *_ORDER],
            "waiting' and max_parallel is not null",
        ),
        ("workflow_bounded", "workflow", ["scope"], "active' and max_parallel is not null"),
    ):
        text = sa.text(f"state = '{where}")
        options: dict[str, Any] = {"sqlite_where": text, "postgresql_where": text}
        op.create_index(prefix + index, prefix + table, columns, schema=schema, **options)
    if postgres:
        # Counting a task and a heartbeat update a row in its page, without touching an index.
        for table, percent in (("workflow", 50), ("worker", 50), ("event", 85)):
            op.execute(f"alter table agentnb.{table} set (fillfactor = {percent})")
