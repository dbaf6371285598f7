"""The kept results of steps are forgotten, so that the next attempt calls them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.errors import NotFoundError, did_you_mean
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
    """Forget the result of a step or the answer of a wait, and all that were kept after it.

    Raises
    ------
    NotFoundError
        It has no such step.
    """
    row = tx.row(_WHEN, id=task[0], step=plain(str(step)))
    if row is None:
        raise _missing(tx, workflow, task, step)
    for statement in _FROM:
        tx.run(statement, id=task[0], created=row[0])


def _missing(tx: Transaction, workflow: str, task: tuple[Any, ...], step: str) -> NotFoundError:
    steps = [str(row[0]) for row in tx.rows(_NAMES, id=task[0])]
    return NotFoundError(
        f"task {task[1]} of workflow {workflow} has no step {shown(step)}",
        service="workflow",
        hint=did_you_mean(str(step), steps) or f"it has: {', '.join(steps) or 'none'}",
    )
