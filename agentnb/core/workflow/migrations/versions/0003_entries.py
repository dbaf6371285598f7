"""Entries and deaths of tasks, idempotency keys in a table of their own, attempts of agents."""  # noqa: INP001 - Alembic runs it, nobody imports it

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_WHOLE = sa.Integer()


def upgrade() -> None:
    """Add the columns, the table and the indexes."""
    postgres = op.get_bind().dialect.name == "postgresql"
    schema, prefix = ("agentnb", "") if postgres else (None, "agentnb_")
    sign = "agentnb." if postgres else "agentnb_"

    # What a task of an earlier version has set itself is not known: all of it counts as its own.
    for name, value in (("entry", 0), ("deaths", 0), ("own_attempts", 1), ("own_timeout", 1)):
        column = sa.Column(name, _WHOLE, nullable=False, server_default=sa.text(str(value)))
        op.add_column(f"{prefix}task", column, schema=schema)
    op.add_column(f"{prefix}task", sa.Column("ended", _WHOLE, nullable=True), schema=schema)

    # On PostgreSQL the constraint has the name that the table gets.
    with op.batch_alter_table(f"{prefix}workflow", schema=schema) as batch:
        batch.drop_constraint(f"{prefix}workflow_key", type_="unique")
    op.create_table(
        f"{prefix}workflow_key",
        sa.Column("scope", sa.Text(), primary_key=True, nullable=False),
        sa.Column("key", sa.Text(), primary_key=True, nullable=False),
        sa.Column("workflow_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=True),
        sa.Column("created", sa.Double(), nullable=False),
        schema=schema,
    )
    op.execute(
        f"insert into {sign}workflow_key (scope, key, workflow_id, created) "
        f"select scope, key, id, created from {sign}workflow where key is not null"
    )
    op.execute(f"alter table {sign}agent rename column retries to attempts")
    op.execute(f"update {sign}agent set attempts = attempts + 1")

    op.drop_index(f"{prefix}task_ready", f"{prefix}task", schema=schema)
    for index, state, columns in (
        ("task_ready", "waiting", ["scope", "agent", "priority", "due", "place"]),
        ("task_due", "delayed", ["scope", "agent", "due"]),
    ):
        text = sa.text(f"state = '{state}'")
        where: dict[str, Any] = {"sqlite_where": text, "postgresql_where": text}
        op.create_index(prefix + index, f"{prefix}task", columns, schema=schema, **where)
    op.create_index(
        f"{prefix}task_named", f"{prefix}task", ["workflow_id", "name"], unique=True, schema=schema
    )
