"""Parked tasks are entered again once a wait of theirs has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.workflow.outbox import note

if TYPE_CHECKING:
    from agentnb.core.workflow.transactions import Transaction

__all__ = ["resume"]

_RESUME = """
update {task} set state = 'waiting', due = {now} where id = :id and state = 'parked'
  and exists (select 1 from {task_wait} w where w.task_id = {task}.id and w.entry = {task}.entry
    and w.state <> 'open')
returning name, agent, workflow_id
"""


def resume(tx: Transaction, scope: str, task: str, **about: Any) -> dict[str, int]:
    """Let a parked task be entered again one of whose waits has ended; return its agent.

    Parameters
    ----------
    **about
        More for the event.
    """
    row = tx.row(_RESUME, id=task)
    if row is None:
        return {}
    name, agent, workflow = row
    data = {"task_id": task, "task": name, "agent_id": agent, "status": "resumed", **about}
    note(tx, scope, workflow, "TASK_RESUMED", **data)
    return {str(agent): 1}
