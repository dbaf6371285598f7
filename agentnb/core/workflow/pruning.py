"""Deletion of workflows that ended long ago."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.workflow.transactions import listed

if TYPE_CHECKING:
    from agentnb.core.workflow.transactions import Transactions

__all__ = ["prune"]

_BATCH = 200  # so that no lock is held for long
_DEAD = 3600.0
_OLD = """
select id from {workflow} w where scope = :scope and state <> 'active' and pending <= 0
  and finished < {now} - :seconds
"""
_TOLD = """
and not exists (select 1 from {event} e where e.workflow_id = w.id and e.published is null)
"""
_KEYS = """
delete from {workflow_key} where scope = :scope and created < {now} - :ttl
  and not exists (select 1 from {workflow} w where w.id = workflow_id)
"""
_PARTS = (
    "delete from {task_step} where task_id in (select id from {task} where workflow_id in (OLD))",
    "delete from {task_wait} where task_id in (select id from {task} where workflow_id in (OLD))",
    "delete from {pulse} where task_id in (select id from {task} where workflow_id in (OLD))",
    "delete from {stream} where task_id in (select id from {task} where workflow_id in (OLD))",
    "delete from {task} where workflow_id in (OLD)",
    "delete from {event} where workflow_id in (OLD)",
    "delete from {workflow} where id in (OLD)",
)


def prune(
    transactions: Transactions, scope: str, seconds: float, *, told: bool, key_ttl: float
) -> int:
    """Delete workflows that ended some seconds ago or longer, with all their rows.

    Parameters
    ----------
    told
        Leave those alone whose events have not all been published.
    key_ttl
        Seconds that idempotency keys are kept; older ones of pruned workflows are deleted.

    Returns
    -------
    int
        The number of deleted workflows.
    """
    old = _OLD + (_TOLD if told else "") + "order by id limit :n {lock_free}"
    count = 0
    while True:
        with transactions.write() as tx:
            rows = tx.rows(old, scope=scope, seconds=seconds, n=_BATCH)
            marks, values = listed(row[0] for row in rows)
            for part in _PARTS if rows else ():
                tx.run(part.replace("OLD", marks), **values)
            sql = "delete from {worker} where scope = :scope and heartbeat + lease < {clock} - :s"
            tx.run(sql, scope=scope, s=_DEAD)
            tx.run(_KEYS, scope=scope, ttl=key_ttl)
        count += len(rows)
        if len(rows) < _BATCH:
            return count
