"""The workflows that run and the tasks that have failed, in one statement each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from agentnb.core.trace.context import trace_id_of
from agentnb.core.workflow.forms import OpenWait, open_wait

if TYPE_CHECKING:
    from agentnb.core.workflow.transactions import Transaction

__all__ = ["FailedTask", "RunningWorkflow", "failed_tasks", "running_workflows"]

_RUNNING = """
select w.id, w.name, {now} - w.created, count(*),
  sum(case when t.state = 'completed' then 1 else 0 end),
  sum(case when t.state = 'active' then 1 else 0 end),
  sum(case when t.state in ('failed', 'cancelled', 'skipped') then 1 else 0 end),
  sum(case when t.state = 'approval' then 1 else 0 end),
  min(case when t.state = 'approval' then t.name end),
  {now} - case when sum(case when t.state = 'approval' then 1 else 0 end) > 0 then (select
    max(e.created) from {event} e where e.workflow_id = w.id and e.type = 'TASK_APPROVAL') end,
  w.paused is not null
from {workflow} w join {task} t on t.workflow_id = w.id
where w.scope = :scope and w.state = 'active'
group by w.id, w.name, w.created, w.paused order by w.created desc, w.id desc limit :n
"""
_FAILED = """
select w.id, w.name, t.name, t.agent, t.error, coalesce(t.finished, t.created),
  coalesce(w.traceparent, '')
from {task} t join {workflow} w on w.id = t.workflow_id
where t.scope = :scope and t.state = 'failed' order by t.finished desc limit :n
"""


_ASKED = """
from {task_wait} w join {task} t on t.id = w.task_id
where w.scope = :scope and w.state = 'open' and w.kind = 'ask'
  and t.state in ('parked', 'active', 'waiting', 'delayed') and w.workflow_id {in_names}
"""
_QUESTIONS = f"""
select w.workflow_id, t.name, w.name, w.kind, w.question, w.form, w.addressee, w.due, w.created,
  w.error {_ASKED} order by w.created, w.name limit :n
"""
_COUNTS = f"select w.workflow_id, count(*) {_ASKED} group by w.workflow_id"
_MOST_QUESTIONS = 200


class RunningWorkflow(NamedTuple):
    """A workflow that has not ended.

    Attributes
    ----------
    id, name
        Which workflow.
    age
        Seconds since it was made.
    tasks, completed, active, failed, approvals
        The number of its tasks, and of those that are completed, run now, have failed (or were
        cancelled or skipped), and wait for a person.
    approval
        The name of a task that waits for a person, or None.
    waited
        Seconds since a person was last asked for one of those, or None.
    paused
        Whether it is paused.
    questions, question
        How many questions of its tasks are open, and the oldest of them, or None.
    """

    id: str
    name: str
    age: float
    tasks: int
    completed: int
    active: int
    failed: int
    approvals: int
    approval: str | None
    waited: float | None
    paused: bool = False
    questions: int = 0
    question: OpenWait | None = None


class FailedTask(NamedTuple):
    """A task that has failed for good.

    Attributes
    ----------
    workflow_id, workflow, name, agent
        Its workflow's id and name, its own name, and its agent.
    error
        Class and message of its last error.
    when
        When it failed, in seconds since the epoch.
    trace_id
        The trace that it belongs to, or None.
    """

    workflow_id: str
    workflow: str
    name: str
    agent: str
    error: str
    when: float
    trace_id: str | None


def running_workflows(tx: Transaction, scope: str, n: int) -> list[RunningWorkflow]:
    """Return the newest `n` workflows that have not ended."""
    found = [RunningWorkflow(*row) for row in tx.rows(_RUNNING, scope=scope, n=n)]
    names = msgspec.json.encode([one.id for one in found]).decode()
    counts = dict(tx.rows(_COUNTS, scope=scope, names=names)) if found else {}
    if not counts:
        return found
    oldest: dict[str, OpenWait] = {}
    for row in tx.rows(_QUESTIONS, scope=scope, names=names, n=_MOST_QUESTIONS):
        oldest.setdefault(row[0], open_wait(row))
    return [
        one._replace(questions=counts.get(one.id, 0), question=oldest.get(one.id)) for one in found
    ]


def failed_tasks(tx: Transaction, scope: str, n: int) -> list[FailedTask]:
    """Return the last `n` tasks that failed, newest first."""
    return [
        FailedTask(number, workflow, name, agent, error or "unknown", when, trace_id_of(trace))
        for number, workflow, name, agent, error, when, trace in tx.rows(_FAILED, scope=scope, n=n)
    ]
