"""The names of the tables, apart from their models: SQLAlchemy's ORM is needed for these alone."""

from __future__ import annotations

__all__ = ["SCHEMA", "VERSIONS", "names"]

SCHEMA = "agentnb"
VERSIONS = "alembic_version"
_TABLES = (
    *("workflow", "workflow_key", "task", "task_step", "task_wait", "event", "agent", "worker"),
    "pulse",
    *("identity", "schedule", "agent_limit", "agent_start", "stream"),
)


def names(kind: str) -> dict[str, str]:
    """Return the full names of the tables by their short ones.

    >>> names("sqlite")["task"], names("postgresql")["task"]
    ('agentnb_task', 'agentnb.task')
    """
    sign = "." if kind == "postgresql" else "_"
    return {name: f"{SCHEMA}{sign}{name}" for name in (*_TABLES, VERSIONS)}
