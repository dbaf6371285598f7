"""The tables, as SQLAlchemy models: for migrations, and for queries by SQLAlchemy.

Frequent statements are plain SQL on the same tables: `agentnb.core.workflow.transactions`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, Index, Integer, MetaData, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column
from sqlalchemy.types import Double

from agentnb.core.workflow.table_names import SCHEMA

__all__ = ["Models", "models"]

_SNAKE = re.compile(r"(?<=[a-z])([A-Z])")
_FREE = "state = 'waiting' and max_parallel is null"
_BOUNDED = "state = 'waiting' and max_parallel is not null"
_DUE = "state in ('delayed', 'parked') and due is not null"
_ORDER = ("priority", "due", "place")
_BOUNDED_WORKFLOW = "state = 'active' and max_parallel is not null"
_LIMITED_IN_TIME = "state = 'active' and deadline is not null"


class Models:
    """The models of one kind of database.

    Attributes
    ----------
    metadata
        Of all of them.
    WorkflowRow, WorkflowKeyRow, TaskRow, TaskStepRow, TaskWaitRow, EventRow, AgentRow, WorkerRow,
    PulseRow, IdentityRow, ScheduleRow, AgentLimitRow, AgentStartRow, StreamRow
        The models. Values are kept as JSON text, times as seconds since the epoch.
    """

    metadata: MetaData
    WorkflowRow: Any
    WorkflowKeyRow: Any
    TaskRow: Any
    TaskStepRow: Any
    TaskWaitRow: Any
    EventRow: Any
    AgentRow: Any
    WorkerRow: Any
    PulseRow: Any
    IdentityRow: Any
    ScheduleRow: Any
    AgentLimitRow: Any
    AgentStartRow: Any
    StreamRow: Any


@lru_cache(maxsize=2)
def models(kind: str) -> Models:
    """Return the models for ``"postgresql"`` or ``"sqlite"``."""
    schema, prefix = (SCHEMA, "") if kind == "postgresql" else (None, f"{SCHEMA}_")

    class Base(DeclarativeBase):
        metadata = MetaData(schema=schema)

        @declared_attr.directive
        def __tablename__(cls) -> str:  # noqa: N805 - SQLAlchemy calls it with the class
            word = cls.__name__.removesuffix("Row")
            return prefix + _SNAKE.sub(r"_\1", word).lower()

    class WorkflowRow(Base):
        """A workflow. ``pending`` is how many of its tasks have not ended.

        ``paused`` is the time since which no task of it is claimed; ``deadline`` that at which
        all that is left of it is cancelled.
        """

        __table_args__ = (
            Index(f"{prefix}workflow_newest", "scope", "created"),
            Index(
                f"{prefix}workflow_bounded",
                "scope",
                sqlite_where=text(_BOUNDED_WORKFLOW),
                postgresql_where=text(_BOUNDED_WORKFLOW),
            ),
            Index(
                f"{prefix}workflow_deadline",
                *("scope", "deadline"),
                sqlite_where=text(_LIMITED_IN_TIME),
                postgresql_where=text(_LIMITED_IN_TIME),
            ),
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
        paused: Mapped[float | None] = mapped_column(Double)
        deadline: Mapped[float | None] = mapped_column(Double)
        error: Mapped[str | None] = mapped_column(Text)
        traceparent: Mapped[str | None] = mapped_column(Text)
        correlation_id: Mapped[str | None] = mapped_column(Text)

    class WorkflowKeyRow(Base):
        """An idempotency key, the workflow made with it, and a digest of what was asked for."""

        scope: Mapped[str] = mapped_column(Text, primary_key=True)
        key: Mapped[str] = mapped_column(Text, primary_key=True)
        workflow_id: Mapped[str] = mapped_column(Text)
        digest: Mapped[str | None] = mapped_column(Text)
        created: Mapped[float] = mapped_column(Double)

    class TaskRow(Base):
        """A task. ``missing`` is the number of its needs that are not completed.

        ``frees`` holds the places of the tasks that need it. ``entry`` is raised by every claim
        and never set back; ``ended`` is the entry that its own worker ended last. ``deaths`` is
        how many workers died while they ran it beside other tasks. ``own_attempts``,
        ``own_timeout`` and ``own_backoff`` say whether the task, and not its agent, has set
        them. ``max_parallel`` is that of its workflow, and 0 while this is paused.
        ``parent`` is the task that has spawned it, and ``looked`` whether that was given its
        failure. ``began`` is the time of its first entry.
        """

        __table_args__ = (
            Index(f"{prefix}task_of", "workflow_id", "place", unique=True),
            Index(f"{prefix}task_named", "workflow_id", "name", unique=True),
            *(
                Index(
                    prefix + name,
                    *columns,
                    sqlite_where=text(where),
                    postgresql_where=text(where),
                )
                for name, where, columns in (
                    ("task_ready", _FREE, ("scope", "agent", *_ORDER)),
                    ("task_bounded", _BOUNDED, ("workflow_id", "agent", *_ORDER)),
                    ("task_due", _DUE, ("scope", "agent", "due")),
                    ("task_children", "parent is not null", ("parent",)),
                )
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
        entry: Mapped[int] = mapped_column(Integer)
        ended: Mapped[int | None] = mapped_column(Integer)
        deaths: Mapped[int] = mapped_column(Integer)
        own_attempts: Mapped[int] = mapped_column(Integer)
        own_timeout: Mapped[int] = mapped_column(Integer)
        own_backoff: Mapped[int] = mapped_column(Integer, server_default=text("0"))
        priority: Mapped[int] = mapped_column(Integer)
        delay: Mapped[float] = mapped_column(Double)
        timeout: Mapped[float | None] = mapped_column(Double)
        backoff: Mapped[float] = mapped_column(Double)
        max_parallel: Mapped[int | None] = mapped_column(Integer)
        approval: Mapped[int] = mapped_column(Integer)
        approved_by: Mapped[str | None] = mapped_column(Text)
        cancel: Mapped[int] = mapped_column(Integer)
        unkept: Mapped[str | None] = mapped_column(Text)
        usage: Mapped[str | None] = mapped_column(Text)
        progress: Mapped[float | None] = mapped_column(Double)
        message: Mapped[str] = mapped_column(Text)
        owner: Mapped[str | None] = mapped_column(Text)
        parent: Mapped[str | None] = mapped_column(Text)
        looked: Mapped[int] = mapped_column(Integer, server_default=text("0"))
        began: Mapped[float | None] = mapped_column(Double)
        created: Mapped[float] = mapped_column(Double)
        due: Mapped[float | None] = mapped_column(Double)
        ready_at: Mapped[float | None] = mapped_column(Double)
        started: Mapped[float | None] = mapped_column(Double)
        finished: Mapped[float | None] = mapped_column(Double)

    class TaskStepRow(Base):
        """The result of a step that is not done again.

        ``unkept`` describes one that was not kept; ``input`` is a digest of the arguments.
        """

        task_id: Mapped[str] = mapped_column(Text, primary_key=True)
        name: Mapped[str] = mapped_column(Text, primary_key=True)
        result: Mapped[str] = mapped_column(Text)
        unkept: Mapped[str | None] = mapped_column(Text)
        input: Mapped[str | None] = mapped_column(Text)
        attempt: Mapped[int] = mapped_column(Integer)
        created: Mapped[float] = mapped_column(Double)

    class TaskWaitRow(Base):
        """A wait of a task: for an answer, a time, an event or other tasks.

        ``what`` is what it is for: a pattern of channels with the wanted values, or the ids of
        tasks. ``remaining`` is how many of those have not ended, ``strict`` whether the first
        that fails ends the wait. ``entry`` is the last entry of the task that was parked by it.
        """

        __table_args__ = (
            Index(
                f"{prefix}task_wait_open",
                *("scope", "kind"),
                sqlite_where=text("state = 'open'"),
                postgresql_where=text("state = 'open'"),
            ),
        )
        task_id: Mapped[str] = mapped_column(Text, primary_key=True)
        name: Mapped[str] = mapped_column(Text, primary_key=True)
        scope: Mapped[str] = mapped_column(Text)
        workflow_id: Mapped[str] = mapped_column(Text)
        kind: Mapped[str] = mapped_column(Text)
        state: Mapped[str] = mapped_column(Text)
        question: Mapped[str] = mapped_column(Text)
        form: Mapped[str | None] = mapped_column(Text)
        addressee: Mapped[str | None] = mapped_column(Text)
        what: Mapped[str | None] = mapped_column(Text)
        remaining: Mapped[int | None] = mapped_column(Integer)
        strict: Mapped[int] = mapped_column(Integer)
        entry: Mapped[int] = mapped_column(Integer)
        answer: Mapped[str | None] = mapped_column(Text)
        by: Mapped[str | None] = mapped_column(Text)
        error: Mapped[str | None] = mapped_column(Text)
        created: Mapped[float] = mapped_column(Double)
        since: Mapped[float | None] = mapped_column(Double)
        due: Mapped[float | None] = mapped_column(Double)
        ended: Mapped[float | None] = mapped_column(Double)

    class EventRow(Base):
        """An event: the outbox. ``taken`` is the time until which a relay is publishing it."""

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
        """An agent, as it was registered last."""

        scope: Mapped[str] = mapped_column(Text, primary_key=True)
        name: Mapped[str] = mapped_column(Text, primary_key=True)
        capabilities: Mapped[str] = mapped_column(Text)
        attempts: Mapped[int] = mapped_column(Integer)
        timeout: Mapped[float | None] = mapped_column(Double)
        backoff: Mapped[float] = mapped_column(Double)
        module: Mapped[str] = mapped_column(Text)
        registered: Mapped[float] = mapped_column(Double)

    class AgentLimitRow(Base):
        """The limit of an agent over all workers. ``starts`` counts those of its rate."""

        scope: Mapped[str] = mapped_column(Text, primary_key=True)
        agent: Mapped[str] = mapped_column(Text, primary_key=True)
        rate: Mapped[int | None] = mapped_column(Integer)
        per: Mapped[float | None] = mapped_column(Double)
        concurrency: Mapped[int | None] = mapped_column(Integer)
        starts: Mapped[int] = mapped_column(BigInteger)

    class AgentStartRow(Base):
        """A start of an agent with a rate: one of a ring of as many."""

        scope: Mapped[str] = mapped_column(Text, primary_key=True)
        agent: Mapped[str] = mapped_column(Text, primary_key=True)
        slot: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
        at: Mapped[float] = mapped_column(Double)

    class WorkerRow(Base):
        """A worker, and its last heartbeat: the lease of all that it works on."""

        scope: Mapped[str] = mapped_column(Text, primary_key=True)
        owner: Mapped[str] = mapped_column(Text, primary_key=True)
        agents: Mapped[str] = mapped_column(Text)
        kind: Mapped[str] = mapped_column(Text)
        concurrency: Mapped[int] = mapped_column(Integer)
        lease: Mapped[float] = mapped_column(Double)
        heartbeat: Mapped[float] = mapped_column(Double)
        shared: Mapped[int] = mapped_column(Integer, server_default=text("0"))
        host: Mapped[str | None] = mapped_column(Text)
        executor: Mapped[str | None] = mapped_column(Text)
        started: Mapped[float | None] = mapped_column(Double)

    class PulseRow(Base):
        """The begin and the last sign of life of an attempt in another process than its worker's.

        ``silent`` is the time from which it counts as silent. It is of the task's last entry that
        was begun so, and stays behind it.
        """

        task_id: Mapped[str] = mapped_column(Text, primary_key=True)
        entry: Mapped[int] = mapped_column(Integer)
        process: Mapped[str] = mapped_column(Text)
        begun: Mapped[float] = mapped_column(Double)
        silent: Mapped[float] = mapped_column(Double)

    class IdentityRow(Base):
        """The identity of a scope, by which two processes see that they share it."""

        scope: Mapped[str] = mapped_column(Text, primary_key=True)
        id: Mapped[str] = mapped_column(Text)

    class ScheduleRow(Base):
        """A schedule. ``due`` is its next time, none while it is paused or has ended."""

        __table_args__ = (Index(f"{prefix}schedule_due", "scope", "due"),)
        scope: Mapped[str] = mapped_column(Text, primary_key=True)
        name: Mapped[str] = mapped_column(Text, primary_key=True)
        spec: Mapped[str] = mapped_column(Text)
        revision: Mapped[int] = mapped_column(Integer)
        due: Mapped[float | None] = mapped_column(Double)
        paused: Mapped[int] = mapped_column(Integer)
        fired: Mapped[int] = mapped_column(Integer)
        last: Mapped[float | None] = mapped_column(Double)
        last_id: Mapped[str | None] = mapped_column(Text)
        error: Mapped[str | None] = mapped_column(Text)

    class StreamRow(Base):
        """Values of a task's stream, written at once; or a reset, which has none.

        ``seq`` orders the rows of a task; one below 0 waits for its step to be answered.
        ``first`` is the number of its first value in the stream. ``step`` has the names of the
        steps that it was written in, the outermost first, a line each.
        """

        task_id: Mapped[str] = mapped_column(Text, primary_key=True)
        seq: Mapped[int] = mapped_column(
            BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False
        )
        name: Mapped[str] = mapped_column(Text)
        step: Mapped[str] = mapped_column(Text)
        first: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"))
        number: Mapped[int] = mapped_column(Integer)
        size: Mapped[int] = mapped_column(Integer)
        data: Mapped[str] = mapped_column(Text)
        attempt: Mapped[int] = mapped_column(Integer)
        created: Mapped[float] = mapped_column(Double)

    made = Models()
    made.metadata = Base.metadata
    for one in (
        *(WorkflowRow, WorkflowKeyRow, TaskRow, TaskStepRow, TaskWaitRow, EventRow, AgentRow),
        *(WorkerRow, PulseRow, IdentityRow),
        *(ScheduleRow, AgentLimitRow, AgentStartRow, StreamRow),
    ):
        setattr(made, one.__name__, one)
    return made
