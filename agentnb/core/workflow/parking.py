"""Waits of tasks: a task that waits is parked, and holds no worker, thread or connection.

A wait is a row of its own. An attempt that comes to one without an answer is unwound first; then
its task is parked behind its fence, or waits to be entered again where the answer has come
meanwhile. All that ends a wait locks the row of its task first, so that none is missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentnb.core.failure import CANCELLED, Failure
from agentnb.core.work.attempt import Suspended
from agentnb.core.workflow import completion
from agentnb.core.workflow.completion import Completion
from agentnb.core.workflow.outbox import note
from agentnb.core.workflow.transactions import plain

if TYPE_CHECKING:
    from agentnb.core.workflow.claiming import TaskRef
    from agentnb.core.workflow.transactions import Transaction

__all__ = ["Parked", "Wait", "WaitState", "end", "enter", "find", "park", "reopen"]

_FENCE = "id = :id and owner = :owner and entry = :entry and state = 'active'"
_HELD = f"select began, scope from {{task}} where {_FENCE} {{lock}}"
_FOUND = """
select kind, state, question, answer, by, created, due, ended from {task_wait}
where task_id = :id and name = :name
"""
_OPEN = """
insert into {task_wait} (task_id, name, scope, workflow_id, kind, state, question, form, addressee,
  what, remaining, strict, entry, created, since, due)
values (:id, :name, :scope, :workflow, :kind, 'open', :question, :form, :addressee,
  :what, :remaining, :strict, :entry, {now}, :since, :due)
"""
_ENTERED = """
update {task_wait} set entry = :entry, remaining = :remaining
where task_id = :id and name = :name and state = 'open'
"""
_END = """
update {task_wait} set state = 'done', answer = :answer, by = :by, error = null, ended = {now}
where task_id = :id and name = :name and state = 'open'
"""
# It parks no entry: the one that finds it goes on.
_TIMED_OUT = """
update {task_wait} set state = :state, error = null, ended = {now}, entry = 0
where task_id = :id and name = :name and state = 'open'
"""
_REOPEN = """
update {task_wait} set state = 'open', answer = null, by = null, ended = null, error = :error,
  entry = :entry where task_id = :id and name = :name
"""
_LAST = """
select name, kind, state, due from {task_wait} where task_id = :id and entry = :entry
order by created, name
"""
_PARK = f"""
update {{task}} set state = :state, owner = null, ended = entry, deaths = 0, attempt = attempt - 1,
  due = case when :state = 'waiting' then {{now}} else :due end where {_FENCE}
"""


class Parked(Suspended):
    """Raised by a wait that has no answer yet: it unwinds the agent, and its task is parked.

    It is no `Exception`, and not to be caught; ``finally`` blocks and context managers run.
    """


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait, as an agent asks for it.

    Attributes
    ----------
    name
        Its name within the task.
    kind
        ``ask``, ``sleep``, ``event`` or ``tasks``.
    question, form, addressee
        For people: the question, the JSON Schema of the answer, and who is asked.
    what
        The event or the tasks, as JSON.
    remaining, strict
        How many tasks have to end, and whether the first that fails ends the wait. A question is
        strict if its time-out is an error.
    seconds, until
        The time-out: seconds from the first entry, or a time since the epoch; None for none.
    since
        ``start`` of the task or ``now``, or a time since the epoch, from which events count.
    """

    name: str
    kind: str
    question: str = ""
    form: str | None = None
    addressee: str | None = None
    what: str | None = None
    remaining: int | None = None
    strict: bool = False
    seconds: float | None = None
    until: float | None = None
    since: float | str | None = None


@dataclass(frozen=True, slots=True)
class WaitState:
    """The state of a wait when an entry of its task reaches it.

    Attributes
    ----------
    kind
        That of the wait.
    state
        ``open``, ``done``, or ``late`` once its time-out was over.
    question
        What was asked.
    answer, by
        The answer as JSON, and who has given it.
    created, due, ended
        When it began, times out, and ended; seconds since the epoch.
    """

    kind: str
    state: str
    question: str
    answer: str | None
    by: str | None
    created: float
    due: float | None
    ended: float | None


