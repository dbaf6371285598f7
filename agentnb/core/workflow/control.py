"""Control of workflows: cancel, retry, approve, reject, forget a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.errors import RejectedError, TaskNotFound, did_you_mean
from agentnb.core.workflow.answers import answer
from agentnb.core.workflow.completion import count, lock, share, skip
from agentnb.core.workflow.family import tell_parent
from agentnb.core.workflow.forgetting import forget, forget_from
from agentnb.core.workflow.outbox import note
from agentnb.core.workflow.spec import shown
from agentnb.core.workflow.task_options import change
from agentnb.core.workflow.transactions import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentnb.core.workflow.registry import Registry
    from agentnb.core.workflow.transactions import Transaction, Transactions

__all__ = ["Control", "cancel"]

_LEFT = "('blocked', 'approval', 'delayed', 'parked', 'waiting')"
_CANCEL = f"""
update {{task}} set state = 'cancelled', finished = {{now}}, error = :why
where workflow_id = :id and state in {_LEFT}
"""
_APPROVE = """
update {task} set state = case when delay > 0 then 'delayed' else 'waiting' end,
  due = {now} + delay, ready_at = case when delay > 0 then null else {now} end, approved_by = :by
where id = :task and state = 'approval' returning agent
"""
_REJECT = """
update {task} set state = 'cancelled', finished = {now}, error = :why
where id = :task and state = 'approval'
"""
_AGAIN = """
update {task} set state = :state, due = case when :state = 'waiting' then {now} else null end,
  ready_at = case when :state = 'waiting' then {now} else null end, missing = :missing,
  attempt = 0, deaths = 0, looked = 0,
  started = null, finished = null, owner = null, cancel = 0, progress = null,
  error = null, traceback = null, message = '', result = null, unkept = null,
  approved_by = case when :state = 'waiting' then approved_by else null end
