"""The begin and the signs of life of attempts that run in another process than their worker's."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from agentnb.core.work.store import Began, Pulse, Sign
from agentnb.core.workflow.claiming import REF, Claimed, task_ref
from agentnb.core.workflow.info import TASK, task_info

if TYPE_CHECKING:
    from agentnb.core.work.store import Key
    from agentnb.core.workflow.transactions import Transaction, Transactions

__all__ = ["begin", "identity", "pulse", "touch"]

_CLAIM = "id = :id and owner = :owner and entry = :entry and state = 'active'"
_NUMBER = len(REF.split(","))
_HELD = f"""
select {REF}, (select traceparent from {{workflow}} w where w.id = workflow_id),
  (select correlation_id from {{workflow}} w where w.id = workflow_id),
  (select name from {{workflow}} w where w.id = workflow_id), timeout, backoff, {TASK}
from {{task}} where {_CLAIM} {{lock}}
"""
_BEGIN = """
insert into {pulse} as p (task_id, entry, process, begun, silent)
values (:id, :entry, :process, {clock}, {clock} + :lease)
on conflict (task_id) do update set entry = excluded.entry, process = excluded.process,
  begun = excluded.begun, silent = excluded.silent
where p.entry < excluded.entry
"""
_BEGUN = "select process from {pulse} where task_id = :id and entry = :entry"
_TOUCH = """
update {pulse} set silent = {clock} + :lease where task_id = :id and entry = :entry
"""
_CANCEL = f"select cancel from {{task}} where {_CLAIM}"
_PULSE = """
select {clock} - begun, silent - {clock}, process from {pulse}
where task_id = :id and entry = :entry
"""
_NAME = """
insert into {identity} (scope, id) values (:scope, :id) on conflict (scope) do nothing
"""
_NAMED = "select id from {identity} where scope = :scope"


def begin(tx: Transaction, key: Key, owner: str, process: str, lease: float) -> Claimed | Began:
    """Begin the attempt of a claim, once for its entry; see `WorkStore.begin`."""
    fence = {"id": key.id, "entry": key.entry, "owner": owner}
    row = tx.row(_HELD, **fence)
    if row is None:
        return Began.LOST
    if not tx.run(_BEGIN, id=key.id, entry=key.entry, process=process, lease=lease):
        begun = tx.row(_BEGUN, id=key.id, entry=key.entry)
        if begun is None or begun[0] != process:
            return Began.REPEATED
    ref = task_ref(row[: _NUMBER + 3])
    timeout, backoff, *task = row[_NUMBER + 3 :]
    return Claimed(ref, task_info(task), timeout, backoff)


def touch(tx: Transaction, key: Key, owner: str, lease: float) -> Sign:
    """Note a sign of life of an attempt that was begun; see `WorkStore.touch`."""
    fence = {"id": key.id, "entry": key.entry, "owner": owner}
    begun = tx.run(_TOUCH, lease=lease, id=key.id, entry=key.entry)
    row = tx.row(_CANCEL, **fence)
    if not begun or row is None:
        return Sign.LOST
    return Sign.CANCELLED if row[0] else Sign.GO_ON


def pulse(tx: Transaction, key: Key) -> Pulse | None:
    """Return the last sign of life of a claim's attempt, None if it was not begun."""
    row = tx.row(_PULSE, id=key.id, entry=key.entry)
    return None if row is None else Pulse(float(row[0]), float(row[1]), row[2])


def identity(transactions: Transactions, scope: str, *, make: bool = False) -> str:
    """Return the identity of a scope in a database; empty where nobody has made one.

    It is a random text that is kept there, so that two sides which find the same one have the
    same database, by whatever address they reach it.
    """
    with transactions.read() as tx:
        row = tx.row(_NAMED, scope=scope)
    if row is None and make:
        with transactions.write() as tx:
            tx.run(_NAME, scope=scope, id=secrets.token_hex(8))
            row = tx.row(_NAMED, scope=scope)
    return "" if row is None else str(row[0])
