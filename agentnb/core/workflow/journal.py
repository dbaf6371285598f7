"""The record that an attempt at a task keeps while it runs: steps, progress, log lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from agentnb.core.workflow.usage import Usage

if TYPE_CHECKING:
    from agentnb.core.workflow.claiming import Claimed
    from agentnb.core.workflow.transactions import Transactions

__all__ = ["Journal"]

_FENCE = "id = :id and owner = :owner and entry = :entry and state = 'active'"
_READ = "select result, unkept, input from {task_step} where task_id = :id and name = :name"
_STEP = f"""
insert into {{task_step}} (task_id, name, result, unkept, input, attempt, created)
select :id, :name, :result, :unkept, :input, :attempt, {{now}}
where exists (select 1 from {{task}} where {_FENCE})
on conflict (task_id, name) do update set name = excluded.name
"""
_FORGET = f"""
delete from {{task_step}} where task_id = :id and name = :name
and exists (select 1 from {{task}} where {_FENCE})
"""
_KEPT = "select 1 from {task_step} where task_id = :id and name = :name"
_USED = "select usage from {task} where id = :id"
_USED_BY_ALL = """
select usage from {task} where usage is not null
and workflow_id = (select workflow_id from {task} where id = :id)
"""
_USE = f"update {{task}} set usage = :usage where {_FENCE}"
_PROGRESS = f"update {{task}} set progress = :progress, message = :message where {_FENCE}"
_LOG = f"update {{task}} set message = :message, log = :log where {_FENCE}"


class Journal:
    """The record of one attempt. Each write counts only while the claim is the attempt's.

    Parameters
    ----------
    transactions
        The database.
    claimed
        The claim; its id, owner and entry are the fence.
    """

    def __init__(self, transactions: Transactions, claimed: Claimed) -> None:
        self._transactions = transactions
        self._claimed = claimed

    def step(self, name: str) -> tuple[str, str | None, str | None] | None:
        """Return the kept result of a step, the description of an unkept one and its input.

        None if the step was not done.
        """
        with self._transactions.read() as tx:
            row = tx.row(_READ, id=self._claimed.info.id, name=name)
        return None if row is None else (row[0], row[1], row[2])

    def keep_step(
        self,
        name: str,
        result: str,
        unkept: str | None,
        given: str | None,
        usage: Usage | None = None,
    ) -> bool:
        """Keep the result of a step, once; return whether the claim is still the attempt's.

        ``given`` is the digest of what the step was called with, ``usage`` is added to the task's.
        """
        values: dict[str, Any] = {"name": name, "result": result, "unkept": unkept, "input": given}
        values |= {"attempt": self._claimed.info.attempt, **self._claimed.fence}
        if usage is None:
            return bool(self._transactions.run(_STEP, **values))
        number = self._claimed.info.id
        with self._transactions.write() as tx:
            known = tx.row(_KEPT, id=number, name=name) is not None
            kept = bool(tx.run(_STEP, **values))
            if kept and not known:
                row = tx.row(_USED, id=number)
                total = Usage.sum(row or ()) + usage
                tx.run(_USE, usage=total.write(), **self._claimed.fence)
        return kept

    def usage(self, of: Literal["task", "workflow"]) -> Usage:
        """Return the use of language models by the task, or by all tasks of its workflow."""
        with self._transactions.read() as tx:
            rows = tx.rows(_USED if of == "task" else _USED_BY_ALL, id=self._claimed.info.id)
        return Usage.sum(row[0] for row in rows)

    def forget_step(self, name: str) -> bool:
        """Forget the result of a step; return whether the claim is still the attempt's."""
        return self._write(_FORGET, name=name)

    def progress(self, fraction: float | None, message: str) -> bool:
        """Keep the progress; return whether the claim is still the attempt's."""
        return self._write(_PROGRESS, progress=fraction, message=message)

    def log(self, message: str, lines: str) -> bool:
        """Keep the log and its last line; return whether the claim is still the attempt's."""
        return self._write(_LOG, message=message, log=lines)

    def _write(self, sql: str, **values: Any) -> bool:
        return bool(self._transactions.run(sql, **values, **self._claimed.fence))
