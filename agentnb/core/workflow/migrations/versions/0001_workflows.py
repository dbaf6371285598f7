"""Workflows, tasks, their steps, events, agents and workers."""  # noqa: INP001 - Alembic runs it, nobody imports it

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TEXT, _WHOLE = sa.Text(), sa.Integer()
_TIME: sa.Double[float] = sa.Double()


def upgrade() -> None:
    """Make the tables."""
    postgres = op.get_bind().dialect.name == "postgresql"
    schema, prefix = ("agentnb", "") if postgres else (None, "agentnb_")

    def table(name: str, *columns: sa.Column[object]) -> None:
        op.create_table(prefix + name, *columns, schema=schema)

    def index(name: str, of: str, columns: list[str], where: str | None = None) -> None:
        text = None if where is None else sa.text(where)
        options: dict[str, Any] = {"sqlite_where": text, "postgresql_where": text}
        op.create_index(prefix + name, prefix + of, columns, schema=schema, **options)

    op.create_table(
        f"{prefix}workflow",
        _key("id"),
        *_needed(_TEXT, "scope", "name"),
        _may("key", _TEXT),
        *_needed(_TEXT, "state", "data"),
        _may("max_parallel", _WHOLE),
        *_needed(_WHOLE, "pending"),
        *_needed(_TIME, "created"),
        _may("finished", _TIME),
        *(_may(name, _TEXT) for name in ("error", "traceparent", "correlation_id")),
        sa.UniqueConstraint("scope", "key", name=f"{prefix}workflow_key"),
        schema=schema,
    )
    index("workflow_newest", "workflow", ["scope", "created"])
    table(
        "task",
        _key("id"),
        *_needed(_TEXT, "workflow_id"),
        *_needed(_WHOLE, "place"),
        *_needed(_TEXT, "scope", "name", "agent", "state", "needs"),
        _may("frees", _TEXT),
        *_needed(_WHOLE, "missing"),
        *_needed(_TEXT, "data"),
        *(_may(name, _TEXT) for name in ("result", "error", "traceback", "log")),
        *_needed(_WHOLE, "attempt", "attempts", "priority"),
        *_needed(_TIME, "delay"),
        _may("timeout", _TIME),
        *_needed(_TIME, "backoff"),
        _may("max_parallel", _WHOLE),
        *_needed(_WHOLE, "approval"),
        _may("approved_by", _TEXT),
        *_needed(_WHOLE, "cancel"),
        _may("progress", _TIME),
        *_needed(_TEXT, "message"),
        _may("owner", _TEXT),
        *_needed(_TIME, "created"),
        *(_may(name, _TIME) for name in ("due", "ready_at", "started", "finished")),
    )
    ready = "state in ('waiting', 'delayed')"
    op.create_index(
        f"{prefix}task_of", f"{prefix}task", ["workflow_id", "place"], unique=True, schema=schema
    )
    index("task_ready", "task", ["scope", "priority", "due", "place", "agent"], ready)
    index("task_active", "task", ["scope", "workflow_id"], "state = 'active'")
    table(
        "task_step",
        _key("task_id"),
        _key("name"),
        *_needed(_TEXT, "result"),
        *_needed(_WHOLE, "attempt"),
        *_needed(_TIME, "created"),
    )
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    table(
        "event",
        sa.Column("seq", number, primary_key=True, autoincrement=True),
        *_needed(_TEXT, "id", "scope", "workflow_id", "type", "channel", "data"),
        *_needed(_TIME, "created", "taken"),
        _may("published", _TIME),
    )
    index("event_unpublished", "event", ["scope", "seq"], "published is null")
    index("event_of", "event", ["workflow_id", "seq"])
    table(
        "agent",
        _key("scope"),
        _key("name"),
        *_needed(_TEXT, "capabilities"),
        *_needed(_WHOLE, "retries"),
        _may("timeout", _TIME),
        *_needed(_TIME, "backoff"),
        *_needed(_TEXT, "module"),
        *_needed(_TIME, "registered"),
    )
    table(
        "worker",
        _key("scope"),
        _key("owner"),
        *_needed(_TEXT, "agents", "kind"),
        *_needed(_WHOLE, "concurrency"),
        *_needed(_TIME, "lease", "heartbeat"),
    )


def _key(name: str) -> sa.Column[object]:
    return sa.Column(name, _TEXT, primary_key=True, nullable=False)


def _needed(kind: object, *names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, kind, nullable=False) for name in names]  # type: ignore[arg-type]


def _may(name: str, kind: object) -> sa.Column[object]:
    return sa.Column(name, kind, nullable=True)  # type: ignore[arg-type]