def find(tx: Transaction, task: str, name: str) -> WaitState | None:
    """Return the state of a wait; None if no entry has reached it."""
    row = tx.row(_FOUND, id=task, name=name)
    return None if row is None else WaitState(*row)


def enter(tx: Transaction, ref: TaskRef, wait: Wait) -> WaitState | None:
    """Open a wait in an entry of its task, or find it; return its state, None if the claim is lost.

    The first entry opens it. One whose time is over ends.
    """
    held = tx.row(_HELD, **ref.fence)
    if held is None:
        return None
    found, now = find(tx, ref.id, wait.name), tx.now()
    if found is None:
        tx.run(
            _OPEN,
            id=ref.id,
            name=wait.name,
            scope=held[1],
            workflow=ref.workflow_id,
            kind=wait.kind,
            question=plain(wait.question),
            form=wait.form,
            addressee=wait.addressee,
            what=wait.what,
            remaining=wait.remaining,
            strict=int(wait.strict),
            entry=ref.entry,
            since=_since(wait, held[0], now),
            due=now + wait.seconds if wait.seconds is not None else wait.until,
        )
        found = find(tx, ref.id, wait.name)
    if found is None or found.state != "open":
        return found
    if found.due is not None and found.due <= now:
        state = "done" if wait.kind == "sleep" else "late"
        tx.run(_TIMED_OUT, id=ref.id, name=wait.name, state=state)
        return find(tx, ref.id, wait.name)
    tx.run(_ENTERED, id=ref.id, name=wait.name, entry=ref.entry, remaining=wait.remaining)
    return found


def _since(wait: Wait, began: float | None, now: float) -> float | None:
    if wait.since == "start":
        return now if began is None else began
    return now if wait.since == "now" else wait.since  # type: ignore[return-value]


def end(
    tx: Transaction, task: str, name: str, *, answer: str | None = None, by: str | None = None
) -> bool:
    """End an open wait, and return whether it was open; the task's row is locked by the caller."""
    return bool(tx.run(_END, id=task, name=name, answer=answer, by=by))


def reopen(tx: Transaction, ref: TaskRef, name: str, error: str) -> bool:
    """Open a wait again whose answer does not fit; return whether the claim still counts."""
    if tx.row(_HELD, **ref.fence) is None:
        return False
    return bool(tx.run(_REOPEN, id=ref.id, entry=ref.entry, name=name, error=plain(error)))


def park(tx: Transaction, scope: str, ref: TaskRef) -> Completion | None:
    """Park a task whose entry was unwound by a wait; return None if it is fenced.

    The entry does not count as an attempt. A task one of whose waits has ended meanwhile is
    entered again, and one that was asked to stop is cancelled.
    """
    completion.share(tx, ref.workflow_id)
    row = tx.row(f"select cancel from {{task}} where {_FENCE} {{lock}}", **ref.fence)
    if row is None:
        return None
    if row[0]:
        return completion.fail(tx, scope, ref, Failure(CANCELLED, ref.attempt), cancelled=True)
    waits = tx.rows(_LAST, id=ref.id, entry=ref.entry)
    over = not waits or any(state != "open" for _, _, state, _ in waits)
    state = "waiting" if over else "parked"
    due = min((due for *_, due in waits if due is not None), default=None)
    tx.run(_PARK, state=state, due=due, **ref.fence)
    if over:
        return Completion("waiting", {ref.agent: 1})
    names = [name for name, *_ in waits]
    about = {"task_id": ref.id, "task": ref.name, "agent_id": ref.agent, "status": "parked"}
    kinds = sorted({kind for _, kind, *_ in waits})
    note(tx, scope, ref.workflow_id, "TASK_PARKED", **about, waits=names, kinds=kinds)
    return Completion("parked", {})
