"""A workflow is paused and resumed: the tasks of one that is paused are not claimed.

Each of them has a ``max_parallel`` of 0 meanwhile. Claims read that of a task only, so that
workflows that are not paused cost them nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.errors import RejectedError
from agentnb.core.workflow.completion import lock
from agentnb.core.workflow.outbox import note

if TYPE_CHECKING:
    from agentnb.core.workflow.transactions import Transaction

__all__ = ["pause", "resume"]

_PAUSE = "update {workflow} set paused = {now} where id = :id and paused is null"
_HOLD = "update {task} set max_parallel = 0 where workflow_id = :id"
_RESUME = "update {workflow} set paused = null where id = :id and paused is not null"
_LET_GO = """
update {task} set max_parallel = (select w.max_parallel from {workflow} w where w.id = :id)
where workflow_id = :id
"""
_READY = """
select agent, count(*) from {task}
where workflow_id = :id and state in ('waiting', 'delayed') group by agent
"""


def pause(tx: Transaction, scope: str, workflow: str) -> bool:
    """Pause a workflow; return False if it was paused before.

    Raises
    ------
    RejectedError
        It has ended.
    """
    _check(workflow, lock(tx, workflow), "paused")
    if not tx.run(_PAUSE, id=workflow):
        return False
    tx.run(_HOLD, id=workflow)
    note(tx, scope, workflow, "WORKFLOW_PAUSED", status="paused")
    return True


def resume(tx: Transaction, scope: str, workflow: str) -> dict[str, int]:
    """Resume a workflow, and return how many of its tasks could run, by their agents.

    Raises
    ------
    RejectedError
        It has ended.
    """
    _check(workflow, lock(tx, workflow), "resumed")
    if not tx.run(_RESUME, id=workflow):
        return {}
    tx.run(_LET_GO, id=workflow)
    note(tx, scope, workflow, "WORKFLOW_RESUMED", status="active")
    return {str(agent): int(count) for agent, count in tx.rows(_READY, id=workflow)}


def _check(workflow: str, state: str, doing: str) -> None:
    if state != "active":
        raise RejectedError(
            f"workflow {workflow} cannot be {doing}: it is {state}",
            service="workflow",
            hint=f"workflow.tasks (%workflow show {workflow}) has its tasks",
        )
