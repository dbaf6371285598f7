"""The kept results of steps are forgotten, so that the next attempt calls them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.errors import NotFoundError, RejectedError, did_you_mean
from agentnb.core.workflow.spec import shown
from agentnb.core.workflow.transactions import plain

if TYPE_CHECKING:
    from agentnb.core.workflow.transactions import Transaction

__all__ = ["forget", "forget_from"]

_ONE = "delete from {task_step} where task_id = :id and name = :step"
_WHEN = """
select created from {task_step} where task_id = :id and name = :step
union all select created from {task_wait} where task_id = :id and name = :step
"""
_FROM = tuple(
    f"delete from {{{table}}} where task_id = :id and created >= :created"
    for table in ("task_step", "task_wait")
)
# Its children that were made after that, and theirs, however deep.
_KIDS = """
with recursive kids(id) as (
  select id from {task} where parent = :id and created >= :created
  union select t.id from {task} t join kids k on t.parent = k.id
) select id from kids
"""
# Locked, so that no worker takes one meanwhile.
_STATES = f"select name, state from {{task}} where id in ({_KIDS}) order by place {{lock}}"
_LESS = f"""
update {{workflow}} set pending = pending - (select count(*) from {{task}} where id in ({_KIDS})
  and state not in ('completed', 'failed', 'cancelled', 'skipped')) where id = :workflow
"""
_REMOVE = tuple(
    f"delete from {{{table}}} where {column} in ({_KIDS})"
    for table, column in (
        ("task_step", "task_id"),
        ("task_wait", "task_id"),
        ("pulse", "task_id"),
        ("stream", "task_id"),
        ("task", "id"),
    )
)
_NAMES = """
select name from (select name, created from {task_step} where task_id = :id
  union all select name, created from {task_wait} where task_id = :id) kept
order by created, name
"""


def forget(tx: Transaction, workflow: str, task: tuple[Any, ...], step: str) -> None:
    """Forget the result of a step of a task, given as id and name.

    Raises
    ------
    NotFoundError
        It has no such step.
    """
    if not tx.run(_ONE, id=task[0], step=plain(str(step))):
        raise _missing(tx, workflow, task, step)


def forget_from(tx: Transaction, workflow: str, task: tuple[Any, ...], step: str) -> None:
    """Forget the result of a step or the answer of a wait, and all that was made after it.

    The children that were spawned after it are removed, with all that they kept: what is spawned
    of another result would be refused beside them.

    Raises
    ------
    NotFoundError
        It has no such step.
    RejectedError
        One of these children is running.
    """
    row = tx.row(_WHEN, id=task[0], step=plain(str(step)))
    if row is None:
        raise _missing(tx, workflow, task, step)
    _remove_children(tx, workflow, task, row[0])
    for statement in _FROM:
        tx.run(statement, id=task[0], created=row[0])


def _remove_children(tx: Transaction, workflow: str, task: tuple[Any, ...], created: float) -> None:
    """Remove the children of a task that were spawned at some time or later."""
    since = {"id": task[0], "created": created}
    running = [name for name, state in tx.rows(_STATES, **since) if state == "active"]
    if running:
        raise RejectedError(
            f"child {running[0]} of task {task[1]} is running, and would be made again",
            service="workflow",
            hint=f"wait until it has ended, or workflow.cancel() (%workflow cancel {workflow})",
        )
    tx.run(_LESS, workflow=workflow, **since)
    for statement in _REMOVE:
        tx.run(statement, **since)


def _missing(tx: Transaction, workflow: str, task: tuple[Any, ...], step: str) -> NotFoundError:
    steps = [str(row[0]) for row in tx.rows(_NAMES, id=task[0])]
    return NotFoundError(
        f"task {task[1]} of workflow {workflow} has no step {shown(step)}",
        service="workflow",
        hint=did_you_mean(str(step), steps) or f"it has: {', '.join(steps) or 'none'}",
    )
