"""The record that an attempt at a task keeps while it runs: steps, progress, log lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

    def keep_step(self, name: str, result: str, unkept: str | None, given: str | None) -> bool:
        """Keep the result of a step, once; return whether the claim is still the attempt's.

        ``given`` is the digest of what the step was called with.
        """
        values = {"name": name, "result": result, "unkept": unkept, "input": given}
        return self._write(_STEP, attempt=self._claimed.info.attempt, **values)

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
