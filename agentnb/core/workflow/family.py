"""The ends of tasks that others have spawned, and of those that have spawned others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.workflow.resuming import resume

if TYPE_CHECKING:
    from agentnb.core.workflow.claiming import TaskRef
    from agentnb.core.workflow.transactions import Transaction

__all__ = ["end_children", "lock_parent", "looked", "tell_parent"]

_LOCK = "select 1 from {task} where id = :id for update"
_WAKE = """
update {task_wait} set remaining = remaining - 1, ended = {now},
  state = case when remaining <= 1 or (strict = 1 and :failed = 1) then 'done' else 'open' end
where task_id = :parent and kind = 'tasks' and state = 'open' and {id_in_what}
"""
# Within the statement: a driver counts the rows of no other that begins with it.
_KIDS = """
with recursive kids(id) as (
  select id from {task} where parent = :id
  union select t.id from {task} t join kids k on t.parent = k.id
) select id from kids
"""
_SKIP = f"""
update {{task}} set state = 'skipped', finished = {{now}} where id in ({_KIDS})
  and state in ('blocked', 'approval', 'delayed', 'parked', 'waiting')
"""
_STOP = f"update {{task}} set cancel = 1 where id in ({_KIDS}) and state = 'active'"
_LOOKED = f"""
update {{task}} set looked = 1 where (id = :id or id in ({_KIDS}))
  and looked = 0 and exists (select 1 from {{task}} p where p.id = :parent and p.owner = :owner
    and p.entry = :entry and p.state = 'active')
"""


def lock_parent(tx: Transaction, parent: str | None) -> None:
    """Lock the parent of a task, if it has one, before the task itself."""
    if tx.postgres and parent is not None:
        tx.row(_LOCK, id=parent)


def tell_parent(
    tx: Transaction, scope: str, parent: str | None, child: str, *, failed: bool
) -> dict[str, int]:
    """Note the end of a child in the waits of its parent; return the agent of one that goes on."""
    if parent is None or not tx.run(_WAKE, parent=parent, id=child, failed=int(failed)):
        return {}
    return resume(tx, scope, parent, child=child)


def end_children(tx: Transaction, task: str) -> int:
    """Skip the children of a task that has failed, and ask those that run to stop.

    Returns
    -------
    int
        How many were skipped.
    """
    tx.run(_STOP, id=task)
    return tx.run(_SKIP, id=task)


def looked(tx: Transaction, ref: TaskRef, child: str) -> None:
    """Note that a task was given the failure of its child, which does not fail the workflow."""
    fence = {"owner": ref.owner, "entry": ref.entry, "parent": ref.id}
    tx.run(_LOOKED, id=child, **fence)
