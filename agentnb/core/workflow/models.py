"""The tables, as SQLAlchemy models: for migrations, and for whoever queries them by SQLAlchemy.

What runs often is plain SQL on the same tables, see `agentnb.core.workflow.link`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, Index, Integer, MetaData, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column
from sqlalchemy.types import Double

__all__ = ["Models", "models", "names"]

_TABLES = ("workflow", "task", "task_step", "event", "agent", "worker")
SCHEMA = "agentnb"
VERSIONS = "alembic_version"
_READY = "state in ('waiting', 'delayed')"


def names(kind: str) -> dict[str, str]:
    """Return the full names of the tables by their short ones.

    >>> names("sqlite")["task"], names("postgresql")["task"]
    ('agentnb_task', 'agentnb.task')
    """
    sign = "." if kind == "postgresql" else "_"
    return {name: f"{SCHEMA}{sign}{name}" for name in (*_TABLES, VERSIONS)}


class Models:
    """The models of one kind of database.

    Attributes
    ----------
    metadata
        Of all of them.
    WorkflowRow, TaskRow, TaskStepRow, EventRow, AgentRow, WorkerRow
        The models. Values are kept as JSON text, times as seconds since the epoch.
    """

    metadata: MetaData
    WorkflowRow: Any
    TaskRow: Any
    TaskStepRow: Any
    EventRow: Any
    AgentRow: Any
    WorkerRow: Any


@lru_cache(maxsize=2)
def models(kind: str) -> Models:
    """Return the models for ``"postgresql"`` or ``"sqlite"``."""
    schema, prefix = (SCHEMA, "") if kind == "postgresql" else (None, f"{SCHEMA}_")

    class Base(DeclarativeBase):
        metadata = MetaData(schema=schema)

        @declared_attr.directive
        def __tablename__(cls) -> str:  # noqa: N805 - SQLAlchemy calls it with the class
            word = cls.__name__.removesuffix("Row")
            return prefix + {"TaskStep": "task_step"}.get(word, word.lower())

    class WorkflowRow(Base):
        """A workflow. ``pending`` is how many of its tasks have not ended."""

        __table_args__ = (
            UniqueConstraint("scope", "key", name=f"{prefix}workflow_key"),
            Index(f"{prefix}workflow_newest", "scope", "created"),
        )
        id: Mapped[str] = mapped_column(Text, primary_key=True)
        scope: Mapped[str] = mapped_column(Text)
        name: Mapped[str] = mapped_column(Text)
        key: Mapped[str | None] = mapped_column(Text)
        state: Mapped[str] = mapped_column(Text)
        data: Mapped[str] = mapped_column(Text)
        max_parallel: Mapped[int | None] = mapped_column(Integer)
        pending: Mapped[int] = mapped_column(Integer)
        created: Mapped[float] = mapped_column(Double)
        finished: Mapped[float | None] = mapped_column(Double)
        error: Mapped[str | None] = mapped_column(Text)
        traceparent: Mapped[str | None] = mapped_column(Text)
        correlation_id: Mapped[str | None] = mapped_column(Text)

    class TaskRow(Base):
        """A task. ``missing`` is how many of its needs are not done, ``frees`` who needs it."""

        __table_args__ = (
            Index(f"{prefix}task_of", "workflow_id", "place", unique=True),
            Index(
                f"{prefix}task_ready",
                *("scope", "priority", "due", "place", "agent"),
                sqlite_where=text(_READY),
                postgresql_where=text(_READY),
            ),
            Index(
                f"{prefix}task_active",
                "scope",
                "workflow_id",
                sqlite_where=text("state = 'active'"),
                postgresql_where=text("state = 'active'"),
            ),
        )
        id: Mapped[str] = mapped_column(Text, primary_key=True)
        workflow_id: Mapped[str] = mapped_column(Text)
        place: Mapped[int] = mapped_column(Integer)
        scope: Mapped[str] = mapped_column(Text)
        name: Mapped[str] = mapped_column(Text)
        agent: Mapped[str] = mapped_column(Text)
        state: Mapped[str] = mapped_column(Text)
        needs: Mapped[str] = mapped_column(Text)
        frees: Mapped[str | None] = mapped_column(Text)
        missing: Mapped[int] = mapped_column(Integer)
        data: Mapped[str] = mapped_column(Text)
        result: Mapped[str | None] = mapped_column(Text)
        error: Mapped[str | None] = mapped_column(Text)
        traceback: Mapped[str | None] = mapped_column(Text)
        log: Mapped[str | None] = mapped_column(Text)
        attempt: Mapped[int] = mapped_column(Integer)
        attempts: Mapped[int] = mapped_column(Integer)
        priority: Mapped[int] = mapped_column(Integer)
        delay: Mapped[float] = mapped_column(Double)
        timeout: Mapped[float | None] = mapped_column(Double)
        backoff: Mapped[float] = mapped_column(Double)
        max_parallel: Mapped[int | None] = mapped_column(Integer)
        approval: Mapped[int] = mapped_column(Integer)
        approved_by: Mapped[str | None] = mapped_column(Text)
        cancel: Mapped[int] = mapped_column(Integer)
        unkept: Mapped[str | None] = mapped_column(Text)
        progress: Mapped[float | None] = mapped_column(Double)
        message: Mapped[str] = mapped_column(Text)
        owner: Mapped[str | None] = mapped_column(Text)
        created: Mapped[float] = mapped_column(Double)
        due: Mapped[float | None] = mapped_column(Double)
        ready_at: Mapped[float | None] = mapped_column(Double)
        started: Mapped[float | None] = mapped_column(Double)
        finished: Mapped[float | None] = mapped_column(Double)

    class TaskStepRow(Base):
        """The result of a step that is not done again. ``unkept`` describes one not kept."""

        task_id: Mapped[str] = mapped_column(Text, primary_key=True)
        name: Mapped[str] = mapped_column(Text, primary_key=True)
        result: Mapped[str] = mapped_column(Text)
        unkept: Mapped[str | None] = mapped_column(Text)
        attempt: Mapped[int] = mapped_column(Integer)
        created: Mapped[float] = mapped_column(Double)

    class EventRow(Base):
        """What happened: the outbox. ``taken`` is until when somebody is publishing it."""

        __table_args__ = (
            Index(
                f"{prefix}event_unpublished",
                *("scope", "seq"),
                sqlite_where=text("published is null"),
                postgresql_where=text("published is null"),
            ),
            Index(f"{prefix}event_of", "workflow_id", "seq"),
        )
        seq: Mapped[int] = mapped_column(
            BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
        )
        id: Mapped[str] = mapped_column(Text)
        scope: Mapped[str] = mapped_column(Text)
        workflow_id: Mapped[str] = mapped_column(Text)
        type: Mapped[str] = mapped_column(Text)
        channel: Mapped[str] = mapped_column(Text)
        data: Mapped[str] = mapped_column(Text)
        created: Mapped[float] = mapped_column(Double)
        taken: Mapped[float] = mapped_column(Double)
        published: Mapped[float | None] = mapped_column(Double)

    class AgentRow(Base):
        """An agent that has been registered, by whomever was the last."""

        scope: Mapped[str] = mapped_column(Text, primary_key=True)
        name: Mapped[str] = mapped_column(Text, primary_key=True)
        capabilities: Mapped[str] = mapped_column(Text)
        retries: Mapped[int] = mapped_column(Integer)
        timeout: Mapped[float | None] = mapped_column(Double)
        backoff: Mapped[float] = mapped_column(Double)
        module: Mapped[str] = mapped_column(Text)
        registered: Mapped[float] = mapped_column(Double)

    class WorkerRow(Base):
        """A worker, and its last heartbeat: the lease of all that it works on."""

        scope: Mapped[str] = mapped_column(Text, primary_key=True)
        owner: Mapped[str] = mapped_column(Text, primary_key=True)
        agents: Mapped[str] = mapped_column(Text)
        kind: Mapped[str] = mapped_column(Text)
        concurrency: Mapped[int] = mapped_column(Integer)
        lease: Mapped[float] = mapped_column(Double)
        heartbeat: Mapped[float] = mapped_column(Double)

    made = Models()
    made.metadata = Base.metadata
    for one in (WorkflowRow, TaskRow, TaskStepRow, EventRow, AgentRow, WorkerRow):
        setattr(made, one.__name__, one)
    return made
