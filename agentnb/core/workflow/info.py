"""Snapshots of tasks and agents, as of the time at which they were read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, get_args

import msgspec

from agentnb.core.codec import Unkept
from agentnb.core.moments import moment_of
from agentnb.core.typevars import D_co
from agentnb.core.work.identity import describe
from agentnb.core.workflow.usage import Usage

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

__all__ = [
    "NOT_KEPT",
    "TASK",
    "TASK_STATES",
    "WORKFLOW_STATES",
    "AgentInfo",
    "TaskInfo",
    "TaskState",
    "WorkflowState",
    "task_info",
]

TaskState: TypeAlias = Literal[
    "blocked",
    "approval",
    "delayed",
    "parked",
    "waiting",
    "active",
    "completed",
    "failed",
    "cancelled",
    "skipped",
]
WorkflowState: TypeAlias = Literal["active", "completed", "failed", "cancelled"]
TASK_STATES: tuple[TaskState, ...] = get_args(TaskState)
WORKFLOW_STATES: tuple[WorkflowState, ...] = get_args(WorkflowState)
NOT_KEPT = "done, not kept"
"""Standing of a completed task whose result could not be kept."""


@dataclass(frozen=True, slots=True)
class TaskInfo(Generic[D_co]):
    """A task as it stood when it was read; times are aware datetimes in UTC.

    An agent with a schema is given a ``TaskInfo[SCHEMA]``, whose data is of that type.

    Attributes
    ----------
    id, workflow_id, name
        Its own id, that of its workflow, and its name within that.
    agent
        The agent that does it.
    state
        ``blocked`` (what it needs is not completed), ``approval`` (waits for a person),
        ``delayed``, ``parked`` (waits for an answer, a time, an event or other tasks, and holds no
        worker), ``waiting`` (no worker has it yet), ``active``, ``completed``, ``failed``,
        ``cancelled``, ``skipped`` (what it needs did not come about).
    needs
        The names of the tasks that it needs.
    data, result
        Its data and its result, both as plain JSON; None while there is no result.
    unkept
        Description of a result that could not be kept; None for any other.
    error, traceback
        Why the last attempt failed, and where; None if none has.
    attempt, attempts
        Which attempt this is, from 1, or 0 before the first; and how many it has at most.
    priority
        The lower number runs first; 0 is that of a task without one.
    progress, message
        The agent's last progress: a fraction of 1 or None, and its last message.
    worker
        The worker that runs it, in short, or None.
    created, ready_at, started, finished
        When it was made, could run, its latest attempt began, and it ended; None if not yet.
    due
        When a delayed one may run, and when a parked one goes on at the latest; None for others.
    approval, approved_by
        Whether a person has to approve it, and the one who did.
    usage
        The requests, tokens and money that its language models took; None without any.
    trace_id
        The id of the trace in which its workflow was made; None without one, and where an agent
        is given it, which runs in that trace.
    """

    id: str
    workflow_id: str
    name: str
    agent: str
    state: TaskState
    needs: tuple[str, ...]
    data: D_co
    result: Any
    error: str | None
    attempt: int
    attempts: int
    priority: int
    progress: float | None
    message: str
    worker: str | None
    created: dt.datetime
    ready_at: dt.datetime | None
    started: dt.datetime | None
    finished: dt.datetime | None
    approval: bool
    approved_by: str | None
    due: dt.datetime | None = None
    traceback: str | None = None
    unkept: Unkept | None = None
    usage: Usage | None = None
    trace_id: str | None = None

    @property
    def standing(self) -> str:
        """Its state for people: ``done, not kept`` where its result could not be kept."""
        return self.state if self.unkept is None else NOT_KEPT


@dataclass(frozen=True, slots=True)
class AgentInfo:
    """An agent as it stood when it was read.

    Attributes
    ----------
    name, capabilities
        As it was registered.
    state
        ``working`` (on at least one task), ``idle`` (somebody would), ``no worker``.
    workers
        How many workers, of any process, would do its tasks.
    heartbeat
        The last heartbeat of one of them, as an aware datetime in UTC; None for none.
    module
        The module of its function.
    attempts, timeout
        For tasks that do not say.
    """

    name: str
    capabilities: tuple[str, ...]
    state: str
    workers: int
    heartbeat: dt.datetime | None
    module: str
    attempts: int
    timeout: float | None


TASK = (
    "id, workflow_id, name, agent, state, needs, data, result, error, attempt, attempts, priority, "
    "progress, message, owner, created, ready_at, started, finished, approval, approved_by, due, "
    "traceback, unkept, usage"
)
"""The columns that `task_info` wants."""


def task_info(row: Sequence[Any]) -> TaskInfo:
    """Return the snapshot of a row."""
    (number, workflow, name, agent, state, needs, data, result, error, *rest) = row
    (attempt, attempts, priority, progress, message, owner, *times) = rest
    created, ready_at, started, finished, approval, approved_by, due, traceback, *more = times
    unkept, usage = more
    return TaskInfo(
        id=number,
        workflow_id=workflow,
        name=name,
        agent=agent,
        state=state,
        needs=tuple(msgspec.json.decode(needs)),
        data=msgspec.json.decode(data),
        result=None if result is None else msgspec.json.decode(result),
        error=error,
        attempt=attempt,
        attempts=attempts,
        priority=priority,
        progress=progress,
        message=message,
        worker=describe(owner) if owner and state == "active" else None,
        created=moment_of(created),
        ready_at=moment_of(ready_at),
        started=moment_of(started),
        finished=moment_of(finished),
        approval=bool(approval),
        approved_by=approved_by,
        due=moment_of(due) if state in {"delayed", "parked"} else None,
        traceback=traceback,
        unkept=None if unkept is None else Unkept.read(unkept),
        usage=Usage.read(usage),
    )
