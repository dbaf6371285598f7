"""Waits of tasks, tasks that others have spawned, and the time of the first entry."""  # noqa: INP001 - Alembic runs it, nobody imports it

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_WAIT: dict[str, Any] = {
    **dict.fromkeys(("task_id", "name"), (sa.Text, "key")),
    **dict.fromkeys(("scope", "workflow_id", "kind", "state", "question"), (sa.Text, "")),
    **dict.fromkeys(("form", "addressee", "what"), (sa.Text, "null")),
    "remaining": (sa.Integer, "null"),
    **dict.fromkeys(("strict", "entry"), (sa.Integer, "")),
    **dict.fromkeys(("answer", "by", "error"), (sa.Text, "null")),
    "created": (sa.Double, ""),
    **dict.fromkeys(("since", "due", "ended"), (sa.Double, "null")),
}


def upgrade() -> None:
    """Add the table, the columns and the indexes."""
    postgres = op.get_bind().dialect.name == "postgresql"
    schema, prefix = ("agentnb", "") if postgres else (None, "agentnb_")
    columns = [
        sa.Column(name, kind(), primary_key=role == "key", nullable=role == "null")
        for name, (kind, role) in _WAIT.items()
    ]
    op.create_table(f"{prefix}task_wait", *columns, schema=schema)
    looked = sa.Column("looked", sa.Integer(), nullable=False, server_default=sa.text("0"))
    for column in (sa.Column("parent", sa.Text()), looked, sa.Column("began", sa.Double())):
        op.add_column(f"{prefix}task", column, schema=schema)
    op.drop_index(f"{prefix}task_due", f"{prefix}task", schema=schema)
    due = "state in ('delayed', 'parked') and due is not null"
    for index, table, where, names in (
        ("task_due", "task", due, ["scope", "agent", "due"]),
        ("task_children", "task", "parent is not null", ["parent"]),
        ("task_wait_open", "task_wait", "state = 'open'", ["scope", "kind"]),
    ):
        text = sa.text(where)
        options: dict[str, Any] = {"sqlite_where": text, "postgresql_where": text}
        op.create_index(prefix + index, prefix + table, names, schema=schema, **options)