where id = :task
"""


def cancel(tx: Transaction, scope: str, workflow: str, reason: str) -> bool:
    """Cancel an active workflow and what is left of it; return False if it has ended."""
    if lock(tx, workflow) != "active":
        return False
    ended = tx.run(_CANCEL, id=workflow, why=reason)
    sql = "update {task} set cancel = 1 where workflow_id = :id and state = 'active'"
    tx.run(sql, id=workflow)
    sql = (
        "update {workflow} set state = 'cancelled', error = :why, finished = {now}, "
        "pending = pending - :n where id = :id"
    )
    tx.run(sql, id=workflow, why=reason, n=ended)
    note(tx, scope, workflow, "WORKFLOW_CANCELLED", status="cancelled", reason=reason)
    return True


_TO_COME = {"waiting", "delayed", "parked"}
_NOW = """
update {task} set state = 'waiting', due = {now}, ready_at = {now}
where id = :id returning agent
"""

# A wait that has timed out with an error would only raise it again.
_ASK_AGAIN = """
delete from {task_wait} where task_id = :task and state = 'late' and strict = 1
"""


class Control:
    """Controls the workflows of a scope; each call is one transaction.

    Parameters
    ----------
    transactions, scope
        Where they are.
    """

    def __init__(self, transactions: Transactions, scope: str) -> None:
        self._transactions = transactions
        self._scope = scope

    def cancel(self, workflow: str, reason: str) -> None:
        """End what has not begun, and ask what runs to stop."""
        with self._transactions.write() as tx:
            if not cancel(tx, self._scope, workflow, plain(reason)):
                raise RejectedError(
                    f"workflow {workflow} cannot be cancelled: it is {lock(tx, workflow)}",
                    service="workflow",
                    hint=_show(workflow),
                )

    def approve(self, workflow: str, task: str, by: str) -> dict[str, int]:
        """Let a task run that waits for a person, and return its agent."""
        with self._transactions.write() as tx:
            lock(tx, workflow)
            found = self._task(tx, workflow, task)
            row = tx.row(_APPROVE, task=found[0], by=plain(by))
            if row is None:
                raise _not_held(workflow, found)
            self._note(tx, workflow, "TASK_APPROVED", found, status="approved", by=plain(by))
            return {str(row[0]): 1}

    def reject(self, workflow: str, task: str, reason: str, by: str) -> dict[str, int]:
        """Let a task that waits for a person not run, nor what needs it.

        Return the agent of a parent that goes on with that.
        """
        with self._transactions.write() as tx:
            lock(tx, workflow)
            found = self._task(tx, workflow, task)
            why = plain(f"rejected by {by}" + (f": {reason}" if reason else ""))
            if not tx.run(_REJECT, task=found[0], why=why):
                raise _not_held(workflow, found)
            parent = tx.rows("select parent from {task} where id = :id", id=found[0])[0][0]
            ready = tell_parent(tx, self._scope, parent, found[0], failed=True)
            self._note(tx, workflow, "TASK_REJECTED", found, status="rejected", error=why)
            ended = 1 + skip(tx, workflow, found[4])
            count(tx, self._scope, workflow, ended)
            return ready

    def answer(self, workflow: str, task: str, name: str, value: bytes, by: str) -> dict[str, int]:
        """Give the answer to a wait of a task, and return the agent of a task that goes on."""
        with self._transactions.write() as tx:
            share(tx, workflow)
            found = self._task(tx, workflow, task)
            return answer(tx, self._scope, workflow, (found[0], found[1]), name, value, by)

    def change(
        self, workflow: str, task: str, given: Mapping[str, Any], registry: Registry
    ) -> dict[str, int]:
        """Change options of a task, and return its agent, which may be able to run it now."""
        with self._transactions.write() as tx:
            lock(tx, workflow)
            found = self._task(tx, workflow, task)
            row = tx.row("select agent from {task} where id = :id", id=found[0])
            name = str(row[0]) if row else ""
            agent = registry.options(tx, name, "wait")
            change(tx, self._scope, workflow, found, given, agent)
            return {name: 1}

    def retry(
        self, workflow: str, task: str | None, from_step: str | None = None
    ) -> dict[str, int]:
        """Put back what failed, was cancelled or skipped; return what could run, by agents.

        A cancelled workflow whose tasks all completed in spite of it is completed by that. A
        deadline that has passed is removed.
        """
        with self._transactions.write() as tx:
            state = lock(tx, workflow)
            if task is not None and from_step is not None:
                named = self._task(tx, workflow, task)
                self._refuse_active(workflow, named)
                forget_from(tx, workflow, named, from_step)
            rows = tx.rows(_TASKS, id=workflow)
            bad = [row for row in rows if row[2] in {"failed", "cancelled"} and not row[10]]
            if task is not None:
                found = self._task(tx, workflow, task)
                if from_step is not None and found[2] in _TO_COME:
                    return self._again_now(tx, workflow, found, from_step)
                bad = [row for row in rows if row[0] == found[0] and (row in bad or row[8])]
            if not bad and (task is not None or state != "cancelled"):
                if task is not None:
                    _refuse_told(rows, found)
                what = f"task {task}" if task is not None else f"workflow {workflow}"
                raise RejectedError(
                    f"{what} has not failed: there is nothing to retry",
                    service="workflow",
                    hint=f"{_show(workflow)} has the states of its tasks",
                )
            active = [row[1] for row in rows if row[2] == "active"]
            if not bad and active:
                raise RejectedError(
                    f"workflow {workflow} was cancelled, and task {active[0]} has not ended yet",
                    service="workflow",
                    hint=f"retry once it has: {_show(workflow)}",
                )
            again = _with_children(rows, _with_needs(rows, {row[1] for row in bad}))
            ready = self._put_back(tx, workflow, rows, again)
            sql = (
                "update {workflow} set state = 'active', error = null, finished = null, "
                "deadline = case when deadline <= {now} then null else deadline end, pending = "
                "(select count(*) from {task} where workflow_id = :id and state in "
                f"('active', {_LEFT[1:]}) where id = :id"
            )
            tx.run(sql, id=workflow)
            data = {} if task is None else {"task": task}
            data |= {} if from_step is None else {"step": plain(from_step)}
            note(tx, self._scope, workflow, "WORKFLOW_RETRIED", status="active", **data)
            if not bad:
                count(tx, self._scope, workflow, 0)
            return ready

    def _put_back(
        self, tx: Transaction, workflow: str, rows: list[tuple[Any, ...]], again: set[str]
    ) -> dict[str, int]:
        """Put tasks back, and all skipped ones whose needs may come about now."""
        by_name = {row[1]: row for row in rows}
        needs = {row[1]: msgspec.json.decode(row[3]) for row in rows}
        state = {row[1]: row[2] for row in rows}
        good = {name for name in state if state[name] not in {"failed", "cancelled", "skipped"}}
        good |= again
        while more := {
            name
            for name in state
            if state[name] == "skipped"
            and name not in good
            and not by_name[name][10]
            and good.issuperset(needs[name])
        }:
            good |= more
        ready: dict[str, int] = {}
        for name in good:
            done = state[name] == "completed" and name in again
            if not done and state[name] not in {"failed", "cancelled", "skipped"}:
                continue
            number, _, _, _, agent, approval, approved_by, *_ = by_name[name]
            missing = sum(state[need] != "completed" or need in again for need in needs[name])
            now = "blocked" if missing else "waiting"
            if now == "waiting" and approval and not approved_by:
                now = "approval"
            tx.run(_AGAIN, task=number, state=now, missing=missing)
            tx.run(_ASK_AGAIN, task=number)
            if done:
                held = [row[7] for row in rows if row[2] == "blocked" and name in needs[row[1]]]
                self._hold(tx, workflow, held)
            if now == "approval":
                self._note(tx, workflow, "TASK_APPROVAL", (number, name))
            if now == "waiting":
                ready[agent] = ready.get(agent, 0) + 1
        return ready

    def _hold(self, tx: Transaction, workflow: str, places: list[int]) -> None:
        """Let blocked tasks wait for one more, which they had counted as completed."""
        if places:
            sql = (
                "update {task} set missing = missing + 1 where workflow_id = :id "
                "and place {in_places}"
            )
            tx.run(sql, id=workflow, places=msgspec.json.encode(places).decode())

    def forget(self, workflow: str, task: str, step: str) -> None:
        """Forget the result of a step of a task that does not run."""
        with self._transactions.write() as tx:
            lock(tx, workflow)
            found = self._task(tx, workflow, task)
            self._refuse_active(workflow, found)
            forget(tx, workflow, found, step)

    def _again_now(
        self, tx: Transaction, workflow: str, task: tuple[Any, ...], step: str
    ) -> dict[str, int]:
        """Let a task that would run later run now, and return its agent."""
        row = tx.row(_NOW, id=task[0])
        self._note(tx, workflow, "WORKFLOW_RETRIED", task, status="active", step=plain(step))
        return {} if row is None else {str(row[0]): 1}

    def _refuse_active(self, workflow: str, task: tuple[Any, ...]) -> None:
        if task[2] == "active":
            raise RejectedError(
                f"task {task[1]} of workflow {workflow} is running",
                service="workflow",
                hint=f"wait until it has ended, or workflow.cancel() (%workflow cancel {workflow})",
            )

    def _task(self, tx: Transaction, workflow: str, task: str) -> tuple[Any, ...]:
        """Return id, name, state, place and frees of a task by its name or id."""
        row = tx.row(_BY_NAME, id=workflow, task=plain(str(task)))
        row = row or tx.row(_BY_ID, id=workflow, task=plain(str(task)))
        if row is not None:
            return row
        sql = "select name from {task} where workflow_id = :id order by place"
        names = [row[0] for row in tx.rows(sql, id=workflow)]
        raise TaskNotFound(
            f"workflow {workflow} has no task {shown(task)}",
            service="workflow",
            hint=did_you_mean(str(task), names) or f"it has: {', '.join(names)}",
        )

    def _note(
        self, tx: Transaction, workflow: str, kind: str, task: tuple[Any, ...], **more: Any
    ) -> None:
        note(tx, self._scope, workflow, kind, task_id=task[0], task=task[1], **more)


_TASKS = (
    "select id, name, state, needs, agent, approval, approved_by, place, unkept, parent, looked "
    "from {task} "
    "where workflow_id = :id order by place"
)


_ONE = "select id, name, state, place, frees from {task} where workflow_id = :id"
_BY_NAME = f"{_ONE} and name = :task"
_BY_ID = f"{_ONE} and id = :task"


def _refuse_told(rows: list[tuple[Any, ...]], task: tuple[Any, ...]) -> None:
    """Refuse to retry a child whose failure its parent was given, and has gone on with."""
    told = [row[9] for row in rows if row[0] == task[0] and row[10]]
    for _, parent, state, *_ in [row for row in rows if row[0] in told]:
        again = f"workflow.retry({parent!r}, from_step=STEP) makes what it did after STEP again"
        raise RejectedError(
            f"task {task[1]} is {task[2]}, and task {parent} was told and has gone on",
            service="workflow",
            hint="make another workflow" if state == "completed" else again,
        )


def _with_needs(rows: list[tuple[Any, ...]], names: set[str]) -> set[str]:
    """Return tasks and all that they need which has not come about."""
    needs = {row[1]: msgspec.json.decode(row[3]) for row in rows if row[2] != "completed"}
    found, left = set(names), list(names)
    while left:
        more = {need for need in needs.get(left.pop(), ()) if need in needs} - found
        found |= more
        left += more
    return found


def _with_children(rows: list[tuple[Any, ...]], names: set[str]) -> set[str]:
    """Return tasks and those of their children that did not complete, however deep.

    A task that runs again would only be given their failures again.
    """
    found, ids = set(names), {row[0] for row in rows if row[1] in names}
    while more := {
        (row[1], row[0])
        for row in rows
        if row[9] in ids and row[1] not in found and row[2] in {"failed", "cancelled", "skipped"}
    }:
        found |= {name for name, _ in more}
        ids |= {number for _, number in more}
    return found


def _not_held(workflow: str, task: tuple[Any, ...]) -> RejectedError:
    return RejectedError(
        f"task {task[1]} of workflow {workflow} waits for no approval: it is {task[2]}",
        service="workflow",
        hint="workflow.tasks (%workflow show) lists the tasks and their states",
    )


def _show(workflow: str) -> str:
    return f"workflow.tasks (%workflow show {workflow})"
